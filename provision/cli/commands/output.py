"""``elysium output``."""

from __future__ import annotations

import json
from typing import Any

import click

from provision.cli import lazy, stack_context
from provision.cli.settings import Settings
from provision.secret import MASK, Secret


@click.command(
    cls=lazy.Command,
    examples="""
    elysium output
    elysium output fluxRevision
    elysium output kubeconfig --show-secrets
    """,
)
@click.argument("name", required=False)
@click.option("--show-secrets", is_flag=True, help="Print secrets as they are, not as ***.")
@click.pass_obj
def output(called: Settings, name: str | None, show_secrets: bool) -> None:
    """Print what the stack exports.

    All of it, or the value of NAME alone, fit for a script.
    """
    from provision import errors
    from provision.operations import status

    with stack_context.stack(called) as stack:
        values = status.outputs(stack, show_secrets=show_secrets)
    if name is not None and name not in values:
        raise errors.ConfigError(
            f"the stack has no output {name!r}",
            [],
            hint=f"there are: {', '.join(values)}" if values else "elysium up makes some",
        )
    put = called.terminal.reveal if show_secrets else called.terminal.result
    chosen = values if name is None else {name: values[name]}
    if called.json:
        shown = plain(values if name is None else values[name])
        called.terminal.data(shown, secrets=show_secrets)
        return
    if not chosen:
        called.terminal.say("There is nothing yet: elysium up makes it.")
    for key, value in chosen.items():
        put(_text(value) if name is not None else f"{key}: {_text(value)}")


def plain(value: Any) -> Any:
    """Return `value` with every `Secret` as ``***``."""
    if isinstance(value, Secret):
        return MASK
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    return value


def _text(value: Any) -> str:
    shown = plain(value)
    return shown if isinstance(shown, str) else json.dumps(shown, ensure_ascii=False)

"""Which addresses, files and settings of a backup may be used: shown, confirmed by a person."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from provision import errors
from provision.cli.settings import Settings

if TYPE_CHECKING:
    from provision.recovery.restore.addresses import Named


def option(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add ``--trust-address``."""
    return click.option(
        "--trust-address",
        "trusted",
        metavar="ADDRESS",
        multiple=True,
        help="An address, file or setting that the backup names and that may be used without "
        "asking; may be repeated.",
    )(function)


def confirm(
    called: Settings,
    found: Sequence[Named],
    *,
    cluster: str,
    target: Path,
    trusted: Collection[str] = (),
    host: str | None = None,
) -> tuple[Named, ...]:
    """Have the user confirm what the backup of `cluster` names; return what is not confirmed.

    What is returned is optional and must not be contacted. Nothing was
    contacted or read before. `target` is the folder of the stack, whose
    configuration is the user's own, `host` the new node. ``--yes`` is no answer
    to this question. Raises `errors.ConfigError` where there is nobody to ask,
    and `click.Abort` where the answer is no.
    """
    from provision.recovery.restore import addresses

    here, hosts = _here(target, cluster)
    asked = addresses.untrusted(
        found, trusted=trusted, here=here, hosts=(*hosts, *([host.lower()] if host else ()))
    )
    needed = tuple(each for each in asked if not each.optional)
    if not asked:
        return ()
    if not called.terminal.can_ask:
        if needed:
            raise errors.ConfigError(
                "the backup names addresses, files or settings that nobody confirmed",
                [_problem(each) for each in needed],
                hint="nothing was sent, read or written. Anyone with the public key can make a "
                "backup: compare these with your own notes, then add "
                + " ".join(f"--trust-address {shlex.quote(each.value)}" for each in needed),
            )
        for each in asked:
            called.terminal.warn(
                f"the backup says that the old cluster is at {each.value}; it was not asked "
                f"whether it still runs: --trust-address {shlex.quote(each.value)}"
            )
        return asked
    called.terminal.say("The backup names these. They are used only if you confirm them:")
    for each in asked:
        called.terminal.say(f"  {each.value}\n    {each.key}: {each.use}")
    called.terminal.say("Anyone with the public key can make a backup: compare with your notes.")
    if called.terminal.confirm("Use all of them?"):
        return ()
    if needed:
        called.terminal.say("nothing was sent, read or written")
        raise click.Abort
    return asked


def _problem(each: Named) -> errors.Problem:
    return errors.Problem(message=f"{each.value}: {each.use}", where="the backup", key=each.key)


def _here(target: Path, cluster: str) -> tuple[tuple[Named, ...], tuple[str, ...]]:
    """Return what the user's own configuration of the cluster names, and its node's hosts."""
    from provision import config_file
    from provision.recovery.restore import addresses

    try:
        path = config_file.open_project(target).stack_file(cluster)
        cfg = config_file.load(path, None)
        outside = addresses.of_file(path.read_text(encoding="utf-8"))
    except (errors.ConfigError, OSError, UnicodeDecodeError):
        return (), ()
    server = cfg.server
    hosts = tuple(each.lower() for each in (server.host, server.address) if each)
    own = (
        addresses.Named(key="backup.paths", value=path, use="", kind="file")
        for path in cfg.backup.paths
    )
    return (*addresses.named(cfg), *outside, *own), hosts

"""The pages of ``docs/`` that are made from the program itself.

``python -m provision.cli.reference docs`` writes them; a test compares.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from provision.cli import lazy, main
from provision.config_file import schema as configuration
from provision.secret import MASK, Secret

_MADE = "<!-- Made by `python -m provision.cli.reference docs`; edits here are lost. -->\n"


def pages() -> dict[str, str]:
    """Return each page's text by its file name."""
    from provision.cli.render import schema

    return {
        "commands.md": commands(),
        "configuration.md": keys(),
        "events.md": events(),
        "events.schema.json": json.dumps(schema.schema(), indent=2, ensure_ascii=False) + "\n",
    }


def commands() -> str:
    """Return ``commands.md``: every command's own help."""
    out = [
        "# Commands\n",
        _MADE,
        "Global options go before or after a command. Results are on stdout, everything else on "
        "stderr.\n",
        "Exit status: 0 done · 1 other · 2 configuration or usage · 3 preflight · 4 node, SSH or "
        "Kubernetes API · 5 not converged, timed out, or `status` found a difference · 6 GitHub · "
        "7 engine or state · 130 interrupted (143 and 129 by TERM and HUP).\n",
    ]
    for context in _contexts(main.cli, click.Context(main.cli, info_name="elysium")):
        out.append(f"## `{context.command_path}`\n")
        out.append("```text\n" + _help(context) + "\n```\n")
    return "\n".join(out)


def keys() -> str:
    """Return ``configuration.md``: every key, its type, default and meaning."""
    out = [
        "# Configuration\n",
        _MADE,
        "One file for each cluster: `Pulumi.<cluster>.yaml`, beside `Pulumi.yaml`. All keys are "
        "below `config:`, with `elysium:` before the first name. `elysium init` writes a file to "
        "begin with, `elysium config validate` checks it, `elysium config set KEY VALUE` changes "
        "it and keeps your comments.\n",
        "A **secret** is written by `elysium config set --secret KEY`, which asks for it, and lies "
        "in the file as `secure: v1:…`, encrypted with the stack's passphrase: "
        "`PULUMI_CONFIG_PASSPHRASE`, else the file that `PULUMI_CONFIG_PASSPHRASE_FILE` names, "
        "else the one that `init` made in your configuration folder (it says where).\n",
        "`[]` stands for a number (`nodes[0]`), `*` for any name.\n",
    ]
    for top in (key for key in configuration.every() if len(key.path) == 1):
        below = [k for k in configuration.every() if k.path[0] == top.path[0] and k is not top]
        out.append(f"## `elysium:{top.name}`\n")
        out.append(top.meaning + (" Required." if top.required else "") + "\n")
        out.append("| key | type | default | meaning |")
        out.append("|---|---|---|---|")
        out += [_row(key) for key in below if key.path[-1] not in ("[]", "*")]
        out.append("")
    return "\n".join(out)


def events() -> str:
    """Return ``events.md``: the lines of ``--json``."""
    from provision.cli.render import schema

    out = [
        "# Events\n",
        _MADE,
        "With `--json`, `preview`, `up`, `destroy` and the long `sandbox` commands print one JSON "
        "object a line on stdout: `event` says which kind, `time` when it was printed. The last "
        "line of an `up` is `result`; of a command that failed, `error`. `status`, `output`, "
        "`config` and `stack` print one value and no events. `schema` in the prelude is raised "
        "when a field changes its meaning or goes; new fields and kinds may come without that.\n",
        "No line ever holds a secret. [`events.schema.json`](events.schema.json) is the same as a "
        "JSON Schema.\n",
    ]
    for name, (meaning, fields) in schema.lines().items():
        out.append(f"## `{name}`\n\n{meaning.replace('``', '`')}\n")
        out.append("| field | value |\n|---|---|")
        out += [f"| `{field}` | {_value(one)} |" for field, one in fields.items()]
        out.append("")
    return "\n".join(out)


def _contexts(command: click.Command, context: click.Context) -> Iterator[click.Context]:
    yield context
    if isinstance(command, lazy.Group):
        for name in command.list_commands(context):
            inner = command.get_command(context, name)
            if inner is not None and not inner.hidden:
                yield from _contexts(inner, click.Context(inner, context, name))


def _help(context: click.Context) -> str:
    formatter = click.HelpFormatter(width=90, max_width=90)
    context.command.format_help(context, formatter)
    return formatter.getvalue().rstrip("\n")


def _row(key: configuration.Key) -> str:
    default = "**required**" if key.required else _default(key.default)
    meaning = key.meaning.replace("|", "\\|")
    return f"| `{key.name}` | {key.type} | {default} | {meaning} |"


def _default(value: Any) -> str:
    if value is None or value in ("", (), {}) or hasattr(type(value), "model_fields"):
        return ""
    if isinstance(value, Secret):
        return MASK
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, tuple):
        return ", ".join(f"`{item}`" for item in value)
    return f"`{value}`"


def _value(schema: dict[str, Any]) -> str:
    if "const" in schema:
        return f"`{schema['const']}`"
    if "enum" in schema:
        return " or ".join(f"`{item}`" for item in schema["enum"])
    kind = schema.get("type", "anything")
    if kind == "array":
        return f"list of {_value(schema['items'])}"
    if kind == "object" and "properties" in schema:
        inner = ", ".join(f"`{n}`: {_value(s)}" for n, s in schema["properties"].items())
        return f"object ({inner})"
    if kind == "object" and isinstance(schema.get("additionalProperties"), dict):
        return f"object of any names with {_value(schema['additionalProperties'])}"
    return {"string": "text", "number": "number", "integer": "whole number"}.get(kind, kind)


def write(folder: Path) -> None:
    """Write every page into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in pages().items():
        (folder / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    write(Path(sys.argv[1] if len(sys.argv) > 1 else "docs"))

"""Click groups that import a command only when it runs, and know typing errors."""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Mapping
from typing import Any

import click

from provision import coredumps
from provision.cli import settings

GLOBAL_NOTE = (
    "Everywhere: --stack NAME, -C DIR, --engine, --json, --no-color, -v, --debug "
    "(elysium --help explains them)."
)


class Command(click.Command):
    """A command that also takes the global options, without listing them all."""

    def __init__(self, *args: Any, examples: str = "", **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.examples = examples
        self.params += settings.options(hidden=True)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command, with core dumps forbidden: it will hold credentials."""
        coredumps.forbid()
        return super().invoke(ctx)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the examples, and where the global options are explained."""
        _write_examples(self.examples, formatter)
        formatter.write_paragraph()
        formatter.write_text(GLOBAL_NOTE)


class Group(click.Group):
    """Commands by name and one-line help; the module behind one is imported when it runs.

    `lazy` maps a name to (``module:attribute``, one-line help): what the
    command's own help begins with, which a test compares.
    """

    command_class = Command

    def __init__(
        self,
        *args: Any,
        lazy: Mapping[str, tuple[str, str]] | None = None,
        examples: str = "",
        root: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self.lazy = dict(lazy or {})
        self.examples = examples
        self._root = root
        self.params += settings.options(hidden=not root)

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names in the order a newcomer meets them."""
        return [*self.lazy, *(name for name in self.commands if name not in self.lazy)]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import and return the command `cmd_name`."""
        if cmd_name not in self.lazy:
            return super().get_command(ctx, cmd_name)
        module, _, attribute = self.lazy[cmd_name][0].partition(":")
        command: click.Command = getattr(importlib.import_module(module), attribute)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command; name the nearest one when there is none."""
        name = args[0]
        known = self.list_commands(ctx)
        if not name.startswith("-") and name not in known:
            close = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
            hint = f"did you mean {close[0]!r}?" if close else f"there are: {', '.join(known)}"
            ctx.fail(f"there is no command {name!r}; {hint}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands by their one-line help, importing none of them."""
        rows = [(name, text) for name, (_, text) in self.lazy.items()]
        for name, command in self.commands.items():
            if name not in self.lazy and not command.hidden:
                rows.append((name, command.get_short_help_str(90)))
        with formatter.section("Commands"):
            formatter.write_dl(rows)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the examples."""
        _write_examples(self.examples, formatter)
        if not self._root:
            formatter.write_paragraph()
            formatter.write_text(GLOBAL_NOTE)


Group.group_class = Group


def _write_examples(examples: str, formatter: click.HelpFormatter) -> None:
    lines = [line.strip() for line in examples.strip().splitlines() if line.strip()]
    if not lines:
        return
    with formatter.section("Examples"):
        for line in lines:
            formatter.write(" " * formatter.current_indent + line + "\n")

"""What the global options said, and the options themselves."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

if TYPE_CHECKING:
    from provision.cli.terminal import Terminal


@dataclass
class Settings:
    """What every command may ask about how it was called."""

    stack: str | None = None
    directory: Path = field(default_factory=Path)
    json: bool = False
    verbose: int = 0
    debug: bool = False
    engine: Literal["embedded", "upstream"] = "embedded"
    color: bool | None = None
    current_step: Callable[[], str] = field(default=lambda: "")
    """Returns the step that is under way, for the message after Ctrl-C."""
    _terminal: Terminal | None = None

    @property
    def terminal(self) -> Terminal:
        """Return the terminal, made when first used: by then all options are read."""
        if self._terminal is None:
            from provision.cli import terminal

            self._terminal = terminal.Terminal(color=self.color, json=self.json)
        return self._terminal


def _store(name: str) -> Callable[[click.Context, click.Parameter, Any], None]:
    def callback(context: click.Context, _parameter: click.Parameter, value: Any) -> None:
        if value is not None and value is not False:
            setattr(context.ensure_object(Settings), name, value)

    return callback


def _more(context: click.Context, _parameter: click.Parameter, value: int) -> None:
    context.ensure_object(Settings).verbose += value


def _no_color(context: click.Context, _parameter: click.Parameter, value: bool) -> None:
    if value:
        context.ensure_object(Settings).color = False


def _stacks(context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[str]:
    folder = context.ensure_object(Settings).directory
    names = [p.name[len("Pulumi.") : -len(".yaml")] for p in folder.glob("Pulumi.*.yaml")]
    return [name for name in sorted(names) if name.startswith(incomplete)]


def options(*, hidden: bool) -> list[click.Option]:
    """Return the global options: for the program itself, or for each command."""
    # Names of their own, since a command may have a parameter called "directory".
    shared: dict[str, Any] = {"expose_value": False, "is_eager": True, "hidden": hidden}
    return [
        click.Option(
            ["-s", "--stack", "everywhere_stack"],
            metavar="NAME",
            callback=_store("stack"),
            shell_complete=_stacks,
            help="Which cluster: Pulumi.NAME.yaml. Default: the only one there is.",
            **shared,
        ),
        click.Option(
            ["-C", "--directory", "everywhere_directory"],
            metavar="DIR",
            type=click.Path(file_okay=False, exists=True, path_type=Path),
            callback=_store("directory"),
            help="The folder of the cluster. Default: this one, or the nearest above it.",
            **shared,
        ),
        click.Option(
            ["--engine", "everywhere_engine"],
            type=click.Choice(["embedded", "upstream"]),
            callback=_store("engine"),
            help="embedded (default) needs nothing else; upstream drives the pulumi program.",
            **shared,
        ),
        click.Option(
            ["--json", "everywhere_json"],
            is_flag=True,
            callback=_store("json"),
            help="For machines: one JSON object a line on stdout.",
            **shared,
        ),
        click.Option(
            ["--no-color", "everywhere_no_color"],
            is_flag=True,
            callback=_no_color,
            help="Plain text only.",
            **shared,
        ),
        click.Option(
            ["-v", "--verbose", "everywhere_verbose"],
            count=True,
            callback=_more,
            help="Say more; twice, say everything.",
            **shared,
        ),
        click.Option(
            ["--debug", "everywhere_debug"],
            is_flag=True,
            callback=_store("debug"),
            help="Developer's detail, and a traceback when something fails.",
            **shared,
        ),
    ]

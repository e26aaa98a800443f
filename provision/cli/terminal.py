"""Where text goes: results to stdout, everything else to stderr, no secret to either.

Control characters in a text become visible here (`Terminal.clean`): others wrote most of it.
"""

from __future__ import annotations

import datetime
import json
import os
import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, TextIO

import click

from provision.cli import ctrl_c, naming, redaction, visible
from provision.secret import Secret

if TYPE_CHECKING:
    from rich.console import Console


SCHEMA = 1
"""The version of the JSON lines; raised when a field changes its meaning or goes."""


class _Masked:
    """A text stream that hides secrets in whatever passes through it."""

    def __init__(self, stream: TextIO, hide: redaction.Redactor) -> None:
        self._stream = stream
        self._hide = hide

    def write(self, text: str) -> int:
        self._stream.write(self._hide(text))
        return len(text)

    def flush(self) -> None:
        self._stream.flush()

    def isatty(self) -> bool:
        return self._stream.isatty()

    def fileno(self) -> int:
        return self._stream.fileno()

    @property
    def encoding(self) -> str:
        return self._stream.encoding


class Terminal:
    """What a command prints to and asks on."""

    def __init__(self, *, color: bool | None = None, json: bool = False) -> None:
        self.json = json
        self.hide = redaction.Redactor()
        self._color = color
        self._consoles: dict[str, Console] = {}

    @property
    def live(self) -> bool:
        """Whether a person watches stderr and lines may be drawn over."""
        dumb = os.environ.get("TERM", "") in ("dumb", "unknown")
        return sys.stderr.isatty() and not dumb and not self.json

    @property
    def can_ask(self) -> bool:
        """Whether there is someone to ask."""
        return sys.stdin.isatty() and sys.stderr.isatty() and not self.json

    def keep_secret(self, secrets: Iterable[Secret]) -> None:
        """Never print any of `secrets`, whatever brings it up."""
        self.hide.add(secrets)

    @property
    def out(self) -> Console:
        """The console of results."""
        return self._console("stdout")

    @property
    def err(self) -> Console:
        """The console of everything else."""
        return self._console("stderr")

    def clean(self, text: str) -> str:
        """Return `text` as it may be shown: without secrets, with control characters visible."""
        return visible.visible(self.hide(text))

    def told(self, text: str) -> str:
        """Return `text` as it may be told: clean, and with the names that people know."""
        return self.clean(naming.without_urns(text))

    def result(self, text: str) -> None:
        """Print a result."""
        click.echo(self.clean(text))

    def reveal(self, text: str, *, newline: bool = True) -> None:
        """Print a result that the user asked to see with its secrets.

        A program that reads it gets it as it is; on a terminal, control characters are visible.
        """
        shown = visible.visible(text) if sys.stdout.isatty() else text
        click.echo(shown, nl=newline, color=True)  # click would take escape sequences out

    def data(self, value: Any, *, secrets: bool = False) -> None:
        """Print `value` as one line of JSON: the result, or one event of many.

        `secrets`: the user asked to see it with its secrets.
        """
        text = json.dumps(value, ensure_ascii=False, default=str)
        click.echo(visible.in_json(text if secrets else self.hide(text)))

    def event(self, body: dict[str, Any]) -> None:
        """Print one line of the event stream, as ``docs/events.md`` describes it."""
        now = datetime.datetime.now(datetime.UTC).isoformat(timespec="milliseconds")
        version = {"schema": SCHEMA} if body["event"] == "prelude" else {}
        self.data({"event": body["event"], "time": now, **version, **body})

    def say(self, text: str = "") -> None:
        """Tell the user something that is not the result."""
        if not self.json:
            click.echo(self.told(text), err=True)

    def note(self, label: str, text: str, color: str) -> None:
        """Tell the user something with a coloured word in front: also beside JSON."""
        styled = click.style(label, fg=color, bold=True) if self._colored() else label
        click.echo(f"{styled} {self.told(text)}", err=True)

    def warn(self, text: str) -> None:
        """Tell the user of something that may hurt later."""
        self.note("warning:", text, "yellow")

    def confirm(self, question: str, *, default: bool = False) -> bool:
        """Ask yes or no, on stderr."""
        choice = "Y/n" if default else "y/N"
        while True:
            answer = self._line(f"{question} [{choice}]: ").strip().lower()
            if answer in ("", "y", "yes", "n", "no"):
                return answer.startswith("y") if answer else default
            click.echo("please answer y or n", err=True)

    def ask(self, question: str, *, default: str | None = None, secret: bool = False) -> str:
        """Ask for a text, on stderr; a secret one is not shown."""
        if secret:
            hidden: str = click.prompt(
                self.clean(question), default=default, hide_input=True, err=True
            )
            self.keep_secret([Secret(hidden)])
            return hidden.strip()
        shown = f" [{default}]" if default else ""
        while True:
            answer = self._line(f"{question}{shown}: ").strip()
            if answer or default is not None:
                return answer or default or ""

    def _line(self, prompt: str) -> str:
        """Return the line that a person types after `prompt`.

        Raises `click.Abort` at Ctrl-C and at the end of the input.
        """
        try:
            click.echo(self.clean(prompt), nl=False, err=True)
            ctrl_c.await_line(sys.stdin)
            line = sys.stdin.readline()
        except KeyboardInterrupt:
            line = ""
        if not line:
            click.echo(err=True)
            raise click.Abort
        return line

    def _colored(self) -> bool:
        if self._color is not None:
            return self._color
        if "NO_COLOR" in os.environ:
            return False
        return sys.stderr.isatty() and os.environ.get("TERM") != "dumb"

    def _console(self, name: str) -> Console:
        if name not in self._consoles:
            from provision.cli import consoles

            stream = sys.stdout if name == "stdout" else sys.stderr
            masked: Any = _Masked(stream, self.hide)
            self._consoles[name] = consoles.SafeConsole(
                file=masked,
                no_color=True if self._color is False else None,
                highlight=False,
                markup=False,
                emoji=False,
                # In a pipe a line is a line, however long.
                width=None if stream.isatty() else 10_000,
            )
        return self._consoles[name]

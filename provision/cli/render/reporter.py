"""Who listens to a run: a person at a terminal, a log file, or a machine."""

from __future__ import annotations

import contextlib
import re
import threading
import time
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from provision.cli import naming
from provision.cli.render import ops, run
from provision.engine import events

if TYPE_CHECKING:
    from rich import live

    from provision.cli.settings import Settings


_EVERY = 15.0
_SAY_EVERY = 25.0
"""Seconds of silence after which a log says again what is under way."""
_LOOK_EVERY = 1.0
_NUMBER = re.compile(r"\d+")


def of(called: Settings) -> Reporter:
    """Return the reporter that suits how the command was called."""
    if called.json:
        return JsonLines(called)
    return Live(called) if called.terminal.live else Lines(called)


class Reporter:
    """Takes events in. A context manager: leaving it restores the terminal."""

    def __init__(self, called: Settings) -> None:
        self.seen = run.Run()
        self._called = called
        self._terminal = called.terminal
        self._begun = time.monotonic()
        self._lock = threading.RLock()
        self._spoke = self._begun
        self._quiet = threading.Event()
        self._paused = False
        called.current_step = self.seen.current

    def __enter__(self) -> Self:
        threading.Thread(target=self._remind, name="reminder", daemon=True).start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._quiet.set()
        self.pause()

    def _remind(self) -> None:
        """Say what is under way whenever nothing was said for a while, until the end."""
        while not self._quiet.wait(_LOOK_EVERY):
            with self._lock:
                if not self._paused and time.monotonic() - self._spoke >= _SAY_EVERY:
                    self._spoke = time.monotonic()
                    with contextlib.suppress(OSError, ValueError):  # told by what comes next
                        self.remind()

    def on_event(self, event: events.Event) -> None:
        """Take one event of the engine in."""
        with self._lock:
            self._paused = False
            self.seen.see(event)
            self.show(event)

    def step(self, message: str) -> None:
        """Say what happens outside any resource (a `progress.Progress`)."""
        with self._lock:
            self._paused = False
            self.seen.step = message
            self.show_step(message)

    def show(self, event: events.Event) -> None:
        """Draw `event`; `seen` knows it already."""

    def show_step(self, message: str) -> None:
        """Draw a step outside any resource."""

    def remind(self) -> None:
        """Say again what is under way; nothing where it is seen all the time."""

    def pause(self) -> None:
        """Leave the terminal to a question or a result."""
        with self._lock:
            self._paused = True


class JsonLines(Reporter):
    """One JSON object a line on stdout, as ``docs/events.md`` says."""

    def show(self, event: events.Event) -> None:
        """Print `event`."""
        self._spoke = time.monotonic()
        self._terminal.event(events.to_json(event))

    def show_step(self, message: str) -> None:
        """Print a step."""
        self._spoke = time.monotonic()
        self._terminal.event({"event": "step", "message": message})

    def remind(self) -> None:
        """Print the last progress of each resource that is worked on, or the step."""
        for urn, active in self.seen.active.items():
            message = active.message or ops.sign(active.op).doing
            self.show(events.ResourceProgress(urn=urn, message=message))
        if not self.seen.active and self.seen.step and self.seen.summary is None:
            self.show_step(self.seen.step)


class Lines(Reporter):
    """Plain lines with the seconds since the start: for pipes and logs."""

    def __init__(self, called: Settings) -> None:
        super().__init__(called)
        self._shape = ""

    def show(self, event: events.Event) -> None:
        """Print what a reader of a log wants to know of `event`."""
        for line in described(self.seen, event, self._called.verbose):
            self._line(line)

    def show_step(self, message: str) -> None:
        """Print a step; one that only counts on is a line every `_EVERY` seconds."""
        shape, now = _NUMBER.sub("#", message), time.monotonic()
        if shape != self._shape or now - self._spoke >= _EVERY:
            self._shape = shape
            self._line(message)

    def remind(self) -> None:
        """Print what is under way, and since when."""
        now = time.monotonic()
        for urn, active in self.seen.active.items():
            message = active.message or ops.sign(active.op).doing
            self._line(f"  {self.seen.title(urn)}: {message} (for {now - active.since:.0f} s)")
        if not self.seen.active and self.seen.step and self.seen.summary is None:
            self._line(f"{self.seen.step} (still)")

    def _line(self, text: str) -> None:
        self._spoke = time.monotonic()
        self._terminal.say(f"[{time.monotonic() - self._begun:6.1f}s] {text}")


class Live(Lines):
    """What is going on now, redrawn in place; what is done stays above it."""

    def __init__(self, called: Settings) -> None:
        super().__init__(called)
        self._live: live.Live | None = None

    def show(self, event: events.Event) -> None:
        """Draw `event`: what is under way moves, so only its end leaves a line."""
        quiet = isinstance(event, (events.ResourceStarted, events.ResourceProgress))
        if not quiet or self._called.verbose:
            super().show(event)
            if isinstance(event, events.ResourceDone) and event.op not in ops.QUIET:
                planned = self.seen.planned.get(event.urn)
                for change in planned.changes if planned is not None else ():
                    self._line(f"  {change.summary}")
        self._draw()

    def show_step(self, message: str) -> None:
        """Draw a step."""
        self._draw()

    def remind(self) -> None:
        """Do nothing: what is under way is always in view."""

    def pause(self) -> None:
        """Take the moving part away."""
        super().pause()
        with self._lock:
            if self._live is not None:
                self._live.stop()
                self._live = None

    def _line(self, text: str) -> None:
        from provision.cli.render import text as rich_text

        sign, _, rest = naming.without_urns(text).partition(" ")
        style = next((s.style for s in ops.SIGNS.values() if s.sign == sign), "")
        style = {"✗": "bold red", "error:": "bold red", "warning:": "yellow"}.get(sign, style)
        line = rich_text.Text()
        line.append(f"{sign} ", style=style)
        line.append(rest)
        self._terminal.err.print(line)

    def _draw(self) -> None:
        from rich import live

        if self._live is None:
            if not self.seen.active and not self.seen.step:
                return
            self._live = live.Live(
                get_renderable=self._moving,
                console=self._terminal.err,
                refresh_per_second=8,
                transient=True,
                redirect_stdout=False,
                redirect_stderr=False,
            )
            self._live.start()

    def _moving(self) -> Any:
        from rich import spinner, table

        from provision.cli.render import text

        grid = table.Table.grid(padding=(0, 1))
        now = time.monotonic()
        rows = [
            (self.seen.title(urn), active.message or ops.sign(active.op).doing, now - active.since)
            for urn, active in list(self.seen.active.items())
        ]
        if not rows and self.seen.step and self.seen.summary is None:
            rows = [("", self.seen.step, now - self._begun)]
        for title, message, seconds in rows:
            line = text.Text.assemble((title, "bold"), "  " if title else "", message)
            line.no_wrap, line.overflow = True, "ellipsis"
            grid.add_row(self._spinner(spinner), line, text.Text(f"{seconds:.0f}s", style="dim"))
        return grid

    def _spinner(self, module: Any) -> Any:
        with contextlib.suppress(AttributeError):
            return self._shared_spinner
        self._shared_spinner = module.Spinner("dots", style="cyan")
        return self._shared_spinner


def described(seen: run.Run, event: events.Event, verbose: int) -> list[str]:
    """Return the lines that `event` is worth in a log."""
    match event:
        case events.ResourceStarted() if event.op not in ops.QUIET:
            sign = _sign(seen, event)
            lines = [f"{sign.sign} {seen.title(event.urn)}: {sign.doing}"]
            planned = seen.planned.get(event.urn)
            if seen.operation != "preview" and planned is not None:
                lines += [f"  {change.summary}" for change in planned.changes]
            return lines
        case events.ResourceProgress():
            title = f"{seen.title(event.urn)}: " if event.urn else ""
            return [f"  {title}{event.message}"]
        case events.ResourceDone() if event.op not in ops.QUIET:
            sign = _sign(seen, event)
            return [f"{sign.sign} {seen.title(event.urn)}: {sign.done} in {event.seconds:.1f}s"]
        case events.ResourceDone() if verbose:
            return [f"= {seen.title(event.urn)}: unchanged"]
        case events.ResourceFailed():
            first = str(event.error).partition("\n")[0]
            return [f"✗ {seen.title(event.urn)}: {first}"]
        case events.Diagnostic() if event.severity != "debug" or verbose > 1:
            title = f"{seen.title(event.urn)}: " if event.urn else ""
            return [f"{event.severity}: {title}{event.message}"]
        case _:
            return []


def _sign(seen: run.Run, event: events.ResourceStarted | events.ResourceDone) -> ops.Sign:
    adopted = event.op == "create" and event.urn in seen.adopted
    return ops.sign("import" if adopted else event.op)

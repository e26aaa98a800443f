"""Every size and shape, every operation, by all in turns."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from tests.bench import figures, machine
from tests.bench_engine import contenders, recorded

SIZES = (0, 25, 100, 500, 1000)
SHAPES = ("chained", "fanned out")
UNUSED = (
    *("paramiko", "github", "httpx2", "requests", "pulumi_kubernetes"),
    *("pydantic", "ruamel", "jinja2", "rich", "click", "stacks"),
)
"""What a program of this provider has no use for."""
_HALF = figures.Aim(comparison="<=", limit=0.5, of="ratio")
_FIFTH = figures.Aim(comparison="<=", limit=0.2, of="ratio")
_AT_ONCE = figures.Aim(comparison="<", limit=0.6, unit="s")
_NONE = figures.Aim(comparison="==", limit=0)
_STRICT = ("first up", "destroy")
_SMALL = 100
"""Up to this size it matters whether a language host is started."""
_IMPORTED = re.compile(r"^import time:\s*\d+ \|\s*\d+ \|\s*([\w.]+)$", re.MULTILINE)


class Run:
    """One run of the benchmark."""

    def __init__(self, table: figures.Table, folder: Path, say: Callable[[str], None]) -> None:
        self.version = contenders.version()
        self._table = table
        self._folder = folder
        self._say = say
        self._recorded: dict[str, Any] | None = None if self.version else recorded.load()
        self._problems: list[str] = []

    def all(self, sizes: Sequence[int], shapes: Sequence[str], rounds: int) -> list[str]:
        """Measure everything; return what could not be."""
        contenders.Embedded(self._folder / "warm").run("first up", 0, SHAPES[0])
        for count in sizes:
            for shape in shapes if count else SHAPES[:1]:
                for number in range(rounds):
                    self._say(f"{_what('', count, shape)}: round {number + 1} of {rounds}")
                    try:
                        self._round(count, shape, first=number == 0)
                    except machine.Failed as error:
                        self._problems.append(f"{_what('', count, shape)}: {error}")
        self._imports()
        return self._problems

    def _round(self, count: int, shape: str, *, first: bool) -> None:
        """Take one stack of each engine through its life, operation by operation."""
        here = self._folder / "round"
        try:
            ours = contenders.Embedded(here / "ours")
            floor = contenders.Floor(here / "floor")
            theirs = contenders.Upstream(here / "theirs") if self.version and first else None
            for operation in contenders.OPERATIONS:
                what = _what(operation, count, shape)
                self._add(what, ours, ours.run(operation, count, shape), _own(operation, count))
                if theirs is not None:
                    self._upstream(what, theirs, operation, count, shape)
                elif self._recorded is not None:
                    self._from_record(what, operation, count)
                if operation in ("preview", "first up", "no-op up"):
                    self._add(what, floor, floor.run(operation, count, shape), ())
        finally:
            shutil.rmtree(here, ignore_errors=True)

    def _upstream(
        self,
        what: str,
        theirs: contenders.Upstream,
        operation: contenders.Operation,
        count: int,
        shape: str,
    ) -> None:
        ran = theirs.run(operation, count, shape)
        self._add(what, theirs, ran, _aims(operation, count))
        if operation in contenders.IN_PROCESS and count <= _SMALL:
            ran = theirs.run(operation, count, shape, in_process=True)
            series = self._table.series(what, f"{theirs.name}, program in process", aims=(_HALF,))
            series.add(ran.seconds, ran.memory)

    def _from_record(self, what: str, operation: str, count: int) -> None:
        record = self._recorded or {}
        aims = _aims(operation, count)
        series = self._table.series(what, recorded.tool(record), aims=aims)
        if what in record["seconds"]:
            series.add(record["seconds"][what])
        else:
            series.lost("not recorded")

    def _add(
        self,
        what: str,
        one: contenders.Contender,
        ran: machine.Ran,
        aims: tuple[figures.Aim, ...],
    ) -> None:
        self._table.series(what, one.name, aims=aims).add(ran.seconds, ran.memory)

    def _imports(self) -> None:
        """Count what is imported for nothing, by Python's own list of imports."""
        ours = contenders.Embedded(self._folder / "imports")
        ours.run("first up", 0, SHAPES[0])
        traced = ours.trace("no-op up")
        seen = {name.split(".")[0] for name in _IMPORTED.findall(traced.output)}
        found = sorted(seen & set(UNUSED))
        what = "no-op up, 0 resources: imports without use"
        series = self._table.series(what, ours.name, unit="", aims=(_NONE,))
        series.add(len(found))
        if found:
            self._problems.append(f"imported without use: {', '.join(found)}")


def _what(operation: str, count: int, shape: str) -> str:
    sized = f"{count} {shape}" if count else "0 resources"
    return f"{operation}, {sized}" if operation else sized


def _own(operation: str, count: int) -> tuple[figures.Aim, ...]:
    return (_AT_ONCE,) if operation == "no-op up" and not count else ()


def _aims(operation: str, count: int) -> tuple[figures.Aim, ...]:
    return (_FIFTH,) if operation in _STRICT and count == 500 else (_HALF,)

"""Samples, their medians and paired ratios, and the table they make. Pure.

A ratio is taken within a round, elysium's value over the other's of the same
round, and only then the median: what the machine does besides hits both alike.
"""

from __future__ import annotations

import operator
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

ELYSIUM = "elysium"
HEADER = ("measurement", "with", "median (min–max)", "elysium ÷ it", "peak MB", "aim", "met")

Comparison = Literal["<=", "<", "=="]
_COMPARE = {"<=": operator.le, "<": operator.lt, "==": operator.eq}
_SIGNS = {"<=": "≤", "<": "<", "==": "="}


@dataclass(frozen=True, kw_only=True)
class Spread:
    """Median, smallest and largest of some values."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """Return the spread of `values`, which must not be empty."""
        return cls(median=statistics.median(values), low=min(values), high=max(values))

    def text(self, unit: str = "") -> str:
        """Return ``1.23 s (1.10–1.40)``; one number where all are the same."""
        unit = f" {unit}" if unit else ""
        if self.low == self.high:
            return f"{number(self.median)}{unit}"
        return f"{number(self.median)}{unit} ({number(self.low)}–{number(self.high)})"


@dataclass(frozen=True, kw_only=True)
class Aim:
    """What a value, or the ratio to a peer, has to be."""

    comparison: Comparison
    limit: float
    of: Literal["value", "ratio", "memory"] = "value"
    unit: str = ""

    def holds(self, value: float) -> bool:
        """Return whether `value` is as it has to be."""
        return bool(_COMPARE[self.comparison](value, self.limit))

    def text(self) -> str:
        """Return the aim as the table shows it."""
        sign = "×" if self.of == "ratio" else (f" {self.unit}" if self.unit else "")
        return f"{_SIGNS[self.comparison]} {number(self.limit)}{sign}"


@dataclass(frozen=True, kw_only=True)
class Sample:
    """One run: its value (seconds, unless the row says otherwise) and its peak memory."""

    value: float
    memory: float | None = None


@dataclass(kw_only=True)
class Series:
    """What one tool needed for one measurement, round by round.

    `samples` has None where the tool failed in a round, so that rounds stay
    paired; `note` says why there is nothing, or what else is to be known.
    """

    what: str
    tool: str
    unit: str = "s"
    aims: tuple[Aim, ...] = ()
    samples: list[Sample | None] = field(default_factory=list[Sample | None])
    note: str = ""

    def add(self, value: float, memory: float | None = None) -> None:
        """Add one round."""
        self.samples.append(Sample(value=value, memory=memory))

    def lost(self, why: str) -> None:
        """Add a round in which there was nothing to measure; `why` is kept as one line."""
        self.samples.append(None)
        self.note = " ".join(why.split())[:300]

    @property
    def values(self) -> list[float]:
        """The values of the rounds that have one."""
        return [sample.value for sample in self.samples if sample is not None]

    @property
    def memory(self) -> float | None:
        """The largest peak memory in MB, None where it was not looked at."""
        seen = [s.memory for s in self.samples if s is not None and s.memory is not None]
        return max(seen, default=None)


def paired(ours: Series, theirs: Series) -> list[float]:
    """Return ours ÷ theirs for every round that has both."""
    pairs = zip(ours.samples, theirs.samples, strict=False)
    return [a.value / b.value for a, b in pairs if a is not None and b is not None and b.value]


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """One aim, and whether it was met; `met` is None where there is nothing to judge by."""

    aim: Aim
    seen: float | None

    @property
    def met(self) -> bool | None:
        """Whether the median is as it has to be."""
        return None if self.seen is None else self.aim.holds(self.seen)

    def text(self) -> str:
        """Return the word for the table."""
        return {True: "yes", False: "**no**", None: "?"}[self.met]


class Table:
    """All series of a run, in the order in which they were first asked for."""

    def __init__(self) -> None:
        self._series: dict[tuple[str, str], Series] = {}

    def series(
        self, what: str, tool: str, *, unit: str = "s", aims: tuple[Aim, ...] = ()
    ) -> Series:
        """Return the series of `what` with `tool`; a new one gets `unit` and `aims`."""
        made = Series(what=what, tool=tool, unit=unit, aims=aims)
        return self._series.setdefault((what, tool), made)

    def __iter__(self):
        """Go through all series."""
        return iter(self._series.values())

    def ratios(self, series: Series) -> list[float]:
        """Return elysium ÷ `series` round by round; empty for elysium itself."""
        ours = self._series.get((series.what, ELYSIUM))
        if ours is None or ours is series:
            return []
        return paired(ours, series)

    def verdicts(self, series: Series) -> list[Verdict]:
        """Return how the aims of `series` came out."""
        ratios = self.ratios(series)
        seen = {
            "value": statistics.median(series.values) if series.values else None,
            "ratio": statistics.median(ratios) if ratios else None,
            "memory": series.memory,
        }
        return [Verdict(aim=aim, seen=seen[aim.of]) for aim in series.aims]

    def missed(self) -> list[str]:
        """Return a line for each aim that was not met."""
        return [
            f"{series.what}, {series.tool}: {number(verdict.seen or 0)}, aim {verdict.aim.text()}"
            for series in self
            for verdict in self.verdicts(series)
            if verdict.met is False
        ]

    def rows(self) -> list[tuple[str, ...]]:
        """Return the cells, `HEADER` not among them."""
        return [self._row(series) for series in self]

    def render(self) -> str:
        """Return the table as Markdown that is readable as plain text."""
        rows = [HEADER, *self.rows()]
        widths = [max(len(row[i]) for row in rows) for i in range(len(HEADER))]
        lines = [
            "| "
            + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
            + " |"
            for row in rows
        ]
        lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
        return "\n".join(lines)

    def data(self) -> list[dict[str, Any]]:
        """Return everything for a machine, round by round."""
        return [
            {
                "what": series.what,
                "with": series.tool,
                "unit": series.unit,
                "values": [None if s is None else s.value for s in series.samples],
                "memory": [None if s is None else s.memory for s in series.samples],
                "ratios": self.ratios(series),
                "aims": [
                    {"aim": v.aim.text(), "of": v.aim.of, "seen": v.seen, "met": v.met}
                    for v in self.verdicts(series)
                ],
                "note": series.note,
            }
            for series in self
        ]

    def _row(self, series: Series) -> tuple[str, ...]:
        values, ratios = series.values, self.ratios(series)
        value = Spread.of(values).text(series.unit) if values else "not measured"
        if values and len(values) < len(series.samples):
            value += f", {len(series.samples) - len(values)} failed"
        verdicts = self.verdicts(series)
        return (
            series.what,
            series.tool,
            value,
            Spread.of(ratios).text() if ratios else "",
            "" if series.memory is None else f"{series.memory:.0f}",
            ", ".join(v.aim.text() for v in verdicts),
            ", ".join(v.text() for v in verdicts),
        )


def number(value: float) -> str:
    """Return `value` with three digits that count, whole numbers as such."""
    if value == int(value) and abs(value) < 1e6:
        return str(int(value))
    if abs(value) >= 100:
        return f"{value:.0f}"
    return f"{value:.3g}" if abs(value) < 1 else f"{value:.{1 if abs(value) >= 10 else 2}f}"

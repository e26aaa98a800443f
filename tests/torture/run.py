"""Runs cases of several areas until a time is up, and counts."""

from __future__ import annotations

import tempfile
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.torture.cases import Area, Failure, Outcome


@dataclass(kw_only=True)
class Row:
    """What came of one area. `kinds` has the number of each kind of failure."""

    area: Area
    cases: int = 0
    tries: int = 0
    failures: int = 0
    seconds: float = 0.0
    kinds: dict[str, int] = field(default_factory=dict[str, int])


def one(area: Area, seed: int, number: int) -> Outcome:
    """Run one case in a folder of its own."""
    with tempfile.TemporaryDirectory(prefix="torture-", ignore_cleanup_errors=True) as folder:
        try:
            return area.case(seed, number).run(Path(folder))
        except Exception as error:  # noqa: BLE001 - the other cases are still run
            kind = f"the case itself ended with {type(error).__name__}"
            return Outcome(tries=0, failures=(Failure(kind=kind, text=traceback.format_exc()),))


def until(
    areas: Sequence[Area],
    seed: int,
    *,
    seconds: float,
    tell: Callable[[str], None],
    clock: Callable[[], float] = time.monotonic,
) -> list[Row]:
    """Run cases for `seconds`; the area that had the least time is next.

    Each area gets one case at least. `tell` gets each kind of failure once, with what runs it
    again.
    """
    rows = [Row(area=area) for area in areas]
    end = clock() + seconds
    while clock() < end or any(row.cases == 0 for row in rows):
        row = min(rows, key=lambda row: (row.cases > 0, row.seconds))
        began, number = clock(), row.cases
        outcome = one(row.area, seed, number)
        row.seconds += clock() - began
        row.cases += 1
        row.tries += outcome.tries
        for failure in outcome.failures:
            row.failures += 1
            row.kinds[failure.kind] = row.kinds.get(failure.kind, 0) + 1
            if row.kinds[failure.kind] == 1:
                tell(told(row.area, seed, number, failure))
    return rows


def told(area: Area, seed: int, number: int, failure: Failure) -> str:
    """Return the text about a failure: what runs it again, and what happened."""
    again = f"python -m tests.torture --seed {seed} --case {area.name}/{number}"
    return f"FAILED {failure.kind}\n  {again}\n{failure.text}\n"


def table(rows: Sequence[Row]) -> str:
    """Return the table of a run."""
    lines = ["| area | cases | tries | failures | kinds of failure | time |"]
    lines.append("|---|---:|---:|---:|---:|---:|")
    lines += [
        f"| {row.area.name} | {row.cases:,} | {row.tries:,} {row.area.counts} | {row.failures:,} "
        f"| {len(row.kinds)} | {row.seconds:.0f} s |"
        for row in rows
    ]
    return "\n".join(lines) + "\n"

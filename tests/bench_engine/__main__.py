"""Run it: ``python -m tests.bench_engine [--size N] [--rounds N] [--json FILE] [--record]``."""

from __future__ import annotations

import argparse
import os
import pathlib
import sys
import tempfile
import time
from collections.abc import Sequence

from tests.bench import figures, machine, report
from tests.bench_engine import measuring, recorded


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print the table; return 1 when something could not be measured."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench_engine", description=__doc__)
    add = parser.add_argument
    add("--size", action="append", type=int, help="this many resources; repeatable")
    add("--shape", action="append", choices=measuring.SHAPES, help="this shape; repeatable")
    add("--record", action="store_true", help="keep upstream's times as the recorded ones")
    report.add_arguments(parser, rounds=3, of="ours and the floor")
    given = parser.parse_args(arguments)
    report.end_with_sigterm()
    on = machine.describe()
    began = time.monotonic()
    table = figures.Table()
    with tempfile.TemporaryDirectory(prefix="elysium-bench-") as folder:
        run = measuring.Run(table, pathlib.Path(folder), report.say)
        problems = run.all(
            given.size or measuring.SIZES, given.shape or measuring.SHAPES, given.rounds
        )
    heading = (
        f"{on}\nmedians of {given.rounds} rounds (smallest–largest), upstream once; "
        "ratios are paired within a round; peak memory is of the largest process"
    )
    report.show(table, heading, {"Could not be measured": problems})
    if given.json:
        report.write_json(given.json, table, on, given.rounds)
    if given.record and run.version:
        recorded.write(table, f"pulumi {run.version}", run.version, on)
    report.say(f"took {time.monotonic() - began:.0f} s")
    return 1 if problems else 0


if __name__ == "__main__":
    os.chdir(pathlib.Path(__file__).parents[2])
    sys.exit(main())

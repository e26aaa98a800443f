"""Run it: ``python -m tests.bench_engine [--size N] [--rounds N] [--json FILE] [--record]``."""

from __future__ import annotations

import argparse
import json
import os
import pathlib
import signal
import sys
import tempfile
import time
from collections.abc import Sequence

from tests.bench import figures, machine
from tests.bench_engine import measuring, recorded


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print the table; return 1 when something could not be measured."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench_engine", description=__doc__)
    add = parser.add_argument
    add("--size", action="append", type=int, help="this many resources; repeatable")
    add("--shape", action="append", choices=measuring.SHAPES, help="this shape; repeatable")
    add("--rounds", type=int, default=3, help="rounds of ours and the floor (default 3)")
    add("--json", type=pathlib.Path, metavar="FILE", help="every sample, too")
    add("--record", action="store_true", help="keep upstream's times as the recorded ones")
    given = parser.parse_args(arguments)
    if given.rounds < 1:
        parser.error("--rounds must be 1 or more")
    signal.signal(signal.SIGTERM, _end)  # so that what was started ends too
    on = machine.describe()
    began = time.monotonic()
    table = figures.Table()
    with tempfile.TemporaryDirectory(prefix="elysium-bench-") as folder:
        run = measuring.Run(table, pathlib.Path(folder), _say)
        problems = run.all(
            given.size or measuring.SIZES, given.shape or measuring.SHAPES, given.rounds
        )
    _print(f"{on}\nmedians of {given.rounds} rounds (smallest–largest), upstream once; ratios are")
    _print("paired within a round; peak memory is of the largest process\n")
    _print(table.render())
    for title, lines in (("Aims not met", table.missed()), ("Could not be measured", problems)):
        if lines:
            _print(f"\n{title}:\n" + "\n".join(f"- {line}" for line in lines))
    if given.json:
        document = {"machine": on, "rounds": given.rounds, "series": table.data()}
        given.json.write_text(json.dumps(document, indent=2) + "\n")
    if given.record and run.version:
        recorded.write(table, f"pulumi {run.version}", run.version, on)
    _say(f"took {time.monotonic() - began:.0f} s")
    return 1 if problems else 0


def _print(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def _say(message: str) -> None:
    sys.stderr.write(f"{time.strftime('%H:%M:%S')} {message}\n")


def _end(number: int, _frame: object) -> None:
    del _frame
    raise SystemExit(128 + number)


if __name__ == "__main__":
    os.chdir(pathlib.Path(__file__).parents[2])
    sys.exit(main())

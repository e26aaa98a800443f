"""Run the benchmark: ``python -m tests.bench [--only NAME] [--rounds N] [--json FILE]``."""

from __future__ import annotations

import argparse
import importlib
import json
import os
import pathlib
import signal
import sys
import time
from collections.abc import Sequence

from provision import errors
from tests.bench import figures, machine

PARTS = {
    "help": "tests.bench.helped",
    "upload": "tests.bench.upload",
    "up": "tests.bench.whole",
    "host": "tests.bench.host",
    "cold-start": "tests.bench.coldstart",
    "rotation": "tests.bench.rotation",
    "recovery": "tests.bench.recovery",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print the table; return 1 when a part could not be measured."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--only", action="append", choices=PARTS, help="this part; repeatable")
    parser.add_argument("--rounds", type=int, default=5, help="rounds of each part (default 5)")
    parser.add_argument("--json", type=pathlib.Path, metavar="FILE", help="every sample, too")
    given = parser.parse_args(arguments)
    if given.rounds < 1:
        parser.error("--rounds must be 1 or more")
    signal.signal(signal.SIGTERM, _end)  # so that what was started is taken down
    on = machine.describe()
    table = figures.Table()
    problems: list[str] = []
    began = time.monotonic()
    for name, module in PARTS.items():
        if given.only and name not in given.only:
            continue
        try:
            importlib.import_module(module).run(table, given.rounds, _say)
        except machine.Failed as error:
            problems.append(f"{name}: {error}")
        except errors.ElysiumError as error:
            problems.append(f"{name}: {error.summary} {error.detail}".strip())
    _print(f"{on}\nmedians of {given.rounds} interleaved rounds (smallest–largest); ", end="")
    _print("ratios are paired within a round; peak memory is of the largest process\n")
    _print(table.render())
    notes = {f"{series.tool}: {series.note}" for series in table if series.note}
    for title, lines in (
        ("Aims not met", table.missed()),
        ("Notes", sorted(notes)),
        ("Could not be measured", problems),
    ):
        if lines:
            _print(f"\n{title}:\n" + "\n".join(f"- {line}" for line in lines))
    if given.json:
        document = {"machine": on, "rounds": given.rounds, "series": table.data()}
        given.json.write_text(json.dumps(document, indent=2) + "\n")
    _say(f"took {time.monotonic() - began:.0f} s")
    return 1 if problems else 0


def _print(text: str, end: str = "\n") -> None:
    sys.stdout.write(text + end)
    sys.stdout.flush()


def _say(message: str) -> None:
    sys.stderr.write(f"{time.strftime('%H:%M:%S')} {message}\n")


def _end(number: int, _frame: object) -> None:
    del _frame
    raise SystemExit(128 + number)


if __name__ == "__main__":
    os.chdir(pathlib.Path(__file__).parents[2])
    sys.exit(main())

"""Run the benchmark: ``python -m tests.bench``; ``--help`` lists the options."""

from __future__ import annotations

import argparse
import importlib
import os
import pathlib
import sys
import time
from collections.abc import Sequence

from provision import errors
from tests.bench import figures, machine, report

PARTS = {
    "help": "tests.bench.helped",
    "upload": "tests.bench.upload",
    "up": "tests.bench.whole",
    "host": "tests.bench.host",
    "cold-start": "tests.bench.coldstart",
    "home-ops": "tests.bench.homeops",
    "rotation": "tests.bench.rotation",
    "recovery": "tests.bench.recovery",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print the table; return 1 when a part could not be measured."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--only", action="append", choices=PARTS, help="this part; repeatable")
    report.add_arguments(parser, rounds=5, of="each part")
    parser.add_argument(
        "--against", metavar="REV", help="pair the no-op up with the one of another commit"
    )
    given = parser.parse_args(arguments)
    report.end_with_sigterm()
    on = machine.describe()
    table = figures.Table()
    problems: list[str] = []
    began = time.monotonic()
    for name, module in PARTS.items():
        if given.only and name not in given.only:
            continue
        more = {"against": given.against} if name == "up" and given.against else {}
        try:
            importlib.import_module(module).run(table, given.rounds, report.say, **more)
        except machine.Failed as error:
            problems.append(f"{name}: {error}")
        except errors.ElysiumError as error:
            problems.append(f"{name}: {error.summary} {error.detail}".strip())
    heading = (
        f"{on}\nmedians of {given.rounds} interleaved rounds (smallest–largest); "
        "ratios are paired within a round; peak memory is of the largest process"
    )
    notes = sorted({f"{series.tool}: {series.note}" for series in table if series.note})
    report.show(table, heading, {"Notes": notes, "Could not be measured": problems})
    if given.json:
        report.write_json(given.json, table, on, given.rounds)
    report.say(f"took {time.monotonic() - began:.0f} s")
    return 1 if problems else 0


if __name__ == "__main__":
    os.chdir(pathlib.Path(__file__).parents[2])
    sys.exit(main())

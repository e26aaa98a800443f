"""``python -m tests.torture [--seed N] [--minutes M] [--area A …] [--case AREA/K]``."""

from __future__ import annotations

import argparse
import random
import sys

from tests.torture import areas, run


def main(words: list[str]) -> int:
    """Run what `words` ask for; 1 when something failed, 2 for wrong words."""
    parser = argparse.ArgumentParser(prog="python -m tests.torture", allow_abbrev=False)
    parser.add_argument("--seed", type=int, help="the seed of all cases (default: a new one)")
    parser.add_argument("--minutes", type=float, default=3.0, help="how long (default: 3)")
    names = list(areas.AREAS)
    parser.add_argument(
        "--area", action="append", choices=names, help="only this area; can be given again"
    )
    parser.add_argument("--case", metavar="AREA/K", help="run this one case, and nothing else")
    asked = parser.parse_args(words)
    seed = random.SystemRandom().randrange(2**32) if asked.seed is None else asked.seed
    _tell(f"seed {seed}\n")
    if asked.case is not None:
        name, _, number = asked.case.partition("/")
        if name not in areas.AREAS or not number.isdecimal():
            parser.error(f"--case is AREA/K: one of {', '.join(names)}, and a number from 0")
        return _replay(name, int(number), seed)
    chosen = [areas.AREAS[name] for name in asked.area or names]
    rows = run.until(chosen, seed, seconds=asked.minutes * 60, tell=_tell)
    _tell(f"\nseed {seed}\n\n{run.table(rows)}")
    return 1 if any(row.failures for row in rows) else 0


def _replay(name: str, number: int, seed: int) -> int:
    area = areas.AREAS[name]
    _tell(f"{name}/{number}: {area.case(seed, number).title}\n")
    outcome = run.one(area, seed, number)
    for failure in outcome.failures:
        _tell(run.told(area, seed, number, failure))
    _tell(f"{outcome.tries:,} {area.counts}, {len(outcome.failures)} failures\n")
    return 1 if outcome.failures else 0


def _tell(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""``python -m tests.upstream [--only ENGINE] [--build]``: see the package."""

from __future__ import annotations

import argparse
import pathlib
import signal
import sys
import tempfile
import time
from collections.abc import Sequence

from provision import errors
from tests.upstream import lives, page, parts

_ENGINES: tuple[lives.Engine, ...] = ("upstream", "embedded")


def main(arguments: Sequence[str] | None = None) -> int:
    """Build, run both lives, write the table; 1 when anything was wrong."""
    parser = argparse.ArgumentParser(prog="python -m tests.upstream", description=__doc__)
    parser.add_argument("--only", choices=_ENGINES, help="the life that this engine begins")
    parser.add_argument("--build", action="store_true", help="build the programs, and end")
    given = parser.parse_args(arguments)
    signal.signal(signal.SIGTERM, lambda number, _frame: sys.exit(128 + number))
    try:
        programs = parts.ensure(_say)
    except errors.ElysiumError as error:
        _say(f"{error}\n{error.hint}")
        return 1
    _say(f"pulumi and its kubernetes plugin: {programs}")
    if given.build:
        return 0
    results: list[list[lives.Result]] = []
    for first in _ENGINES:
        if given.only not in (None, first):
            continue
        _say(f"the life that {first} begins")
        with tempfile.TemporaryDirectory(prefix="elysium-upstream-") as folder:
            results.append(lives.run(first, programs, pathlib.Path(folder) / "stack", _say))
    wrong = [each for life in results for step in life for each in step.wrong]
    if wrong:
        _say(f"{len(wrong)} wrong")
        return 1
    if given.only is None:
        page.write(page.table(results, parts.versions()))
        _say(f"the table is in {page.PAGE}")
    return 0


def _say(text: str) -> None:
    sys.stdout.write(f"{time.strftime('%H:%M:%S')} {text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())

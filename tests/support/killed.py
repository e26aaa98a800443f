"""``python -m tests.support.killed FILE NUMBER ARGS…``: elysium, killed at a point between steps.

The points are those of the code, counted as the run passes them: each step of
a backup, a restore or a drill when it is done and, of a restore, again when
that is noted. At the one with the given number its name goes into FILE and the
process ends as by SIGKILL; with fewer points it runs to its end.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import pathlib
import signal
import subprocess
import sys
from collections.abc import Callable, Generator
from typing import Any

from provision.cli import main
from provision.recovery import journal
from provision.recovery.backup import backup
from provision.recovery.drill import rehearse
from tests.support import lab as labs


class Points:
    """Counts the points, and ends the process at one of them."""

    def __init__(self, file: pathlib.Path, number: int) -> None:
        self._file, self._left = file, number

    def passed(self, name: str) -> None:
        """Pass the next point."""
        self._left -= 1
        if self._left == 0:
            self._file.write_text(name)
            os.kill(os.getpid(), signal.SIGKILL)


def backups(points: Points) -> None:
    """Have the steps of a backup be points."""

    def watched(step: backup.Step) -> backup.Step:
        def do(work: backup.Work) -> None:
            step.do(work)
            points.passed(step.name)

        return dataclasses.replace(step, do=do)

    backup.STEPS = tuple(map(watched, backup.STEPS))  # type: ignore[misc]


def restores(points: Points) -> None:
    """Have the steps of a restore be points, and the notes of them."""
    original, end = journal.Keeper.carry_out, journal.Keeper.end

    def carry_out(self: journal.Keeper, step: str, do: Callable[[], None]) -> bool:
        def done() -> None:
            do()
            points.passed(f"{step} done")

        now = original(self, step, done)
        if now:
            points.passed(f"{step} noted")
        return now

    def ended(self: journal.Keeper) -> None:
        end(self)
        points.passed("end noted")

    journal.Keeper.carry_out = carry_out  # type: ignore[method-assign]
    journal.Keeper.end = ended  # type: ignore[method-assign]


def drills(points: Points) -> None:
    """Have the steps of a drill be points."""
    clock: Any = vars(rehearse)["_Clock"]
    original = clock.step

    @contextlib.contextmanager
    def step(self: Any, name: str, does: str) -> Generator[None]:
        with original(self, name, does):
            yield
        points.passed(name)

    clock.step = step


def run(lab: labs.Lab, file: pathlib.Path, number: int, *args: str, **environ: str) -> str:
    """Run ``elysium ARGS`` in the lab's folder; return the point it was killed at.

    It is empty when it came to its end, which must be a good one.
    """
    file.unlink(missing_ok=True)
    done = subprocess.run(
        [sys.executable, "-m", "tests.support.killed", str(file), str(number), *args],
        cwd=lab.folder,
        env=lab.environ | environ | {"PYTHONPATH": str(pathlib.Path(__file__).parents[2])},
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )
    if done.returncode == -signal.SIGKILL and file.exists():
        return file.read_text()
    assert done.returncode == 0, done.stdout + done.stderr
    return ""


if __name__ == "__main__":
    counted = Points(pathlib.Path(sys.argv[1]), int(sys.argv[2]))
    {"backup": backups, "restore": restores, "drill": drills}[
        next(word for word in sys.argv[3:] if not word.startswith("-"))
    ](counted)
    sys.exit(main.main(sys.argv[3:]))

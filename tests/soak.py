"""Many rotations of the deploy key under load: ``python -m tests.soak [--rounds N]``.

In a sandbox of its own, with Flux fetching and pushing all the while
(`tests.support.rotation_load`), the key is rotated N times. One fetch or push
that fails, as the git server counts, is a failure of the whole.
"""

from __future__ import annotations

import argparse
import os
import pathlib
import signal
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence

from provision.operations.rotation import deploy_key
from provision.operations.stack import open_stack
from tests.support import lab as labs
from tests.support import rotation_load


def rotate(lab: labs.Lab) -> deploy_key.Rotated:
    """Rotate as ``elysium rotate deploy-key --yes`` does, in this process."""
    with open_stack(lab.folder, None, engine="embedded") as stack:
        before = deploy_key.look(stack)
        deploy_key.check(stack)
        wish = deploy_key.Wish(reason="soak")
        return deploy_key.rotate(stack, wish, before=before, on_event=lambda _event: None)


def soak(lab: labs.Lab, rounds: int, say: Callable[[str], None]) -> list[str]:
    """Rotate `rounds` times under load; return everything that is not as it must be."""
    wrong: list[str] = []
    seconds: list[float] = []
    os.environ.update(lab.environ)
    with rotation_load.running(lab) as load:
        for number in range(1, rounds + 1):
            old = rotation_load.key_in_force(lab)
            seconds.append(rotate(lab).seconds)
            new = rotation_load.key_in_force(lab)
            prints = {old.fingerprint, new.fingerprint}
            if len(prints) != 2:
                wrong.append(f"round {number}: the key is the same")
            titles = [key["title"] for key in lab.forge.deploy_keys()]
            if len(titles) != 1 or not titles[0].startswith(f"elysium/{lab.cluster}/"):
                wrong.append(f"round {number}: the keys are {titles}")
            if not rotation_load.refused(lab, old.private):
                wrong.append(f"round {number}: the old key still opens the repository")
            # What the old key was used for by this look is the test's own, not Flux'.
            load.forgive(old.fingerprint)
            load.await_both(new.fingerprint)
            failed = load.failures()
            say(
                f"{number}/{rounds}: {seconds[-1]:.1f} s, {len(load.records('fetch'))} fetches,"
                f" {len(load.records('push'))} pushes, {len(failed)} failed"
            )
            if failed:
                wrong += [f"round {number}: {one}" for one in failed]
                break
        fetches, commits = load.rates()
        say(
            f"{len(seconds)} rotations, median {statistics.median(seconds):.1f} s"
            f" ({min(seconds):.1f}-{max(seconds):.1f}); {fetches:.1f} fetches and"
            f" {commits:.2f} commits a second; {len(load.failures())} failed"
        )
    return wrong


def main(arguments: Sequence[str] | None = None) -> int:
    """Make a sandbox, soak, take it down; 1 when anything was wrong."""
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.add_argument("--rounds", type=int, default=100, help="how many rotations (100)")
    given = parser.parse_args(arguments)
    signal.signal(signal.SIGTERM, lambda number, _frame: sys.exit(128 + number))
    with (
        tempfile.TemporaryDirectory(prefix="elysium-soak-") as folder,
        labs.sandbox("soak") as sandbox,
    ):
        lab = labs.make(sandbox, pathlib.Path(folder) / "stack")
        labs.configure(lab)
        lab.elysium("up", "--yes").ok()
        wrong = soak(lab, given.rounds, _say)
    for line in wrong:
        _say(line)
    return 1 if wrong else 0


def _say(text: str) -> None:
    sys.stdout.write(f"{time.strftime('%H:%M:%S')} {text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())

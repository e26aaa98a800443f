"""What elysium deletes, on random trees, over SSH, for every login shell: nothing else changes.

Each run has another seed, which a failure names; ``ELYSIUM_SEED`` has it run again.
``ELYSIUM_ROUNDS`` is how many trees each shell gets: 2 by default, and 4 have every job meet it.
"""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import loginshells, removalworlds, rooms

pytestmark = [pytest.mark.sandbox, pytest.mark.timeout(1800)]

SEED = int(os.environ.get("ELYSIUM_SEED") or random.SystemRandom().randrange(1 << 32))
ROUNDS = int(os.environ.get("ELYSIUM_ROUNDS") or 2)
JOBS = ("destroy", "keep-data", "script", "media")
LOCK = "/run/elysium/lock"
"""The lock of whoever changes a node; it stays until the next boot."""


@pytest.fixture(scope="module")
def made() -> Iterator[rooms.Rooms]:
    found = rooms.Rooms()
    yield found
    found.close()


@pytest.mark.skipif(not Path("/usr/bin/systemctl").exists(), reason="a stub is mounted there")
@pytest.mark.parametrize("shell", loginshells.SHELLS)
def test_nothing_that_is_not_listed_changes(made: rooms.Rooms, shell: str) -> None:
    number = loginshells.SHELLS.index(shell)
    order = random.Random(SEED).sample(JOBS, len(JOBS))  # noqa: S311 - a test's
    for round_ in range(ROUNDS):
        job = order[(number + round_) % len(order)]
        seed = hash((SEED, number, round_)) % (1 << 32)
        again = f"{job} from {shell}, tree {seed}: ELYSIUM_SEED={SEED} ELYSIUM_ROUNDS={ROUNDS}"
        removed(made, loginshells.program(shell), job, seed, again)


def removed(made: rooms.Rooms, shell: str, job: str, seed: int, again: str) -> None:
    if job == "media":
        media = removalworlds.MediaWorld(seed)
        told = made.run(job, shell, media.tree, inputs=media.inputs)
        expected, stay = media.expected(told.before), media.stay(told.before)
        views: list[str] = []
    else:
        world = removalworlds.K3sWorld(seed)
        keep = job == "keep-data" or (job == "script" and seed % 2 == 0)
        job = "script-keep" if job == "script" and keep else job
        told = made.run(job, shell, world.tree, options=world.options)
        expected, stay = world.expected(told.before, keep=keep), world.stay(told.before)
        views = world.views
    assert told.error == "", again
    after = {path: text for path, text in told.after.files.items() if path != LOCK}
    assert after == expected, again
    assert stay - told.after.folders == set(), again
    assert len(told.before.mounts - told.after.mounts) <= 2 * len(views), again


@pytest.mark.parametrize("job", ["destroy", "media"])
@pytest.mark.parametrize("shell", loginshells.RESTRICTED)
def test_a_restricted_shell_is_an_error_that_names_it(
    made: rooms.Rooms, shell: str, job: str
) -> None:
    world = removalworlds.K3sWorld(SEED) if job == "destroy" else removalworlds.MediaWorld(SEED)
    values = {"options": getattr(world, "options", {}), "inputs": getattr(world, "inputs", {})}
    told = made.run(job, loginshells.program(shell), world.tree, **values)
    assert "login shell of root" in told.error and "chsh -s /bin/sh root" in told.error
    assert (told.after.files, told.after.mounts) == (told.before.files, told.before.mounts)
    assert told.after.folders == told.before.folders

"""Backup, restore and drill, killed after every step of theirs: run again, they complete.

Where they can be killed is counted in the code (`tests.support.killed`), so a
new step is killed at, too. One sandbox serves all; a restore that was killed
goes on in the next run, so that one fresh node serves a whole mode.
"""

from __future__ import annotations

import json
import os
import pathlib

import pytest

from provision.recovery import journal
from provision.recovery.backup import backup
from provision.recovery.bundle import archive, encryption
from provision.recovery.bundle import validation as bundle_validation
from provision.recovery.restore import steps as restore_steps
from provision.sandbox import lifecycle, renewal
from provision.secret import Secret
from tests.support import coldstarts, killed, night
from tests.support import lab as labs


@pytest.fixture(scope="module")
def stacks(lab: labs.Lab) -> list[labs.Lab]:
    """The folders from which the cluster was made; the last one is that of the node there is."""
    return [lab]


@pytest.mark.parametrize("mode", ["rebuild", "datastore"])
def test_a_restore_goes_on_after_every_step(
    lab: labs.Lab,
    kept: pathlib.Path,
    before: dict[str, object],
    stacks: list[labs.Lab],
    mode: journal.Mode,
    tmp_path: pathlib.Path,
) -> None:
    """Killed when a step is done, and again when that is noted: the step is done twice."""
    lab.sandbox = renewal.replace_node(lab.sandbox.name)
    fresh = night.elsewhere(lab, tmp_path)
    stacks.append(fresh)
    node = lab.sandbox.node
    words = ("restore", str(kept), *(("--datastore",) if mode == "datastore" else ()), "--yes")
    words += night.trusting(lab)
    point, seen = tmp_path / "point", list[str]()
    host: tuple[str, ...] = ("--host", node.host, "--host-key", node.host_key)
    for step in restore_steps.STEPS[mode]:
        for moment, number in (("done", 1), ("noted", 2)):
            seen.append(killed.run(fresh, point, number, *words, *host, **night.PHRASE))
            assert seen[-1] == f"{step.name} {moment}"
            unfinished = journal.load(tmp_path, "kyrion").open
            assert unfinished is not None
            if unfinished.steps:
                host = ()  # from the first step on it is known here
    assert killed.run(fresh, point, 1, *words, **night.PHRASE) == "end noted"
    (only,) = journal.load(tmp_path, "kyrion").runs
    assert list(only.steps) == [step.name for step in restore_steps.STEPS[mode]] and only.finished
    assert night.secrets(lab) == before
    assert coldstarts.ready(lab) == night.ALL
    assert len(lab.forge.with_repository("deadlocked").deploy_keys()) == 1
    night.unchanged(fresh)
    again = fresh.elysium(
        *(*words, "--host", node.host, "--host-key", node.host_key, "--anyway"),
        environ=night.PHRASE,
    )
    assert again.status == 2 and "still answers" in again.stderr


def test_a_backup_is_made_by_the_next_run(stacks: list[labs.Lab], tmp_path: pathlib.Path) -> None:
    lab = stacks[-1]
    shelf = lab.folder / ".elysium" / "backups"
    keys = encryption.Passphrase(secret=Secret(night.PHRASE["ELYSIUM_BACKUP_PASSPHRASE"]))
    words = ("backup", "--datastore")
    seen: list[str] = []
    while point := killed.run(lab, tmp_path / "point", len(seen) + 1, *words, **night.PHRASE):
        seen.append(point)
    assert seen == [step.name for step in backup.STEPS]
    for path in shelf.glob("*.age"):
        bundle_validation.check(archive.read(path.read_bytes(), keys))
    lab.elysium("backup", "verify", environ=night.PHRASE).ok()
    left = lab.on_node("ls -A /var/lib/rancher/k3s/server/db")
    assert ".elysium-backup" not in left


@pytest.mark.parametrize("mode", ["rebuild", "datastore"])
def test_a_drill_is_passed_by_the_next_run(
    lab: labs.Lab, kept: pathlib.Path, mode: journal.Mode, tmp_path: pathlib.Path
) -> None:
    name = f"killed-{os.getpid()}"
    more = ("--datastore",) if mode == "datastore" else ()
    words = ("drill", str(kept), *more, "--name", name, "--report", str(tmp_path / "reports"))
    seen: list[str] = []
    try:
        while point := killed.run(lab, tmp_path / "point", len(seen) + 1, *words, **night.PHRASE):
            seen.append(point)
            assert not list(tmp_path.glob("reports/*"))
    finally:
        if lifecycle.status(name) is not None:
            lifecycle.down(name)
    wanted = ["sandbox", *(step.name for step in restore_steps.STEPS[mode])]
    assert [point for point in seen if point in wanted] == wanted
    assert ("turn" in seen) == (mode == "datastore")
    (report,) = tmp_path.glob("reports/*.json")
    assert json.loads(report.read_bytes())["passed"]

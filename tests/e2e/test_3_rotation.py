"""The deploy key rotated while Flux fetches and pushes, twice at once, and killed on the way.

A slice of ``make soak``, which does the first a hundred times.
"""

from __future__ import annotations

import signal
import subprocess

from tests.support import lab as labs
from tests.support import rotation_load


def begin(lab: labs.Lab, until: str) -> subprocess.Popen[str]:
    """Start a rotation and return when it has said `until`."""
    process = subprocess.Popen(
        [str(labs.ELYSIUM), "rotate", "deploy-key", "--yes"],
        cwd=lab.folder,
        env=lab.environ,
        text=True,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    assert process.stderr is not None
    said: list[str] = []
    for line in process.stderr:
        said.append(line)
        if until in line:
            return process
    raise AssertionError(f"it ended with {process.wait()} before it said {until}\n{''.join(said)}")


def titles(lab: labs.Lab) -> list[str]:
    return [key["title"] for key in lab.forge.deploy_keys()]


def test_no_fetch_and_no_push_fails(lab: labs.Lab, up: labs.Done) -> None:
    with rotation_load.running(lab) as load:
        for _ in range(2):
            old = rotation_load.key_in_force(lab)
            lab.elysium("rotate", "deploy-key", "--yes").ok()
            new = rotation_load.key_in_force(lab)
            load.await_both(new.fingerprint)
            assert load.failures() == []
            assert new.fingerprint != old.fingerprint
            assert len(titles(lab)) == 1
    assert {one["key"] for one in load.records("push")} >= {old.fingerprint, new.fingerprint}
    assert rotation_load.refused(lab, old.private)
    assert not rotation_load.refused(lab, new.private)


def test_of_two_at_once_the_second_is_refused(lab: labs.Lab, up: labs.Done) -> None:
    before = titles(lab)
    first = begin(lab, "registering the deploy key")
    first.send_signal(signal.SIGSTOP)
    try:
        second = lab.elysium("rotate", "deploy-key", "--yes")
    finally:
        first.send_signal(signal.SIGCONT)
    assert second.status == 7
    assert f"process {first.pid}" in second.stderr
    first.communicate(timeout=300)
    assert first.returncode == 0
    (after,) = titles(lab)
    assert after not in before


def test_killed_after_the_switch_the_next_run_finishes(lab: labs.Lab, up: labs.Done) -> None:
    (old,) = titles(lab)
    process = begin(lab, "its controller has not acted yet")
    process.kill()
    process.communicate(timeout=60)
    (new,) = [title for title in titles(lab) if title != old]
    # Which key is in force, and what is left over, can be seen at once.
    seen = lab.elysium("status")
    assert new in seen.stdout and f"remove the deploy key '{old}'" in seen.stdout
    lab.elysium("up", "--yes").ok()
    assert titles(lab) == [new]
    lab.elysium("status").ok()

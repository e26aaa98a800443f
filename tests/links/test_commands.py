"""`up`, `backup` and `restore` over connections that stall, break, drip or are damaged.

At each phase each connection fails once in each way (`make links`), or one of them in one way.
Each run ends in time with a message that names the connection; once the fault is gone, the
same command comes to its end, and a second one changes nothing.
"""

from __future__ import annotations

import json
import pathlib
import shutil

import pytest

from provision.sandbox import renewal
from tests.links.conftest import World
from tests.support import lab as labs
from tests.support import linked, night

LONGEST = 1000
"""Runs of one command. Each has a fault that no run before it had."""
STATUS = {"sshd": {3, 4, 5}, "github": {3, 6}, "kubernetes": {3, 4, 5}}


def problems(world: World, ended: linked.Ended) -> list[str]:
    """Return what a run that met a fault did not do as it should."""
    fault, text = ended.fault, ended.text
    assert fault is not None
    wrong = [word for word in ("Traceback", "unforeseen", "fault of elysium") if word in text]
    secrets = (world.lab.forge.token(), world.lab.sandbox.node.password())
    if any(secret.reveal() in text for secret in secrets):
        wrong.append("a secret")
    # With 0 it needed the connection no more, or asked again.
    if ended.done.status != 0:
        if ended.done.status not in STATUS[fault.link]:
            wrong.append("the exit status")
        if world.address(fault.link) not in text:
            wrong.append(f"{world.address(fault.link)} is not named")
    report = f"{fault}: status {ended.done.status} after {ended.seconds:.0f} s"
    return [f"{report}: {'; '.join(wrong)}\n{text}"] if wrong else []


def to_the_end(world: World, lab: labs.Lab, *args: str, once: bool = False) -> labs.Done:
    """Run a command again and again, each time with the next fault, until none is left.

    With `once`, a run that comes to its end is the last one, also if it met a fault.
    """
    world.links.met.clear()
    found: list[str] = []
    failed = 0
    for _ in range(LONGEST):
        ended = world.links.run(lab, *args, **night.PHRASE)
        if ended.fault is not None:
            found += problems(world, ended)
            failed += ended.done.status != 0
        if ended.fault is None or (once and ended.done.status == 0):
            assert not found, "\n\n".join(found)
            assert failed, "no fault was noticed"
            return ended.done.ok()
    raise AssertionError("the faults do not end\n" + "\n\n".join(found))


@pytest.fixture(scope="module")
def up(world: World) -> labs.Lab:
    to_the_end(world, world.lab, "--json", "up", "--yes")
    return world.lab


def test_up(up: labs.Lab) -> None:
    up.elysium("up", "--yes").ok()
    night.unchanged(up)


@pytest.fixture(scope="module")
def kept(world: World, up: labs.Lab, tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    done = to_the_end(world, up, "--json", "backup", "--datastore")
    said = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    path = pathlib.Path(said[-1]["path"])
    return pathlib.Path(shutil.copy(path, tmp_path_factory.mktemp("stick") / path.name))


def test_backup(world: World, kept: pathlib.Path) -> None:
    world.lab.elysium("backup", "verify", str(kept)).ok()


def test_restore(world: World, kept: pathlib.Path, tmp_path: pathlib.Path) -> None:
    lab = world.lab
    lab.sandbox = renewal.replace_node(lab.sandbox.name)
    node = lab.sandbox.node
    for link in ("sshd", "kubernetes"):
        world.links.proxies[link].aim(node.host)
    fresh = night.elsewhere(lab, tmp_path)
    named = [
        value for key, value in world.settings.items() if not key.startswith(("flux.", "kube"))
    ]
    trusted = [
        word for value in (*named, str(node.identity_file)) for word in ("--trust-address", value)
    ]
    words = ("restore", str(kept), "--yes", *trusted)
    words += ("--host", world.node, "--host-key", node.host_key)
    to_the_end(world, fresh, *words, once=True)
    night.unchanged(fresh)

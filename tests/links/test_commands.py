"""`up`, `backup` and `restore` over connections that stall, break, drip or are damaged.

At each phase each connection that it uses fails (`make links`), or one of them does. Phases that
change something meet each kind of fault then; the others one of each connection, since
`tests/contract/host/test_link.py` and `tests/unit/test_links.py` have all of them.
Each run ends in time with a message that names the connection; once the fault is gone, the
same command comes to its end, and a second one changes nothing.
"""

from __future__ import annotations

import json
import os
import pathlib
import shutil

import pytest

from provision.sandbox import renewal
from tests.links.conftest import World
from tests.support import lab as labs
from tests.support import linked, night

MANY = 10
"""Wrong runs after which one that met no fault, and failed, is the last one."""
LONGEST = 1000
"""Runs of one command. Each has a fault that no run before it had."""
STATUS = {"sshd": {3, 4, 5}, "github": {3, 6}, "kubernetes": {3, 4, 5}}


def problems(world: World, ended: linked.Ended) -> list[str]:
    """Return what a run that met faults did not do as it should."""
    text, status = ended.text, ended.done.status
    wrong = [word for word in ("Traceback", "unforeseen", "fault of elysium") if word in text]
    secrets = (world.lab.forge.token(), world.lab.sandbox.node.password())
    if any(secret.reveal() in text for secret in secrets):
        wrong.append("a secret")
    # With 0 it needed the connection no more, or asked again.
    if status != 0 and not ended.cut:
        explained = [fault for fault in ended.faults if status in STATUS[fault.link]]
        if not explained:
            wrong.append("the exit status")
        addresses = {world.address(fault.link) for fault in explained}
        if not any(address in text for address in addresses):
            wrong.append(f"none of {sorted(addresses)} is named")
    report = f"{ended.faults}: status {status} after {ended.seconds:.0f} s"
    return [f"{report}: {'; '.join(wrong)}\n{text}"] if wrong else []


def to_the_end(
    world: World, lab: labs.Lab, *args: str, whole: tuple[str, ...], once: bool = False
) -> labs.Done:
    """Run a command again and again, each time with the next faults, until none is left.

    The phases that begin with one of `whole` meet each fault. With `once`, a run that comes
    to its end is the last one, also if it met a fault. ``ELYSIUM_LINKS=backup,restore``
    makes faults for these commands only.
    """
    chosen = os.environ.get("ELYSIUM_LINKS", "all")
    if chosen != "all" and not set(chosen.split(",")) & set(args):
        return lab.elysium(*args).ok()
    world.links.met.clear()
    world.links.used.clear()
    world.links.order.clear()
    world.links.whole = whole
    found: list[str] = []
    failed = 0
    for _ in range(LONGEST):
        ended = world.links.run(lab, *args, **night.PHRASE)
        _note(ended)
        found += problems(world, ended)
        failed += ended.done.status != 0
        if ended.done.status == 0 and (once or not ended.tried):
            assert not found, "\n\n".join(found)
            assert failed, "no fault was noticed"
            return ended.done
        if ended.done.status != 0 and not ended.faults and len(found) > MANY:
            break
    raise AssertionError("the faults do not end\n" + "\n\n".join(found))


def _note(ended: linked.Ended) -> None:
    """Add the run to the log that ``ELYSIUM_LINKS_LOG`` names: a whole matrix takes long."""
    path = os.environ.get("ELYSIUM_LINKS_LOG")
    if not path:
        return
    record = {
        "command": ended.done.args,
        "faults": [str(fault) for fault in ended.faults],
        "status": ended.done.status,
        "seconds": round(ended.seconds, 1),
        "phases": ended.phases,
        "text": ended.text[-3000:],
    }
    with pathlib.Path(path).open("a") as log:
        log.write(json.dumps(record) + "\n")


@pytest.fixture(scope="module")
def up(world: World) -> labs.Lab:
    to_the_end(world, world.lab, "--json", "up", "--yes", whole=("start", "create ", "update "))
    return world.lab


def test_up(up: labs.Lab) -> None:
    up.elysium("up", "--yes").ok()
    night.unchanged(up)


@pytest.fixture(scope="module")
def kept(world: World, up: labs.Lab, tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    done = to_the_end(world, up, "--json", "backup", "--datastore", whole=("start", "backup "))
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
    to_the_end(world, fresh, *words, whole=("start", "restore "), once=True)
    night.unchanged(fresh)

"""A cluster on etcd is lost and comes back, in both modes; its datastore is rehearsed."""

from __future__ import annotations

import pathlib
import shutil
import signal
import subprocess
from collections.abc import Iterator

import pytest

from provision.gitops.sealing import keys as sealing_keys
from provision.recovery import journal
from provision.recovery.restore import steps as restore_steps
from provision.sandbox import renewal
from tests.support import coldstarts, drills, night
from tests.support import lab as labs


@pytest.fixture(scope="module")
def etcd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[labs.Lab]:
    """A cluster that keeps its data in etcd, with SealedSecrets through Git."""
    with labs.sandbox("recovery-etcd") as sandbox:
        made = labs.make(sandbox, tmp_path_factory.mktemp("stack"))
        key = sealing_keys.make_key()
        coldstarts.configure(made, key)
        made.elysium("config", "set", "k3s.datastore", "etcd").ok()
        coldstarts.use(made, "deadlocked", coldstarts.repository(key))
        made.elysium("up", "--yes").ok()
        yield made


@pytest.fixture(scope="module")
def kept(etcd: labs.Lab, tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """A backup with a snapshot of etcd, elsewhere."""
    etcd.on_node("k3s kubectl create secret generic by-hand -n default --from-literal=a=b")
    *_, said = (
        etcd.elysium("--json", "backup", "--datastore", environ=night.PHRASE).ok().json_lines()
    )
    assert said["datastore"] == "etcd"
    shown = etcd.elysium("backup", "show", environ=night.PHRASE).ok().stdout
    assert "no downtime" in " ".join(shown.split())
    etcd.elysium("backup", "verify", environ=night.PHRASE).ok()
    assert etcd.on_node("ls /var/lib/rancher/k3s/server/db/snapshots").strip() == ""
    path = tmp_path_factory.mktemp("stick") / pathlib.Path(said["path"]).name
    return pathlib.Path(shutil.copy(said["path"], path))


@pytest.fixture(scope="module")
def before(etcd: labs.Lab, kept: pathlib.Path) -> dict[str, object]:
    return night.secrets(etcd)


def as_it_was(lab: labs.Lab, fresh: labs.Lab, before: dict[str, object]) -> None:
    assert night.secrets(lab) == before
    assert coldstarts.ready(lab) == night.ALL
    nodes = lab.kubectl("get", "nodes")["items"]
    assert [each["metadata"]["name"] for each in nodes] == ["kyrion"]
    assert lab.on_node("ls /var/lib/rancher/k3s/server/db").split() == ["etcd"]
    assert len(lab.forge.with_repository("deadlocked").deploy_keys()) == 1
    night.unchanged(fresh)
    assert labs.counted(fresh.elysium("up", "--yes", "--json").ok()) <= {"same", "read", "refresh"}


def test_it_is_rebuilt_from_git(
    etcd: labs.Lab, kept: pathlib.Path, before, tmp_path: pathlib.Path
) -> None:
    etcd.sandbox = renewal.replace_node(etcd.sandbox.name)
    fresh, here = night.elsewhere(etcd, tmp_path), etcd.sandbox.node
    args = ("restore", str(kept), "--host", here.host, "--host-key", here.host_key, "--yes")
    args += night.trusting(etcd)
    done = fresh.elysium("--json", *args, environ=night.PHRASE).ok()
    (ended,) = [each for each in done.json_lines() if each.get("event") == "restored"]
    kept_ones = {name: data for name, data in before.items() if name != "default/by-hand"}
    assert ended["equal"] == len(kept_ones)
    as_it_was(etcd, fresh, kept_ones)


def test_its_datastore_comes_back_on_a_machine_of_another_name(
    etcd: labs.Lab, kept: pathlib.Path, before, tmp_path: pathlib.Path
) -> None:
    etcd.sandbox = renewal.replace_node(etcd.sandbox.name, hostname="vega")
    fresh, here = night.elsewhere(etcd, tmp_path), etcd.sandbox.node
    args = ("restore", str(kept), "--datastore", "--host", here.host, "--host-key", here.host_key)
    args += night.trusting(etcd)
    done = fresh.elysium("--json", *args, "--yes", environ=night.PHRASE).ok()
    (ended,) = [each for each in done.json_lines() if each.get("event") == "restored"]
    assert ended["equal"] == len(before)
    assert [each["step"] for each in ended["steps"]] == [
        step.name for step in restore_steps.STEPS["datastore"]
    ]
    as_it_was(etcd, fresh, before)


def test_killed_while_k3s_restores_the_snapshot_it_goes_on(
    etcd: labs.Lab, kept: pathlib.Path, before, tmp_path: pathlib.Path
) -> None:
    etcd.sandbox = renewal.replace_node(etcd.sandbox.name)
    fresh, here = night.elsewhere(etcd, tmp_path), etcd.sandbox.node
    words = ("restore", str(kept), "--datastore", *night.trusting(etcd))
    process = subprocess.Popen(
        [str(labs.ELYSIUM), *words, "--host", here.host, "--host-key", here.host_key, "--yes"],
        cwd=fresh.folder,
        env=fresh.environ | night.PHRASE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        etcd.on_node(
            "timeout 110 sh -c 'until [ -e /var/lib/rancher/k3s/server/db/etcd ]; do :; done'"
        )
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert journal.load(tmp_path, "kyrion").open is not None
    done = fresh.elysium(*words, "--yes", environ=night.PHRASE).ok()
    assert "goes on after" in done.stderr
    (only,) = journal.load(tmp_path, "kyrion").runs
    assert list(only.steps) == [step.name for step in restore_steps.STEPS["datastore"]]
    as_it_was(etcd, fresh, before)


def test_its_datastore_is_rehearsed(
    etcd: labs.Lab, kept: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    drills.datastore(etcd, kept, tmp_path)

"""`elysium up --migrate-datastore`: refused unless asked for, killed at any time, done once."""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Callable

from tests.support import coldstarts, night
from tests.support import lab as labs

DB = "/var/lib/rancher/k3s/server/db"
CONFIG = "/etc/rancher/k3s/config.yaml"
MOVE = ("up", "--yes", "--migrate-datastore")


def listed(lab: labs.Lab) -> set[str]:
    return set(lab.on_node(f"ls {DB}").split())


def on_etcd(lab: labs.Lab) -> bool:
    return lab.on_node(f"[ -d {DB}/etcd/member ] && echo yes", check=False).strip() == "yes"


def kept(lab: labs.Lab) -> str:
    """Return the value of the object that every move must bring along."""
    return lab.kubectl("get", "configmap", "-n", "default", "moves")["data"]["a"]


def killed(lab: labs.Lab, when: Callable[[], bool]) -> None:
    """Run the move, and kill it as by a power cut as soon as `when` says so."""
    process = subprocess.Popen(
        [str(labs.ELYSIUM), *MOVE],
        cwd=lab.folder,
        env=lab.environ | night.PHRASE,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        deadline = time.monotonic() + 300
        while not when() and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.05)
    finally:
        process.send_signal(signal.SIGKILL)
        status = process.wait()
    assert status == -signal.SIGKILL, "it ended before it was killed"


class Calm:
    """Whether the node has been at rest for a while, whatever the killed run had begun there.

    A restart of k3s that was only just asked for shows nothing yet, so one look is not enough.
    """

    def __init__(self, lab: labs.Lab) -> None:
        self._lab = lab
        self._since: float | None = None

    def __call__(self) -> bool:
        lab = self._lab
        runs = lab.on_node("systemctl is-active k3s", check=False).strip() == "active"
        half = on_etcd(lab) and "state.db" in listed(lab)
        if not runs or half:
            self._since = None
            return False
        self._since = self._since or time.monotonic()
        return time.monotonic() - self._since > 5


def backups(lab: labs.Lab) -> int:
    return len(list(lab.folder.rglob("*.tar.gz.age")))


def test_another_datastore_is_refused(lab: labs.Lab, up: labs.Done) -> None:
    lab.on_node("k3s kubectl create configmap -n default moves --from-literal=a=b")
    lab.elysium("config", "set", "k3s.datastore", "etcd").ok()
    done = lab.elysium("up", "--yes")
    assert done.status == 3
    assert "k3s.datastore is etcd, and the cluster keeps its data in SQLite" in done.stderr
    assert "elysium up --migrate-datastore" in done.stderr
    assert "state.db" in listed(lab) and not on_etcd(lab)


def test_killed_after_its_backup(lab: labs.Lab, up: labs.Done) -> None:
    known = backups(lab)
    killed(lab, lambda: backups(lab) > known)
    assert "state.db" in listed(lab)
    assert kept(lab) == "b"


def test_killed_while_k3s_moves(lab: labs.Lab, up: labs.Done) -> None:
    """k3s goes on without us: what it began, it ends."""
    asked = f"grep -q cluster-init {CONFIG} && echo yes"
    killed(lab, lambda: lab.on_node(asked, check=False).strip() == "yes")
    coldstarts.until(Calm(lab), "k3s runs, and nothing is half moved")
    done = lab.elysium(*MOVE, environ=night.PHRASE).ok()
    assert on_etcd(lab)
    assert {"state.db.migrated", "etcd"} <= listed(lab) and "state.db" not in listed(lab)
    assert kept(lab) == "b"
    assert "both datastores" not in done.stderr


def test_a_second_run_moves_nothing(lab: labs.Lab, up: labs.Done) -> None:
    known = backups(lab)
    done = lab.elysium(*MOVE, "--json", environ=night.PHRASE).ok()
    assert labs.counted(done) <= {"same", "read", "refresh"}
    assert "has no SQLite datastore to move" in done.stderr
    assert backups(lab) == known, "no backup for a move that is none"
    assert labs.counted(lab.elysium("up", "--yes", "--json").ok()) <= {"same", "read", "refresh"}


def test_there_is_no_way_back(lab: labs.Lab, up: labs.Done) -> None:
    lab.elysium("config", "set", "k3s.datastore", "sqlite").ok()
    done = lab.elysium("up", "--yes")
    assert done.status == 3
    assert "nothing moves etcd to SQLite" in done.stderr
    lab.elysium("config", "set", "k3s.datastore", "etcd").ok()


def test_a_move_that_the_node_interrupted_is_repeated_as_the_error_says(
    lab: labs.Lab, up: labs.Done
) -> None:
    """As after a power cut: k3s renames the SQLite file last, and then takes etcd as it is."""
    lab.on_node(f"cp {DB}/state.db.migrated {DB}/state.db")
    done = lab.elysium(*MOVE, environ=night.PHRASE)
    assert done.status == 3
    assert "both datastores are on the node" in done.stderr
    said = " ".join(done.stderr.split())
    assert f"stop k3s on the node, move {DB}/etcd to another place, start k3s" in said
    away = f"mv {DB}/etcd /root/etcd.old && rm -f {DB}/*.migrated"
    lab.on_node(f"systemctl stop k3s && {away} && systemctl start k3s")
    lab.elysium(*MOVE, environ=night.PHRASE).ok()
    assert on_etcd(lab) and kept(lab) == "b"

"""Which datastore a server has: the disk decides, and nothing is moved by the way."""

from __future__ import annotations

import pathlib
import subprocess
from typing import Any

import pytest

from provision.provider.k3s import datastore as k3s_datastore
from provision.provider.k3s import files as k3s_files
from provision.provider.k3s import plan as k3s_plan
from provision.provider.k3s import server as k3s_server
from tests.support import k3snode

DB = "/var/lib/rancher/k3s/server/db"
SQLITE, FOLDER, NAME, MEMBER = (
    f"{DB}/state.db",
    f"{DB}/etcd",
    f"{DB}/etcd/name",
    f"{DB}/etcd/member",
)
DIRECTORIES = (FOLDER, MEMBER)


def server(
    *there: str, gone: tuple[str, ...] = (), drop_ins: str = "", **changes: Any
) -> tuple[k3s_plan.K3sFacts, dict[str, Any]]:
    """A node with the files `there` in the folder of the datastores, k3s as `changes` say."""
    inputs = k3snode.k3s_inputs(**changes)
    kinds = {path: "directory" if path in DIRECTORIES else "file" for path in there}
    found: dict[str, Any] = {SQLITE: None}
    found |= {path: k3snode.a_file(path, kind=kind) for path, kind in kinds.items()}
    found |= dict.fromkeys(gone)
    state = {"load": "not-found", "active": "inactive", "enabled": ""} if gone else None
    node = k3snode.k3s_node(k3snode.k3s_inputs(), files=found, cluster_init=drop_ins, unit=state)
    return node, inputs


def config(found: k3s_plan.K3sFacts, inputs: dict[str, Any]) -> str:
    (one,) = [f for f in k3s_plan.wanted_files(found, inputs) if f.path == k3s_files.CONFIG]
    return one.content.decode()


def test_the_folder_that_k3s_makes_with_sqlite_is_no_etcd() -> None:
    found, inputs = server(SQLITE, FOLDER, NAME)
    assert k3s_plan.remarks(found, inputs) == ()
    assert k3s_plan.plan(found, inputs) == ()
    assert k3s_datastore.kind(found.node, inputs) == "sqlite"


def test_sqlite_is_never_moved_unless_that_is_asked_for() -> None:
    found, inputs = server(SQLITE, FOLDER, NAME, datastore="etcd")
    assert "cluster-init" not in config(found, inputs)
    assert k3s_plan.plan(found, inputs) == ()
    (said,) = k3s_plan.remarks(found, inputs)
    assert "in SQLite" in said and "--migrate-datastore" in said


def test_the_move_is_in_the_plan_which_says_that_it_cannot_be_undone() -> None:
    found, inputs = server(SQLITE, FOLDER, NAME, datastore="etcd", migrateDatastore=True)
    planned = k3s_plan.plan(found, inputs)
    assert planned[0].property == "datastore" and "cannot be undone" in planned[0].summary
    assert "cluster-init" in config(found, inputs)
    assert planned[-1].action == "restart"
    assert k3s_plan.remarks(found, inputs) == ()
    moved, _ = server(FOLDER, NAME, MEMBER, datastore="etcd", migrateDatastore=True)
    assert "datastore" not in [change.property for change in k3s_plan.plan(moved, inputs)]


def test_the_move_goes_one_way() -> None:
    asked = {"migrateDatastore": True}
    found, inputs = server(FOLDER, NAME, MEMBER, **asked)
    assert k3s_plan.plan(found, inputs) == ()
    found, inputs = server(SQLITE, **asked)
    assert k3s_plan.plan(found, inputs) == () and "cluster-init" not in config(found, inputs)


def test_a_new_datastore_is_as_configured() -> None:
    for name in ("sqlite", "etcd"):
        found, inputs = server(datastore=name)
        assert ("cluster-init" in config(found, inputs)) == (name == "etcd")


@pytest.mark.parametrize(
    ("there", "changes", "words"),
    [
        ((SQLITE, NAME), {}, ()),
        ((MEMBER,), {"datastore": "etcd"}, ()),
        ((), {"datastore": "etcd"}, ()),
        ((FOLDER, NAME), {}, ()),
        (
            (SQLITE, NAME),
            {"datastore": "etcd"},
            ("is etcd", "in SQLite", "set k3s.datastore to sq"),
        ),
        ((MEMBER,), {}, ("is sqlite", "in etcd", "set k3s.datastore to etcd")),
        ((SQLITE, MEMBER), {}, ("is sqlite", "in etcd")),
        ((SQLITE, NAME), {"datastore": "etcd", "migrate": True}, ()),
        ((SQLITE, NAME), {"migrate": True}, ("k3s.datastore is sqlite",)),
        ((MEMBER,), {"migrate": True}, ("k3s.datastore is sqlite",)),
        ((MEMBER,), {"datastore": "etcd", "migrate": True}, ()),
        ((SQLITE, MEMBER), {"datastore": "etcd", "migrate": True}, ("both datastores", "stop k3s")),
        ((SQLITE,), {"drop_ins": "/x/a.yaml\n"}, ("/x/a.yaml", "next start")),
        ((MEMBER,), {"drop_ins": "/x/a.yaml\n", "datastore": "etcd"}, ()),
        ((SQLITE,), {"options": {"datastore-endpoint": "mysql://x"}, "datastore": "etcd"}, ()),
    ],
)
def test_another_datastore_than_the_configured_one_is_refused_and_both_are_named(
    there: tuple[str, ...], changes: dict[str, Any], words: tuple[str, ...]
) -> None:
    migrate = bool(changes.pop("migrate", False))
    found, inputs = server(*there, **changes)
    problems = k3s_datastore.problems(found.node, inputs, "node kyrion", migrate=migrate)
    assert len(problems) == bool(words)
    for problem in problems:
        assert all(word in f"{problem.message} {problem.hint}" for word in words)
        assert (problem.kind, problem.key) == ("datastore", "k3s.datastore")


def test_both_datastores_are_told_of() -> None:
    found, inputs = server(SQLITE, MEMBER, datastore="etcd")
    (said,) = k3s_plan.remarks(found, inputs)
    assert "both datastores" in said and SQLITE in said and MEMBER in said


BARE = (k3s_files.UNIT, k3s_files.BINARY, k3s_files.CONFIG, k3s_files.ENV, k3s_files.STARTED)


@pytest.mark.parametrize(("there", "name"), [(SQLITE, "SQLite"), (MEMBER, "etcd")])
def test_a_leftover_datastore_is_in_the_plan_with_the_ways_to_go(there: str, name: str) -> None:
    found, inputs = server(there, gone=BARE, datastore="etcd" if there == MEMBER else "sqlite")
    planned = k3s_server.K3sServer().plan(found, inputs, {})
    said = planned[0].summary
    assert planned[0].property == "datastore" and said.startswith("adopt the cluster")
    assert f"{name} in {there}, written 1970-01-01" in said
    assert "start fresh" in said and "mv /var/lib/rancher/k3s/server " in said
    known = k3s_server.K3sServer().plan(found, inputs, {"token": "x"})
    assert [c for c in known if c.property == "datastore"] == [], "the stack's own cluster"
    told = k3s_datastore.unrecorded(found.node, inputs)
    assert there in told and "mv /var/lib/rancher/k3s/server " in told


def test_only_a_datastore_is_a_leftover() -> None:
    found, inputs = server(FOLDER, NAME, gone=BARE)
    planned = k3s_server.K3sServer().plan(found, inputs, {})
    assert [c for c in planned if c.property == "datastore"] == []
    assert k3s_datastore.unrecorded(found.node, inputs) == ""


def test_a_running_cluster_that_the_stack_does_not_know_is_told_of() -> None:
    found, inputs = server(SQLITE)
    said = k3s_datastore.unrecorded(found.node, inputs)
    assert "SQLite" in said and "elysium up adopts it" in said and k3s_files.UNINSTALL in said


@pytest.mark.parametrize(
    ("text", "asks"),
    [
        ("cluster-init: true\n", True),
        ('"cluster-init": "True"  # x\n', True),
        ("debug: true\ncluster-init : yes\n", True),
        ("cluster-init: false\n", False),
        ("# cluster-init: true\n", False),
        ("node-label: [cluster-init=true]\n", False),
    ],
)
def test_a_drop_in_that_asks_for_etcd(
    text: str, asks: bool, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(k3s_files, "DROP_INS", str(tmp_path))
    (tmp_path / "mine.yaml").write_text(text)
    (tmp_path / "mine.txt").write_text("cluster-init: true\n")
    done = subprocess.run(
        ["sh", "-c", k3s_datastore.snippet()[1]], capture_output=True, text=True, check=True
    )
    assert done.stdout == (f"{tmp_path}/mine.yaml\n" if asks else "")

"""Which datastore k3s runs on: SQLite stays SQLite until its move is asked for."""

from __future__ import annotations

from typing import Any

import pytest

from provision.kube.client import KubeClient
from provision.operations.adoption import node as adoption
from provision.provider.k3s import existing, files
from provision.provider.k3s import plan as k3s_plan
from provision.provider.k3s import server as k3s_server

pytestmark = [pytest.mark.sandbox, pytest.mark.timeout(300)]

DB = "/var/lib/rancher/k3s/server/db"


@pytest.fixture(scope="module")
def begun(box) -> Any:
    yield
    world = box.world()
    k3s_server.K3sServer().delete(world, box.inputs(), {})
    world.session.close()


def looked_at(world, inputs: dict[str, Any]) -> k3s_plan.K3sFacts:
    world.session.invalidate()
    return k3s_server.K3sServer().observe(world, inputs, {}).facts


def kept(state: dict[str, Any]) -> Any:
    with KubeClient.from_kubeconfig(state["kubeconfig"]) as kube:
        return (kube.get("v1", "Secret", "kept", "default") or {}).get("data")


def test_sqlite_is_not_taken_for_etcd(begun, box, world, converge) -> None:
    state = converge(box.inputs())[1]
    assert box.on(f"ls {DB}/etcd") == "name", "as the real k3s has it"
    found = looked_at(world, box.inputs())
    assert k3s_plan.remarks(found, box.inputs()) == ()
    by_hand = existing.Found(options={}, proxy={}, beyond=(), addresses=frozenset[str](), since=0)
    assert adoption._datastore(found.node, box.inputs(), by_hand) == "sqlite"
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "kept", "namespace": "default"},
        "stringData": {"a": "b"},
    }
    with KubeClient.from_kubeconfig(state["kubeconfig"]) as kube:
        kube.create(secret, field_manager="test")


def test_a_leftover_datastore_is_in_the_plan(begun, box, world, converge) -> None:
    gone = (files.UNIT, files.BINARY, files.CONFIG, files.ENV)
    box.on(f"systemctl disable -q --now k3s; rm {' '.join(gone)}; systemctl daemon-reload")
    found = looked_at(world, box.inputs())
    said = k3s_server.K3sServer().plan(found, box.inputs(), {})[0].summary
    assert f"SQLite in {DB}/state.db" in said and "start fresh" in said
    planned, state = converge(box.inputs())
    assert planned[0] == "run datastore"
    assert kept(state) == {"a": "Yg=="}
    assert converge(box.inputs(), state)[0] == ()


def test_a_configured_etcd_does_not_move_sqlite(begun, box, world, converge) -> None:
    inputs = box.inputs(datastore="etcd")
    state = converge(inputs)[1]
    # Another change of the configuration, which restarts k3s.
    state = converge({**inputs, "options": {"node-label": ["a=b"]}}, state)[1]
    assert "state.db.migrated" not in box.on(f"ls {DB}")
    assert box.on(f"ls {DB}/etcd") == "name"
    (said,) = k3s_plan.remarks(looked_at(world, inputs), inputs)
    assert "keeps its data in SQLite" in said


def test_its_move_that_is_asked_for(begun, box, world, converge) -> None:
    inputs = box.inputs(datastore="etcd")
    state = converge(inputs)[1]
    planned, state = converge({**inputs, "migrateDatastore": True}, state)
    assert planned[0] == "update datastore" and planned[-1] == "restart units.k3s.service"
    assert kept(state) == {"a": "Yg=="}
    listed = box.on(f"ls {DB}").split()
    assert "state.db.migrated" in listed and "state.db" not in listed
    assert converge(inputs, state)[0] == ()
    assert k3s_plan.remarks(looked_at(world, inputs), inputs) == ()

"""The node is set up anew, loses its disk, or moves with it: the same cluster each time."""

from __future__ import annotations

import pathlib

import pytest

from provision.sandbox import renewal
from tests.support import coldstarts, night
from tests.support import lab as labs


@pytest.fixture(scope="module")
def mine(
    lab: labs.Lab,
    kept: pathlib.Path,
    before: dict[str, object],
    tmp_path_factory: pytest.TempPathFactory,
) -> labs.Lab:
    """A folder whose cluster is that of the node there is now."""
    lab.sandbox = renewal.replace_node(lab.sandbox.name)
    node = lab.sandbox.node
    fresh = night.elsewhere(lab, tmp_path_factory.mktemp("mine"))
    where = ("--host", node.host, "--host-key", node.host_key, "--yes", *night.trusting(lab))
    fresh.elysium("restore", str(kept), *where, environ=night.PHRASE).ok()
    return fresh


def is_the_same(lab: labs.Lab, before: dict[str, object], *, but: tuple[str, ...] = ()) -> None:
    """See that the cluster is what it was, with one deploy key, and nothing left to do."""
    coldstarts.until(lambda: coldstarts.ready(lab) == night.ALL, "every Kustomization Ready")

    def all_there() -> bool:
        found = night.secrets(lab)
        same = {name: data for name, data in before.items() if name not in but}
        return found.keys() == before.keys() and same.items() <= found.items()

    coldstarts.until(all_there, "every Secret as it was")
    assert len(lab.forge.with_repository("deadlocked").deploy_keys()) == 1
    night.unchanged(lab)
    lab.elysium("status").ok()


def cluster_id(lab: labs.Lab) -> str:
    """Return what tells one datastore from another."""
    return str(lab.kubectl("get", "namespace", "kube-system")["metadata"]["uid"])


def rebuilt(lab: labs.Lab, *replace: str) -> None:
    """Put the node there is in the place of the lost one; build the cluster on it."""
    node = lab.sandbox.node
    lab.elysium("node", "replace", "--yes", "--host-key", node.host_key, *replace).ok()
    built = lab.elysium("up", "--yes").ok()
    assert "not reachable" not in built.stderr


def test_destroyed_and_built_again(mine: labs.Lab, before: dict[str, object]) -> None:
    """The deploy key goes with a cluster that is destroyed on purpose, and is another one then."""
    old = cluster_id(mine)
    mine.elysium("destroy", "--yes").ok()
    mine.elysium("up", "--yes").ok()
    assert cluster_id(mine) != old
    is_the_same(mine, before, but=("flux-system/flux-system",))


def test_installed_anew_at_the_same_address(mine: labs.Lab, before: dict[str, object]) -> None:
    there = night.secrets(mine)
    host, old = mine.sandbox.node.host, cluster_id(mine)
    mine.sandbox = renewal.replace_node(mine.sandbox.name, moved=False)
    assert mine.sandbox.node.host == host
    rebuilt(mine)
    assert cluster_id(mine) != old
    is_the_same(mine, there)


def test_its_disk_kept_at_the_same_address(mine: labs.Lab) -> None:
    there, old = night.secrets(mine), cluster_id(mine)
    mine.sandbox = renewal.move_node(mine.sandbox.name, moved=False)
    mine.elysium("up", "--yes").ok()
    assert cluster_id(mine) == old
    is_the_same(mine, there)


def test_its_disk_kept_at_a_new_address(mine: labs.Lab) -> None:
    there, old, host = night.secrets(mine), cluster_id(mine), mine.sandbox.node.host
    mine.sandbox = renewal.move_node(mine.sandbox.name)
    assert mine.sandbox.node.host != host
    rebuilt(mine, "--host", mine.sandbox.node.host)
    assert cluster_id(mine) == old
    nodes = mine.kubectl("get", "nodes")["items"]
    assert len(nodes) == 1
    addresses = {each["type"]: each["address"] for each in nodes[0]["status"]["addresses"]}
    assert addresses["InternalIP"] == mine.sandbox.node.host
    is_the_same(mine, there)


def test_its_disk_lost_at_a_new_address(mine: labs.Lab) -> None:
    there, old = night.secrets(mine), cluster_id(mine)
    mine.sandbox = renewal.replace_node(mine.sandbox.name)
    rebuilt(mine, "--host", mine.sandbox.node.host)
    assert cluster_id(mine) != old
    is_the_same(mine, there)

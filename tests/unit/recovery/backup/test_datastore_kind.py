"""Which datastore is copied: the one on the node's disk, whatever the configuration says."""

from __future__ import annotations

import types
from typing import Any

import pytest

from provision import config, errors
from provision.host import facts
from provision.recovery.backup import collect
from tests.support import k3snode

DB = "/var/lib/rancher/k3s/server/db"


def kind(*there: str, datastore: str = "sqlite", copied: bool = True, stop: bool = False) -> str:
    """What is copied of a node that has these files among its datastores."""
    cfg = config.Config.model_validate(
        {
            "cluster": "kyrion",
            "nodes": [{"name": "kyrion", "host": "node.lan"}],
            "github": {"owner": "me", "repository": "home"},
            "k3s": {"datastore": datastore},
        }
    )
    files: dict[str, Any] = {f"{DB}/state.db": None}
    files |= {f"{DB}/{name}": k3snode.a_file(f"{DB}/{name}") for name in there}
    found = k3snode.k3s_node(k3snode.k3s_inputs(), files=files).node
    asked: list[facts.FactRequest] = []

    def answer(request: facts.FactRequest) -> facts.NodeFacts:
        asked.append(request)
        return found

    node: Any = types.SimpleNamespace(facts=answer)
    return collect.datastore_kind(node, cfg, collect.Choice(datastore=copied, stop=stop))


def test_the_disk_decides() -> None:
    assert kind("state.db", "etcd", "etcd/name") == "sqlite"
    assert kind("state.db", "etcd", "etcd/name", datastore="etcd") == "sqlite"
    assert kind("etcd", "etcd/member", datastore="etcd") == "etcd"
    assert kind("state.db", "etcd/member", datastore="etcd") == "etcd", "k3s uses it then"
    assert kind("state.db", stop=True) == "sqlite"


@pytest.mark.parametrize(
    ("there", "options", "words"),
    [
        ((), {}, "neither"),
        (("etcd", "etcd/name"), {"datastore": "etcd"}, "neither"),
        (("etcd/member",), {}, "k3s.datastore is sqlite"),
        (("etcd/member",), {"datastore": "etcd", "stop": True}, "needs no stop"),
    ],
)
def test_a_copy_that_is_of_no_use_is_refused(
    there: tuple[str, ...], options: dict[str, Any], words: str
) -> None:
    with pytest.raises(errors.PreflightError) as raised:
        kind(*there, **options)
    assert words in str(raised.value)
    assert kind(*there, **options, copied=False) in ("sqlite", "etcd")

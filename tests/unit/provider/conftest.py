"""Facts as a node would tell them, a context without a node; GitHub and a cluster in memory."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from provision.host import facts
from tests.support import fluxparts, fluxworld


def system(**changed: Any) -> facts.SystemFacts:
    known: dict[str, Any] = {
        "hostname": "kyrion",
        "machine": "x86_64",
        "id": "debian",
        "systemd": True,
        "init": "systemd",
        "memory": 8 << 30,
        "clock_skew": 0.0,
        "controllers": frozenset({"cpu", "memory", "pids"}),
        "cgroup2": True,
        "filesystems": frozenset({"fuse"}),
        "selinux": "",
        "default_route": True,
    }
    return facts.SystemFacts(**(known | changed))


def node_facts(request: facts.FactRequest, **parts: Any) -> facts.NodeFacts:
    known: dict[str, Any] = {
        "system": system(),
        "files": {},
        "listings": {},
        "units": {},
        "mounts": {},
        "commands": {},
        "ports": frozenset(),
        "disks": {},
        "snippets": {name: "" for name, _ in request.snippets},
    }
    return facts.NodeFacts(request=request, **(known | parts))


class Session:
    """A node that answers with the same facts again and again, and notes what is run."""

    def __init__(self, found: facts.NodeFacts) -> None:
        self.found = found
        self.ran: list[str] = []

    def facts(self, request: facts.FactRequest) -> facts.NodeFacts:
        assert self.found.request.covers(request)
        return self.found

    def run(self, script: str, **_: Any) -> None:
        self.ran.append(script)


class Context:
    """A resource's context, of one node and one cluster."""

    keep_data = False

    def __init__(self, session: Any = None, kube: Any = None) -> None:
        self.session, self.cluster = session, kube
        self.said: list[str] = []
        self.warned: list[str] = []

    def node(self, name: str) -> Any:
        assert name == "kyrion"
        return self.session

    def kube(self, kubeconfig: str) -> Any:
        assert kubeconfig
        return self.cluster

    def github(self) -> Any:
        raise AssertionError("GitHub has no part in this")

    def artifacts(self) -> Any:
        raise AssertionError("no download is expected")

    def progress(self, message: str) -> None:
        self.said.append(message)

    def warn(self, message: str) -> None:
        self.warned.append(message)


@pytest.fixture
def make_facts() -> Callable[..., facts.NodeFacts]:
    return node_facts


@pytest.fixture
def make_system() -> Callable[..., facts.SystemFacts]:
    return system


@pytest.fixture
def make_context() -> Callable[..., Context]:
    return Context


@pytest.fixture
def make_session() -> Callable[..., Session]:
    return Session


class Cluster:
    """A cluster of the given objects; each `get` of a node takes the next of `nodes`."""

    def __init__(self, *nodes: Mapping[str, Any] | None, pods: tuple[Any, ...] = ()) -> None:
        self.nodes = list(nodes)
        self.pods = pods

    def get(self, api_version: str, kind: str, name: str, namespace: str | None = None) -> Any:
        assert (api_version, kind, name, namespace) == ("v1", "Node", "kyrion", None)
        return self.nodes.pop(0) if len(self.nodes) > 1 else self.nodes[0]

    def list(self, api_version: str, kind: str) -> list[Any]:
        assert (api_version, kind) == ("v1", "Pod")
        return list(self.pods)

    def events(self, namespace: str | None, kind: str, name: str) -> list[str]:
        return [f"Warning Failed: {kind} {namespace}/{name} is unwell"]


@pytest.fixture
def make_cluster() -> Callable[..., Cluster]:
    return Cluster


@pytest.fixture
def world(tmp_path) -> fluxworld.World:
    made = fluxworld.World()
    made.store = fluxparts.Store(tmp_path)
    made.flux = fluxparts.Flux(made)
    return made

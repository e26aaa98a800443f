"""What a resource is given to reach one node, without an engine around it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from provision.artifacts import store
from provision.host import session


@dataclass
class World:
    """A resource's context of one node; messages are kept."""

    session: session.NodeSession
    store: store.ArtifactStore
    said: list[str] = field(default_factory=list)
    warned: list[str] = field(default_factory=list)
    keep_data: bool = False
    tunnels: None = None

    def node(self, name: str) -> session.NodeSession:
        assert name == "kyrion"
        return self.session

    def artifacts(self) -> store.ArtifactStore:
        return self.store

    def github(self) -> Any:
        raise AssertionError

    def kube(self, kubeconfig: str) -> Any:
        raise AssertionError

    def progress(self, message: str) -> None:
        self.said.append(message)

    def warn(self, message: str) -> None:
        self.warned.append(message)

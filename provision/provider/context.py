"""What a resource is given to reach the world: nodes, GitHub, the cluster.

Connections are opened at first use and shared by every resource of a run;
nothing is imported before it is needed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from provision.artifacts.store import ArtifactStore
    from provision.github.git_login import GitLogin
    from provision.github.repository import Repository
    from provision.host.session import NodeSession
    from provision.kube.client import KubeClient


class Context(Protocol):
    """What a resource may use. Safe to use from several threads."""

    def node(self, name: str) -> NodeSession:
        """Return the shared SSH session of the configured node `name`."""
        ...

    def github(self) -> Repository:
        """Return the configured GitHub repository."""
        ...

    def git_login(self) -> GitLogin:
        """Return what Flux is to log in to Git with over HTTPS."""
        ...

    def kube(self, kubeconfig: str) -> KubeClient:
        """Return a client for the cluster of `kubeconfig` (the text, not a path)."""
        ...

    def artifacts(self) -> ArtifactStore:
        """Return the store of pinned downloads."""
        ...

    @property
    def keep_data(self) -> bool:
        """Whether a deletion spares the volumes of workloads (``destroy --keep-data``)."""
        ...

    def sleep(self, seconds: float) -> None:
        """Let seconds go by; raise `errors.InterruptedByUser` once the run is cancelled."""
        ...

    def progress(self, message: str) -> None:
        """Say what is happening now, in one sentence without a secret."""
        ...

    def warn(self, message: str) -> None:
        """Say what the user should know although nothing failed."""
        ...

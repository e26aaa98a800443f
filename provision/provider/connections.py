"""The connections of one run, opened at first use and shared by every resource."""

from __future__ import annotations

import contextlib
import contextvars
import os
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from provision import cancellation, config, errors, progress
from provision.provider import settings as provider_settings
from provision.provider import tunnels

if TYPE_CHECKING:
    from provision.artifacts.store import ArtifactStore
    from provision.github.git_login import GitLogin
    from provision.github.repository import Repository
    from provision.host.session import NodeSession
    from provision.kube.client import KubeClient

_HEARD: contextvars.ContextVar[progress.Progress] = contextvars.ContextVar(
    "elysium_github_heard", default=progress.silent
)
"""Who hears what GitHub's one connection says: the resource at work in this context."""

_PINS, _ROOT = "ELYSIUM_PINS_FILE", "ELYSIUM_STACK_FOLDER"
_KEEP_DATA = "ELYSIUM_KEEP_DATA"
_DRIVEN = "ELYSIUM_DRIVES"
_FLUX_TOKEN = "ELYSIUM_FLUX_TOKEN"  # noqa: S105 - the name of a variable

Listener = Callable[[str, str], None]
"""Called with ("info" or "warning", one sentence)."""


def is_driven_by_elysium(environ: Mapping[str, str]) -> bool:
    """Return whether elysium started the engine that started this provider's process."""
    return _DRIVEN in environ


class Live:
    """Opens what the configuration describes; closes all of it at the end.

    In this process the CLI makes it with the stack's configuration. In the
    upstream engine's plugin process it starts with what the environment says, and
    `configure` brings the settings that the provider resource carries.
    """

    def __init__(
        self,
        cfg: config.Config | None = None,
        *,
        pins: Path | None = None,
        root: Path | None = None,
    ) -> None:
        """`root` is the folder of the stack, from which the configuration names files."""
        self._config = cfg
        self._pins = pins
        self._root = root
        self.keep_data = False
        self._lock = threading.RLock()
        self._nodes: dict[str, NodeSession] = {}
        self._kube: dict[str, KubeClient] = {}
        self.tunnels = tunnels.Tunnels(lambda: self.config, self.node)
        self._github: Repository | None = None
        self._artifacts: ArtifactStore | None = None
        self._cancelled = cancellation.Cancellation()

    def cancel(self) -> None:
        """End every wait of the run, and every command on a node."""
        self._cancelled.cancel()
        with self._lock:
            sessions = list(self._nodes.values())
        for session in sessions:
            session.cancel()

    def forget(self) -> None:
        """Read nodes, branches and deploy keys again at their next use.

        For after a run whose providers are processes of their own: what they changed is
        not in what this process has read before.
        """
        with self._lock:
            for session in self._nodes.values():
                session.invalidate()
            if self._github is not None:
                self._github.refresh()

    @classmethod
    def of_environment(cls, environ: Mapping[str, str]) -> Live:
        """Return what `environment` described, in the provider's own process."""
        pins, root = environ.get(_PINS), environ.get(_ROOT)
        made = cls(pins=Path(pins) if pins else None, root=Path(root) if root else None)
        made.keep_data = bool(environ.get(_KEEP_DATA))
        return made

    def environment(self) -> dict[str, str]:
        """Return what a provider in a process of its own must know and no state is to hold."""
        paths = {_PINS: self._pins, _ROOT: self._root}
        found = {name: str(path) for name, path in paths.items() if path is not None}
        if self._config is not None and self._config.flux.token:
            found[_FLUX_TOKEN] = self._config.flux.token.reveal()
        return found | {_DRIVEN: "1"} | ({_KEEP_DATA: "1"} if self.keep_data else {})

    def configure(self, settings: str) -> None:
        """Take `settings` (`settings.dump`), unless the caller already gave a configuration."""
        with self._lock:
            if self._config is None:
                self._config = provider_settings.load(settings)

    def sleep(self, seconds: float) -> None:
        """Let seconds go by; raise `errors.InterruptedByUser` once the run is cancelled."""
        self._cancelled.sleep(seconds)

    def bind(self, notify: Listener) -> Bound:
        """Return a context whose messages go to `notify`."""
        return Bound(self, notify)

    def close(self) -> None:
        """Close every connection. Safe to call twice."""
        self.tunnels.close()
        with self._lock:
            for session in self._nodes.values():
                session.close()
            for client in self._kube.values():
                client.close()
            if self._github is not None:
                self._github.close()
            self._nodes, self._kube, self._github = {}, {}, None

    @property
    def config(self) -> config.Config:
        """The configuration. Raises `errors.StackError` before there is one."""
        if self._config is None:
            raise errors.StackError(
                "the elysium provider was not configured",
                operation="configure the elysium provider",
                hint="this is a fault of elysium: please report it",
            )
        return self._config

    def node(self, name: str) -> NodeSession:
        """Return the shared session of node `name`."""
        from provision.host import session

        with self._lock:
            if name not in self._nodes:
                found = [node for node in self.config.nodes if node.name == name]
                if not found:
                    raise errors.ConfigError(
                        f"node {name} is in the stack's state but not in its configuration",
                        [errors.Problem(message=f"no node is named {name}", key="nodes")],
                        hint="put it back, or run 'elysium node replace'",
                    )
                self._nodes[name] = session.NodeSession(found[0])
                if self._cancelled.cancelled:
                    self._nodes[name].cancel()
            return self._nodes[name]

    def github(self, say: progress.Progress | None = None) -> Repository:
        """Return the configured repository; `say` hears of its retries from here on."""
        from provision.github import authority, repository, token

        if say is not None:
            _HEARD.set(say)
        with self._lock:
            if self._github is None:
                cfg = authority.resolved(self.config.github, self._root)
                self._github = repository.Repository.open(
                    cfg,
                    token.find_token(cfg, os.environ),
                    progress=lambda message: _HEARD.get()(message),
                    sleep=self._cancelled.sleep,
                )
            return self._github

    def git_login(self) -> GitLogin:
        """Return what Flux logs in to Git with over HTTPS."""
        from provision.github import git_login

        return git_login.find(self.config.github, self.config.flux, os.environ, self._root)

    def kube(self, kubeconfig: str) -> KubeClient:
        """Return the client for `kubeconfig`."""
        from provision.kube import client

        with self._lock:
            if kubeconfig not in self._kube:
                self._kube[kubeconfig] = client.KubeClient.from_kubeconfig(
                    kubeconfig, tunnel=self.tunnels, cancelled=self._cancelled
                )
            return self._kube[kubeconfig]

    def artifacts(self) -> ArtifactStore:
        """Return the store of pinned downloads."""
        import platformdirs

        from provision.artifacts import store

        with self._lock:
            if self._artifacts is None:
                cfg = self.config.artifacts
                pins = Path(cfg.pins) if cfg.pins else self._pins
                cache = Path(platformdirs.user_cache_dir("elysium")) / "artifacts"
                self._artifacts = store.ArtifactStore(
                    cfg.mirror, pins, cache, cancelled=self._cancelled
                )
            return self._artifacts


class Bound:
    """A `Context` for one resource: the shared connections, and who hears its messages."""

    def __init__(self, live: Live, notify: Listener) -> None:
        self._live = live
        self._notify = notify

    def sleep(self, seconds: float) -> None:
        """Let seconds go by; raise `errors.InterruptedByUser` once the run is cancelled."""
        self._live.sleep(seconds)

    def node(self, name: str) -> NodeSession:
        """Return the shared session of node `name`."""
        return self._live.node(name)

    def github(self) -> Repository:
        """Return the configured repository."""
        return self._live.github(self.progress)

    def git_login(self) -> GitLogin:
        """Return what Flux logs in to Git with over HTTPS."""
        return self._live.git_login()

    def kube(self, kubeconfig: str) -> KubeClient:
        """Return the client for `kubeconfig`."""
        return self._live.kube(kubeconfig)

    def artifacts(self) -> ArtifactStore:
        """Return the store of pinned downloads."""
        return self._live.artifacts()

    @property
    def keep_data(self) -> bool:
        """Whether a deletion spares the volumes of workloads."""
        return self._live.keep_data

    def progress(self, message: str) -> None:
        """Say what is happening."""
        with contextlib.suppress(RuntimeError):  # a listener that has gone away is no failure
            self._notify("info", message)

    def warn(self, message: str) -> None:
        """Say what the user should know."""
        self._notify("warning", message)

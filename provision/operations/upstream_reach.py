"""Whether the ``kubernetes`` provider of the pulumi CLI can reach the cluster from here.

It runs in a process of its own and has no tunnel over the node's SSH connection, which the
``elysium`` provider has in both engines.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Any

from provision import config, errors
from provision.engine import api
from provision.kube import proxies
from provision.operations import upstream_programs
from provision.provider import tunnels

_PROVIDER = "pulumi:providers:kubernetes"
_OPERATIONS = ("preview", "up", "refresh")
"""Without `destroy`: objects of the cluster go with k3s, and are not deleted one by one."""


class Checked:
    """An engine that checks its programs before each operation, and the way to the cluster."""

    def __init__(self, engine: api.Engine, cfg: config.Config) -> None:
        self._engine = engine
        self._config = cfg

    def __getattr__(self, name: str) -> Any:
        inner = getattr(self._engine, name)
        if name not in (*_OPERATIONS, "destroy"):
            return inner

        def checked(*arguments: Any, **more: Any) -> api.Result:
            makes_provider = name in ("preview", "up")
            upstream_programs.require(kubernetes=makes_provider)
            if not makes_provider and _PROVIDER in _types(self._engine.state()):
                upstream_programs.require()
            if name in _OPERATIONS:
                check(self._config, self._engine.state)
            return inner(*arguments, **more)

        return checked


def check(cfg: config.Config, read: Callable[[], dict[str, Any]]) -> None:
    """Raise `errors.PreflightError` where the upstream provider would not reach its objects.

    `read` returns the stack's state. Nothing is refused while neither the state nor the
    configuration has objects of that provider.
    """
    mode = cfg.kube.tunnel
    if mode == "never" or not _has_objects(cfg, read()):
        return
    host, port = _address(cfg)
    server = f"https://{f'[{host}]' if ':' in host else host}:{port}"
    if mode == "auto" and (proxies.of(server) or _reached(host, port)):
        return
    why = (
        "kube.tunnel is always" if mode == "always" else f"{host}:{port} does not answer from here"
    )
    raise errors.PreflightError(
        "the pulumi CLI cannot reach the Kubernetes API over the node's SSH connection",
        [
            errors.Problem(
                message=f"{why}, and the kubernetes provider of --engine upstream has no tunnel",
                where=f"node {cfg.server.name}",
                key="kube.tunnel",
                hint="leave out --engine upstream; or make the port reachable from here and set"
                " kube.tunnel to never",
                kind="no-tunnel",
            )
        ],
        hint="nothing was changed",
    )


def _has_objects(cfg: config.Config, document: dict[str, Any]) -> bool:
    types = _types(document)
    if any(each.startswith("kubernetes:") for each in types):
        return True
    # The device plugin of the GPU is all that the program makes with it, unless Flux brings it:
    # then the GPU was set up without.
    return cfg.gpu is not None and "elysium:node:GpuCapacity" not in types


def _types(document: dict[str, Any]) -> set[str]:
    """Return the types of the resources in a state."""
    latest = (document.get("checkpoint") or {}).get("latest") or {}
    return {str(raw.get("type")) for raw in latest.get("resources") or ()}


def _address(cfg: config.Config) -> tuple[str, int]:
    """Return host and port of the API, as the kubeconfig names them."""
    from provision.host import reach

    node = cfg.server
    port = cfg.k3s.options.get("https-listen-port") or 6443
    return reach.api_address(node), int(port)


def _reached(host: str, port: int) -> bool:
    """Return whether the host answers at that port; a refusal is an answer: k3s does not run."""
    try:
        socket.create_connection((host, port), timeout=tunnels.PATIENCE).close()
    except ConnectionRefusedError:
        return True
    except OSError:
        return False
    return True

"""Saying how the API is reached by other programs, where it does not answer from here."""

from __future__ import annotations

from concurrent import futures
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from provision.provider import tunnels

if TYPE_CHECKING:
    from provision.host.reach import Route
    from provision.operations.stack import Stack


@dataclass(frozen=True, kw_only=True)
class Advice:
    """What a user of the kubeconfig has to do first: run `ssh`, then use `server`."""

    address: str
    ssh: str
    server: str


def advice(stack: Stack, kubeconfig: str) -> Advice | None:
    """Return how `kubeconfig` is used through a tunnel; None where none is needed, or none helps.

    Contacts the API's port, and the node by SSH only where that does not answer. Raises
    the errors of an unreadable kubeconfig and of SSH's client configuration.
    """
    from provision.host import reach
    from provision.kube import kubeconfig as kubeconfigs

    mode = stack.config.kube.tunnel
    server = kubeconfigs.parse(kubeconfig).server
    parts = urlsplit(server)
    host, port = parts.hostname or "", parts.port or 443
    name = tunnels.node_at(stack.config, host)
    if mode == "never" or name is None:
        return None
    node = next(node for node in stack.config.nodes if node.name == name)
    route = first = reach.route(node, node.jump)
    while first.jump is not None:
        first = first.jump
    # Side by side: a node that is gone costs the patience once, and no SSH timeout.
    with futures.ThreadPoolExecutor(max_workers=2) as pool:
        direct = pool.submit(tunnels.answers, host, port)
        by_ssh = pool.submit(tunnels.answers, first.host, first.port)
    if direct.result() or not by_ssh.result():
        return None
    if not stack.live.tunnels.socket_for(server, unanswered=True):
        return None
    return Advice(
        address=f"{host}:{port}",
        ssh=command(route, port),
        server=f"https://127.0.0.1:{port}",
    )


def command(route: Route, port: int) -> str:
    """Return the ``ssh`` command that forwards `port` of the node to this machine.

    What SSH's own configuration says is left to it.
    """
    from provision.host import reach, scripts

    words = ["ssh", "-N", "-L", f"{port}:127.0.0.1:{port}"]
    if route.given:
        words += ["-i", str(route.keys[0])]
    if route.sources["port"] == reach.OWN and route.port != 22:
        words += ["-p", str(route.port)]
    if route.sources.get("jump") == reach.OWN:
        hops: list[str] = []
        hop = route.jump
        while hop is not None:
            address = f"[{hop.host}]" if ":" in hop.host else hop.host
            hops.insert(0, f"{hop.user}@{address}" + (f":{hop.port}" if hop.port != 22 else ""))
            hop = hop.jump
        words += ["-J", ",".join(hops)]
    known = route.sources["user"] not in (reach.OWN, reach.DEFAULT)
    return scripts.quote([*words, route.name if known else f"{route.user}@{route.name}"])

"""The network of a sandbox: one namespace, one veth pair, 10.231.N.0/24.

This machine is 10.231.N.1, the node 10.231.N.2, or the next address where it took the
place of another. Nothing is forwarded: the node
reaches this machine and nothing beyond it, no other sandbox's node either. N is
the lowest that no interface of this machine uses.
"""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from provision import errors
from provision.sandbox import files, jobs, rootfs

_LINK = re.compile(r"^ely(\d{1,3})$")
_PREFIX = "10.231"
COUNT = 255
_LAST = 254


@dataclass(frozen=True, kw_only=True)
class Network:
    """The network number `number`, of the sandbox `name`."""

    name: str
    number: int
    place: int = 2
    """The last part of the node's address."""

    @property
    def namespace(self) -> str:
        """The network namespace of the node."""
        return namespace_of(self.name)

    @property
    def link(self) -> str:
        """The interface on this machine."""
        return f"ely{self.number}"

    @property
    def host_address(self) -> str:
        """Where this machine is reached by the node."""
        return f"{_PREFIX}.{self.number}.1"

    @property
    def node_address(self) -> str:
        """Where the node is reached."""
        return f"{_PREFIX}.{self.number}.{self.place}"


def namespace_of(name: str) -> str:
    """Return the network namespace of the sandbox `name`."""
    return f"ely-{name}"


def namespace_path(name: str) -> Path:
    """Return the file that stands for that namespace (ip-netns(8))."""
    return Path("/run/netns") / namespace_of(name)


def free_number(links: Iterable[str], addresses: Iterable[str]) -> int:
    """Return the lowest N whose link name and addresses are unused.

    Raises:
        errors.ElysiumError: when all are in use.
    """
    used = {int(match[1]) for link in links if (match := _LINK.match(link))}
    for address in addresses:
        parts = address.split(".")
        if ".".join(parts[:2]) == _PREFIX:
            used.add(int(parts[2]))
    for number in range(COUNT):
        if number not in used:
            return number
    raise errors.ElysiumError(
        f"All {COUNT} networks for sandboxes are in use.", hint="elysium sandbox down frees one."
    )


def create(name: str) -> Network:
    """Make the network of the sandbox `name`, which must not exist.

    Raises:
        errors.ElysiumError: when ip(8) refuses.
    """
    with files.locked(files.lock_file(".networks"), what="allocating a network"):
        interfaces = json.loads(_ip("-j", "-4", "address", "show"))
        addresses = [info["local"] for link in interfaces for info in link.get("addr_info", ())]
        links = [path.name for path in Path("/sys/class/net").iterdir()]
        network = Network(name=name, number=free_number(links, addresses))
        _ip("netns", "add", network.namespace)
        _ip(
            *("link", "add", network.link, "type", "veth"),
            *("peer", "name", "host0", "netns", network.namespace),
        )
        # The alias is how a later run finds the link of a sandbox that crashed.
        _ip("link", "set", network.link, "alias", network.namespace)
    inside = ("-n", network.namespace)
    _ip("address", "add", f"{network.host_address}/24", "dev", network.link)
    _forward_nothing(network.link)
    _ip("link", "set", network.link, "up")
    _ip(*inside, "address", "add", f"{network.node_address}/24", "dev", "host0")
    _ip(*inside, "link", "set", "lo", "up")
    _ip(*inside, "link", "set", "host0", "up")
    # Kubernetes looks for the interface of the default route.
    _ip(*inside, "route", "add", "default", "via", network.host_address)
    return network


def _forward_nothing(link: str) -> None:
    """Keep what comes in by `link` on this machine, also where it is a router."""
    setting = Path(f"/proc/sys/net/ipv4/conf/{link}/forwarding")
    try:
        if setting.read_text().strip() != "0":
            setting.write_text("0")
    except OSError as error:
        raise errors.ElysiumError(
            "The sandbox's network cannot be closed off: this machine would forward its packets.",
            detail=str(error),
            hint="Make /proc/sys writable, or set net.ipv4.ip_forward to 0.",
        ) from error


def forget_node(net: Network) -> None:
    """Remove what a node whose power was cut left in its network: a machine starts without it.

    Raises:
        errors.ElysiumError: when a program refuses.
    """
    for link in _links(net):
        try:
            _ip("-n", net.namespace, "link", "delete", link)
        except errors.ElysiumError:
            # The kernel removes a pod's link some time after the pod's processes have ended.
            if link in _links(net):
                raise
    tools = rootfs.K3S_PROGRAMS
    for program in (("nft", "flush", "ruleset"), ("ipset", "destroy")):
        inside = ("chroot", str(rootfs.folder()), f"{tools}/{program[0]}", *program[1:])
        _ip("netns", "exec", net.namespace, *inside)


def _links(net: Network) -> list[str]:
    """Return the links that a node made in its network."""
    found = json.loads(_ip("-j", "-n", net.namespace, "link", "show"))
    return [link["ifname"] for link in found if link["ifname"] not in ("lo", "host0")]


def move_node(net: Network) -> Network:
    """Give the node's end of a network the next address instead; return the network with it.

    Raises:
        errors.ElysiumError: when ip(8) refuses.
    """
    moved = dataclasses.replace(net, place=net.place + 1 if net.place < _LAST else 2)
    inside = ("-n", net.namespace)
    _ip(*inside, "address", "flush", "dev", "host0")
    _ip(*inside, "address", "add", f"{moved.node_address}/24", "dev", "host0")
    _ip(*inside, "route", "add", "default", "via", moved.host_address)
    return moved


def remove(name: str) -> None:
    """Remove the network of `name`, whatever there is of it."""
    namespace = namespace_of(name)
    for alias in Path("/sys/class/net").glob("ely*/ifalias"):
        try:
            found = alias.read_text().strip() == namespace
        except OSError:
            continue
        if found:
            _ip("link", "delete", alias.parent.name)
    if namespace_path(name).exists():
        _ip("netns", "delete", namespace)


def _ip(*arguments: str) -> str:
    return jobs.run(("ip", *arguments), what="Setting up the sandbox's network")

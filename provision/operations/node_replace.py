"""Another machine in the place of a lost one: what goes with it, what stays, the new pin.

What was on the node or in its cluster is dropped from the state and deleted
nowhere: it is gone already. What lives elsewhere stays, above all the deploy
key on GitHub, whose private half only the state still holds. `up` then makes
what is missing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from provision import config, config_file, errors
from provision.engine.state import stacks, urns
from provision.operations import status
from provision.operations.stack import Stack

if TYPE_CHECKING:
    from provision.host.hostkey import HostKey

_KEPT = frozenset({"elysium:flux:GitAccess", "elysium:secrets:SealingKey"})
"""What a new node is given back: it outlives the cluster, or only the state still has it."""

_SEVERED = frozenset({"kubeconfig"})
"""Where what is kept found the lost cluster: it is not looked for there any more."""

_PATIENCE = 5.0
"""Seconds for a machine that is probably gone to prove the contrary."""


@dataclass(frozen=True, kw_only=True)
class Remembered:
    """One resource that the state remembers."""

    urn: str

    @property
    def type(self) -> str:
        """Its type."""
        return urns.type_of(self.urn)

    @property
    def name(self) -> str:
        """Its name."""
        return urns.name_of(self.urn)


@dataclass(frozen=True, kw_only=True)
class Inventory:
    """What the state remembers of a cluster: lost with its node, or kept."""

    lost: tuple[Remembered, ...]
    kept: tuple[Remembered, ...]


@dataclass(frozen=True, kw_only=True)
class NewNode:
    """How the new machine is reached; None leaves what the configuration says."""

    host: str | None = None
    host_key: str | None = None
    user: str | None = None
    port: int | None = None
    identity_file: str | None = None

    def of(self, old: config.Node) -> config.Node:
        """Return `old` with what is new about it."""
        return old.model_copy(update=self._given())

    def values(self) -> Mapping[str, str]:
        """Return what is to be written, by the key of the configuration, the pin first.

        So that a run cut off in between leaves a node that is refused, and
        not one that is trusted.
        """
        keys = {"host_key": "hostKey", "identity_file": "identityFile"}
        return {keys.get(name, name): str(value) for name, value in self._given().items()}

    def _given(self) -> dict[str, Any]:
        found = {
            "host_key": self.host_key,
            "host": self.host,
            "port": self.port,
            "user": self.user,
            "identity_file": self.identity_file,
        }
        return {name: value for name, value in found.items() if value is not None}


def inventory(stack: Stack) -> Inventory:
    """Return what the state remembers, in its order; nothing where there is no state."""
    latest = (stack.engine().state().get("checkpoint") or {}).get("latest") or {}
    lost: dict[str, Remembered] = {}
    kept: list[Remembered] = []
    for each in latest.get("resources") or []:
        urn = str(each["urn"])
        found = Remembered(urn=urn)
        if _goes_with_the_node(each, lost):
            lost[urn] = found
        elif each.get("custom") and not urns.is_provider(found.type):
            kept.append(found)
    return Inventory(lost=tuple(lost.values()), kept=tuple(kept))


def _goes_with_the_node(each: Mapping[str, Any], lost: Mapping[str, Remembered]) -> bool:
    kind = urns.type_of(str(each["urn"]))
    if kind in _KEPT or not each.get("custom"):
        return False
    in_cluster = urns.package_of(kind) == "kubernetes"
    return in_cluster or kind.startswith("elysium:node:") or each.get("deletedWith", "") in lost


def living(stack: Stack) -> str:
    """Return a sentence that says how the old cluster still answers; empty if it does not.

    It is the old cluster if the API server at the remembered address proves
    itself by the remembered authority and takes the remembered credentials.
    """
    from provision.kube import client, kubeconfig

    try:
        text = status.kubeconfig(stack)
        endpoint = kubeconfig.parse(text)
        tunnel = stack.live.tunnels
        with client.KubeClient(endpoint, timeout=_PATIENCE, tunnel=tunnel) as kube:
            version = kube.version()
    except (errors.StackError, errors.KubeError):
        return ""
    return f"the cluster {stack.config.cluster} still answers at {endpoint.server} ({version})"


def scan(old: config.Node, new: NewNode) -> HostKey:
    """Return the host key that the new machine shows now; nobody is logged in.

    Raises `errors.ConnectError`.
    """
    from provision.host import transport

    node = new.of(old)
    more = {"ssh_config": node.ssh_config} if node.ssh_config else {}
    return transport.scan_host_key(node.host, node.port, jump=node.jump, **more)


def prove(stack: Stack, new: NewNode) -> None:
    """Log in to the new machine once, so that what is wrong shows before anything changes.

    Raises `errors.RemoteError`: another host key, no login, no connection.
    """
    from provision.host import transport

    node = new.of(stack.config.server)
    through = transport.Transport(node, jump=node.jump)
    try:
        through.connected()
    finally:
        through.close()


def pin(stack: Stack, new: NewNode) -> tuple[str, ...]:
    """Write the new machine into the configuration; return the keys that were set."""
    project = config_file.find_project(stack.directory)
    path = project.stack_file(stack.ref.stack)
    index = stack.config.nodes.index(stack.config.server)
    old = stack.config.server
    changed: list[str] = []
    values = dict(new.values())
    for key, value in config_file.split_keys(path, index).items():
        # They stand in the old host's text (user@host:port), which is about to go.
        if "host" in values:
            values.setdefault(key, value)
    for key, value in values.items():
        attribute = {"hostKey": "host_key", "identityFile": "identity_file"}.get(key, key)
        # What is not set comes from elsewhere, and may become another value.
        if attribute not in old.model_fields_set or str(getattr(old, attribute)) != value:
            config_file.set_value(path, f"nodes[{index}].{key}", value)
            changed.append(key)
    return tuple(changed)


def forget(stack: Stack) -> tuple[Remembered, ...]:
    """Drop what the lost node took with it from the state; return what was dropped."""
    lost = frozenset(each.urn for each in inventory(stack).lost)
    if not lost:
        return ()
    dropped = stacks.forget(stack.ref, lost, _SEVERED)
    return tuple(Remembered(urn=urn) for urn in dropped)

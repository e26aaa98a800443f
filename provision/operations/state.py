"""What the stack's state remembers, as plain values. Contacts nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from provision import crypter
from provision.engine.state import record, values
from provision.operations.stack import Stack
from provision.secret import Secret


@dataclass(frozen=True, kw_only=True)
class Record:
    """One resource of the state, secrets in clear: never print one."""

    type: str
    name: str
    inputs: dict[str, Any]
    outputs: dict[str, Any]


def resources(stack: Stack) -> tuple[Record, ...]:
    """Return the custom resources of the stack's state, in its order.

    Raises `errors.StackError` for a wrong passphrase or a broken file.
    """
    latest = _latest(stack)
    salt = str(((latest.get("secrets_providers") or {}).get("state") or {}).get("salt", ""))
    vault = values.Vault(lambda: crypter.PassphraseCrypter.from_salt(salt, stack.passphrase))
    found: list[Record] = []
    for raw in latest.get("resources") or []:
        each = record.decode(raw, vault)
        if each.custom and not each.is_provider and not each.delete:
            found.append(
                Record(
                    type=each.type,
                    name=each.urn.rpartition("::")[2],
                    inputs=values.plain(each.inputs),
                    outputs=values.plain(each.outputs),
                )
            )
    return tuple(found)


def has(stack: Stack, type_: str) -> bool:
    """Return whether a resource of that type is in the state. Decrypts nothing."""
    return any(
        str(raw.get("type")).rpartition("$")[2] == type_
        for raw in _latest(stack).get("resources") or []
    )


def begun(stack: Stack) -> bool:
    """Return whether an earlier run began to set something up. Decrypts nothing."""
    latest = _latest(stack)
    return bool(latest.get("resources") or latest.get("pending_operations"))


_EXPORTS: Final = {
    "nodeName": ("elysium:node:K3sServer", "nodeName"),
    "k3sVersion": ("elysium:node:K3sServer", "version"),
    "kubeconfig": ("elysium:node:K3sServer", "kubeconfig"),
    "gpuResource": ("elysium:node:IntelGpu", "resourceName"),
    "mediaMount": ("elysium:node:MediaMount", "mountPoint"),
    "mediaUnit": ("elysium:node:MediaMount", "unit"),
    "deployKeyTitle": ("elysium:flux:GitAccess", "title"),
    "deployKeyFingerprint": ("elysium:flux:GitAccess", "fingerprint"),
    "fluxRevision": ("elysium:flux:Sync", "revision"),
    "kustomizations": ("elysium:flux:Sync", "kustomizations"),
    "sealingCertificate": ("elysium:secrets:SealingKey", "certificate"),
    "sealingFingerprints": ("elysium:secrets:SealingKey", "fingerprints"),
    "sealingKeys": ("elysium:secrets:SealingKey", "keys"),
    "gpuAllocatable": ("elysium:node:GpuCapacity", "allocatable"),
}
"""Each of the stack's exports: the resource that it comes from, and the output's name."""

_SECRET_EXPORTS: Final = frozenset({"kubeconfig", "sealingKeys"})


def exports(stack: Stack, show_secrets: bool = False) -> dict[str, Any]:
    """Return the stack's exports as far as its resources have them.

    Secrets are `Secret` unless `show_secrets`.
    """
    known = {record.type: record.outputs for record in resources(stack)}
    found: dict[str, Any] = {"cluster": stack.config.cluster} if known else {}
    for name, (type_, key) in _EXPORTS.items():
        value = known.get(type_, {}).get(key)
        if value is None:
            continue
        secret = name in _SECRET_EXPORTS and not show_secrets
        found[name] = Secret(str(value)) if secret else value
    return found


def kubeconfig(stack: Stack) -> str:
    """Return the kubeconfig that k3s' resource has; empty where k3s was not set up.

    Holds the private key of the cluster's administrator in clear.
    """
    found = (record for record in resources(stack) if record.type == "elysium:node:K3sServer")
    return next((str(record.outputs.get("kubeconfig") or "") for record in found), "")


def sealing_keys(stack: Stack) -> str:
    """Return all sealing keys of the state as one text (`keyring.load`), empty without any.

    It holds private keys in clear.
    """
    found = (r for r in resources(stack) if r.type.endswith("elysium:secrets:SealingKey"))
    return next((str(record.outputs.get("keys") or "") for record in found), "")


def public_outputs(stack: Stack, type_: str) -> dict[str, Any]:
    """Return the outputs of the first resource of that type, what is secret still encrypted."""
    return _public(stack, type_, "outputs")


def public_inputs(stack: Stack, type_: str) -> dict[str, Any]:
    """Return the inputs of the first resource of that type, what is secret still encrypted."""
    return _public(stack, type_, "inputs")


def _public(stack: Stack, type_: str, part: str) -> dict[str, Any]:
    for raw in _latest(stack).get("resources") or []:
        if str(raw.get("type")).rpartition("$")[2] == type_:
            return dict(raw.get(part) or {})
    return {}


def last_update(stack: Stack) -> str:
    """Return when the state was last written (RFC 3339), or an empty text."""
    return str((_latest(stack).get("manifest") or {}).get("time", ""))


def _latest(stack: Stack) -> dict[str, Any]:
    document = stack.engine().state()
    latest = (document.get("checkpoint") or {}).get("latest") or {}
    return dict(latest)

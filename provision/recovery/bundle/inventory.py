"""What a cluster was: the list that a restored one is compared with.

Secrets are in it by a keyed hash (HMAC-SHA256) whose key is the inventory's
own salt: equal contents can be told, nothing else.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

import pydantic

from provision.recovery.bundle import manifest

if TYPE_CHECKING:
    from provision.kube.client import KubeClient

KUSTOMIZE: Final = "kustomize.toolkit.fluxcd.io/v1"
SOURCE: Final = "source.toolkit.fluxcd.io/v1"
HELM: Final = "helm.toolkit.fluxcd.io/v2"
_PASSING: Final = frozenset(
    {
        "kubernetes.io/service-account-token",
        "bootstrap.kubernetes.io/token",
        "helm.sh/release.v1",
    }
)
"""Types of Secrets that a cluster makes for itself."""
_K3S_OWN: Final = ("k3s-serving", ".node-password.k3s")


class Kustomization(manifest.Model):
    """One Flux Kustomization, and what it applied (``namespace_name_group_kind``)."""

    namespace: str
    name: str
    ready: bool
    revision: str = ""
    objects: tuple[str, ...] = ()


class HelmRelease(manifest.Model):
    """One HelmRelease."""

    namespace: str
    name: str
    ready: bool


class SecretHash(manifest.Model):
    """One Secret; `hash` is that of `hash_secret`."""

    namespace: str
    name: str
    hash: str


class Inventory(manifest.Model):
    """What there was."""

    salt: str
    revision: str = ""
    kustomizations: tuple[Kustomization, ...] = ()
    helm_releases: tuple[HelmRelease, ...] = ()
    secrets: tuple[SecretHash, ...] = ()
    sealed_secrets: tuple[str, ...] = ()
    namespaces: tuple[str, ...] = ()
    allocatable: dict[str, str] = pydantic.Field(default_factory=dict[str, str])
    """Of all nodes: devices only, ``gpu.intel.com/i915`` and its like."""
    media_mount: str = ""

    def dump(self) -> bytes:
        """Return the inventory as its part of a bundle."""
        return json.dumps(self.model_dump(mode="json", by_alias=True), indent=1).encode()


def load(content: bytes) -> Inventory:
    """Return the inventory in a bundle's part. Raises `pydantic.ValidationError`."""
    return Inventory.model_validate_json(content, by_alias=True, by_name=False)


def take(
    client: KubeClient,
    *,
    source: tuple[str, str],
    salt: str = "",
    media_mount: str = "",
    handled: str = "",
) -> Inventory:
    """Return what the cluster is now. Raises `errors.KubeError`.

    `source` is namespace and name of the GitRepository that Flux follows.

    With the `salt` of an earlier inventory, hashes of Secrets can be compared
    with those in it. With `handled`, a request to reconcile, an object is ready
    only where its controller acted on that request: a condition from before does
    not count. No controller acts on a suspended object, which keeps its condition.
    """
    salt = salt or secrets.token_hex(16)
    namespace, name = source
    followed = client.get(SOURCE, "GitRepository", name, namespace) or {}
    return Inventory(
        salt=salt,
        revision=_at(followed, "status", "artifact", "revision"),
        kustomizations=tuple(
            Kustomization(
                namespace=_at(each, "metadata", "namespace"),
                name=_at(each, "metadata", "name"),
                ready=_ready(each, handled),
                revision=_at(each, "status", "lastAppliedRevision"),
                objects=_applied(each),
            )
            for each in client.list(KUSTOMIZE, "Kustomization")
        ),
        helm_releases=tuple(
            HelmRelease(
                namespace=_at(each, "metadata", "namespace"),
                name=_at(each, "metadata", "name"),
                ready=_ready(each, handled),
            )
            for each in client.list(HELM, "HelmRelease")
        ),
        secrets=tuple(
            SecretHash(
                namespace=_at(each, "metadata", "namespace"),
                name=_at(each, "metadata", "name"),
                hash=hash_secret(each, salt),
            )
            for each in client.list("v1", "Secret")
            if not _is_passing(each)
        ),
        sealed_secrets=tuple(
            f"{_at(each, 'metadata', 'namespace')}/{_at(each, 'metadata', 'name')}"
            for each in client.list("bitnami.com/v1alpha1", "SealedSecret")
        ),
        namespaces=tuple(_at(each, "metadata", "name") for each in client.list("v1", "Namespace")),
        allocatable=_devices(client.list("v1", "Node")),
        media_mount=media_mount,
    )


def hash_secret(secret: Mapping[str, Any], salt: str) -> str:
    """Return the keyed hash of a Secret's type and decoded data."""
    digest = hmac.new(bytes.fromhex(salt), digestmod=hashlib.sha256)
    digest.update(str(secret.get("type") or "Opaque").encode())
    for key, value in sorted((secret.get("data") or {}).items()):
        try:
            content = base64.b64decode(value, validate=True)
        except (ValueError, TypeError):
            content = str(value).encode()
        digest.update(b"\0" + key.encode() + b"\0" + hashlib.sha256(content).digest())
    return digest.hexdigest()


def _is_passing(secret: Mapping[str, Any]) -> bool:
    name = _at(secret, "metadata", "name")
    return secret.get("type") in _PASSING or name.endswith(_K3S_OWN)


def _ready(obj: Mapping[str, Any], handled: str) -> bool:
    suspended = (obj.get("spec") or {}).get("suspend")
    acted = (obj.get("status") or {}).get("lastHandledReconcileAt") == handled
    if handled and not acted and not suspended:
        return False
    conditions = (obj.get("status") or {}).get("conditions") or []
    return any(c.get("type") == "Ready" and c.get("status") == "True" for c in conditions)


def _applied(obj: Mapping[str, Any]) -> tuple[str, ...]:
    entries = ((obj.get("status") or {}).get("inventory") or {}).get("entries") or []
    return tuple(sorted(str(entry.get("id")) for entry in entries))


def _devices(nodes: list[dict[str, Any]]) -> dict[str, str]:
    """Return what device plugins offer: their resources' names have a domain."""
    found: dict[str, str] = {}
    for node in nodes:
        for name, amount in ((node.get("status") or {}).get("allocatable") or {}).items():
            if "/" in name:
                found[name] = str(amount)
    return found


def _at(obj: Mapping[str, Any], *keys: str) -> str:
    value: Any = obj
    for key in keys:
        value = (value or {}).get(key)
    return str(value or "")

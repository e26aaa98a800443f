"""What a bundle puts into a cluster before Flux starts in it."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from provision import errors
from provision.operations import state
from provision.operations.stack import Stack
from provision.progress import Progress
from provision.provider.deploy_key import keypair
from provision.provider.flux import objects as flux_objects
from provision.recovery.bundle import archive, inventory, parts
from provision.recovery.bundle import validation as bundle_validation

if TYPE_CHECKING:
    from provision.kube.client import KubeClient

_MANAGER: Final = "elysium"
_ACCESS: Final = "elysium:flux:GitAccess"
_RECONCILED: Final = (
    (inventory.SOURCE, "GitRepository"),
    (inventory.KUSTOMIZE, "Kustomization"),
    (inventory.HELM, "HelmRelease"),
)
_MADE: Final = ("creationTimestamp", "resourceVersion", "uid", "managedFields", "generation")


def place(kube: KubeClient, stack: Stack, found: archive.Bundle, progress: Progress) -> None:
    """Create definitions, sealing keys, SOPS keys and, if need be, the deploy key's Secret.

    What is there already is left as it is, so it may be run again.
    """
    chosen = bundle_validation.items(found, parts.CRDS) + bundle_validation.items(
        found, parts.SEALING_KEYS
    )
    chosen += bundle_validation.items(found, parts.SOPS_AGE)
    if parts.FLUX_SYSTEM in found.contents:
        access = found.json(parts.FLUX_SYSTEM)
        if not _remembered(stack, access):
            chosen.append(access)
    for obj in chosen:
        progress(f"putting back {_title(obj)}")
        _create(kube, obj)


def _remembered(stack: Stack, access: Mapping[str, Any]) -> bool:
    """Return whether the state has the Secret's key, so that it is taken over and proven."""
    pair = keypair.pair_of(keypair.secret_field(access, "identity"))
    known = [each for each in state.resources(stack) if each.type.endswith(_ACCESS)]
    kept = keypair.pair_of(str(known[0].outputs.get("privateKey") or "")) if known else None
    if pair is None:
        return True
    return kept is not None and kept.fingerprint == pair.fingerprint


def _create(kube: KubeClient, obj: Mapping[str, Any]) -> None:
    metadata = {k: v for k, v in (obj.get("metadata") or {}).items() if k not in _MADE}
    if metadata.get("namespace"):
        flux_objects.ensure_namespace(kube, metadata["namespace"], field_manager=_MANAGER)
    try:
        kube.create({**obj, "metadata": metadata}, field_manager=_MANAGER)
    except errors.KubeError as error:
        if error.status != 409:
            raise


def tidy_nodes(kube: KubeClient, name: str, progress: Progress) -> None:
    """Delete the Node objects of machines that are gone: all but `name`."""
    gone = [
        str(each["metadata"]["name"])
        for each in kube.list("v1", "Node")
        if each["metadata"]["name"] != name
    ]
    for each in gone:
        progress(f"deleting the Node {each}, which is gone")
        kube.delete("v1", "Node", each)
        kube.delete("v1", "Secret", f"{each}.node-password.k3s", "kube-system")


def reconcile_everything(kube: KubeClient) -> str:
    """Ask Flux to reconcile every source, Kustomization and HelmRelease; return the request.

    A suspended object is left alone, and so is one that is deleted meanwhile.
    """
    stamp = f"elysium-restore-{time.time_ns()}"
    for version, kind in _RECONCILED:
        for each in kube.list(version, kind):
            if (each.get("spec") or {}).get("suspend"):
                continue
            try:
                flux_objects.request(kube, flux_objects.Ref.of(each), stamp)
            except errors.KubeError as error:
                if error.status != 404:
                    raise
    return stamp


def _title(obj: Mapping[str, Any]) -> str:
    metadata = obj.get("metadata") or {}
    place = "/".join(p for p in (metadata.get("namespace"), metadata.get("name")) if p)
    return f"{obj.get('kind')} {place}"

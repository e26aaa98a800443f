"""What Flux does with an object that a Kustomization no longer applies.

The rules are kustomize-controller's (fluxcd.io, "Kustomization": prune, deletionPolicy,
suspend, "Controlling the apply behavior of resources").
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from provision.gitops.build import flux
from provision.gitops.diff.side import Applied, Side
from provision.gitops.documents import mapping

Action = Literal["delete", "keep", "unknown"]
_CORE: Final = ""
_LOSSES: Final = {
    (_CORE, "PersistentVolumeClaim"): (
        "the claim's data goes with it, unless its volume has the reclaim policy Retain"
    ),
    (_CORE, "PersistentVolume"): "no claim reaches the volume's data any more",
    (_CORE, "Namespace"): "everything in it goes with it, also what is not in Git",
    ("apiextensions.k8s.io", "CustomResourceDefinition"): (
        "every object of this kind in the cluster goes with it"
    ),
}
_FIXED: Final = {
    (_CORE, "PersistentVolumeClaim"): ("resources", "volumeAttributesClassName"),
    (_CORE, "PersistentVolume"): (
        *("accessModes", "capacity", "claimRef", "mountOptions", "nodeAffinity"),
        *("persistentVolumeReclaimPolicy", "storageClassName", "volumeAttributesClassName"),
    ),
}
"""What of a claim and of a volume can change in place."""
_MIRROR: Final = "MirrorPrune"


@dataclass(frozen=True, kw_only=True)
class Fate:
    """What becomes of an object, and why."""

    action: Action
    reason: str = ""


def fate(one: Applied, before: Side, after: Side) -> Fate:
    """Return what becomes of `one`, which is in `before` and not in `after`."""
    return _fate(one, before, after, frozenset())


def _fate(one: Applied, before: Side, after: Side, above: frozenset[flux.Key]) -> Fate:
    for key in ("prune", "reconcile"):
        if one.says(key, "disabled"):
            return Fate(action="keep", reason=f"{flux.GROUP}/{key} is disabled")
    owner = one.unit.kustomization
    if owner.key not in after.units:
        return _without_owner(owner, before, after, above)
    unit = after.units[owner.key]
    if unit.failed:
        reason = f"Kustomization {owner} does not build, so Flux keeps what it applied"
        return Fate(action="unknown", reason=reason)
    if unit.unseen:
        return Fate(action="unknown", reason=f"Kustomization {owner} is not built: {unit.unseen}")
    new = [base for base in unit.remote if base not in one.unit.remote]
    if new:
        reason = f"Kustomization {owner} may take it from {new[0]}, which lies elsewhere"
        return Fate(action="unknown", reason=reason)
    if not after.settings(owner.key).get("prune"):
        return Fate(action="keep", reason=f"spec.prune of Kustomization {owner} is not set")
    resumed = f"when Kustomization {owner} is resumed" if unit.kustomization.suspended else ""
    return Fate(action="delete", reason=resumed)


def _without_owner(
    owner: flux.Kustomization, before: Side, after: Side, above: frozenset[flux.Key]
) -> Fate:
    """Return what becomes of the objects of `owner`, which is not in `after` itself."""
    written = before.kustomizations.get(owner.key)
    if written is None or owner.key in above:
        return Fate(action="unknown", reason=f"nothing says what becomes of Kustomization {owner}")
    if written.identity in after.applied:
        return Fate(action="unknown", reason=f"Kustomization {owner} is not followed any more")
    own = _fate(written, before, after, above | {owner.key})
    if own.action == "unknown":
        return own
    if own.action == "keep":
        reason = f"Kustomization {owner} stays in the cluster and goes on applying {owner.path}"
        return Fate(action="unknown", reason=f"{reason} ({own.reason})")
    if owner.suspended:
        reason = f"Kustomization {owner} goes while it is suspended, and deletes nothing"
        return Fate(action="keep", reason=reason)
    policy = str(written.spec.get("deletionPolicy") or _MIRROR)
    if policy == "Orphan":
        return Fate(action="keep", reason=f"deletionPolicy of Kustomization {owner} is Orphan")
    if policy == _MIRROR and not written.spec.get("prune"):
        return Fate(action="keep", reason=f"spec.prune of Kustomization {owner} is not set")
    return Fate(action="delete", reason=f"Kustomization {owner} goes")


def loss(one: Applied) -> str:
    """Return which data is lost when `one` is deleted, or an empty text."""
    _, group, (kind, _, _) = one.identity
    if (group, kind) == ("apps", "StatefulSet"):
        policy = mapping(one.spec.get("persistentVolumeClaimRetentionPolicy"))
        if policy.get("whenDeleted") == "Delete" and one.spec.get("volumeClaimTemplates"):
            return "the claims of its pods go with it (whenDeleted: Delete)"
    return _LOSSES.get((group, kind), "")


def consequence(one: Applied) -> str:
    """Return what else the deletion of `one` brings, or an empty text."""
    _, group, (kind, _, _) = one.identity
    if (group, kind) != ("helm.toolkit.fluxcd.io", "HelmRelease") or one.spec.get("suspend"):
        return ""
    return "Helm uninstalls all that its chart made, claims too"


def recreation(before: Applied, after: Applied, settings: Mapping[str, Any]) -> str:
    """Return which data is lost when Flux replaces a claim or volume to change it.

    `settings` are those of the Kustomization that applies it. With ``force`` Flux deletes and
    creates an object whose change the API refuses; most of a claim's spec cannot change.
    """
    _, group, (kind, _, _) = after.identity
    forced = bool(settings.get("force")) or after.says("force", "enabled")
    if not forced or (group, kind) not in _FIXED:
        return ""
    old, new = dict(before.spec), dict(after.spec)
    for name in _FIXED[group, kind]:
        old.pop(name, None)
        new.pop(name, None)
    return f"Flux replaces it (force): {_LOSSES[group, kind]}" if old != new else ""

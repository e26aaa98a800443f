"""What of a restored cluster waits for an object that somebody suspended. Pure.

No controller acts on a suspended object of Flux, so it does not become ready by itself, and
nor does what depends on it or what only it would apply.

Fact: kustomize-controller's check of dependencies: each is Ready, and at the revision of the
source where both have the same source.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from provision.kube import readiness, wait
from provision.operations import suspended
from provision.provider.flux import wait as flux_wait
from provision.recovery.bundle import inventory

Object = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Held:
    """What waits, as ``Kind namespace/name``, and how each suspended object is resumed."""

    refs: frozenset[str] = frozenset()
    resume: tuple[str, ...] = ()


NOTHING: Final = Held()


def find(
    was: inventory.Inventory,
    objects: Iterable[Object],
    *,
    source: tuple[str, str],
    revision: str,
) -> Held:
    """Return what waits for suspended objects, in the cluster that was `was`.

    `objects` are the Kustomizations and HelmReleases that exist. `source` is namespace and
    name of the GitRepository that Flux follows, `revision` is what it offers.
    """
    live = {str(wait.Ref.of(obj)): obj for obj in objects}
    stopped = {ref for ref, obj in live.items() if suspended.is_suspended(obj)}
    unready = {ref for ref, obj in live.items() if not _ready(obj)}
    behind = {
        ref
        for ref in stopped - unready
        if _follows(live[ref], source)
        and (live[ref].get("status") or {}).get("lastAppliedRevision") != revision
    }
    refs = stopped & unready
    while True:
        more = {ref for ref in unready - refs if refs & _needs(live[ref])}
        more |= {
            ref
            for ref in unready - refs
            if _follows(live[ref], source) and behind & _needs(live[ref])
        }
        more |= _only_applied_by(was, refs) - live.keys() - refs
        if not more:
            break
        refs |= more
    waited_for = {needed for ref in refs & live.keys() for needed in _needs(live[ref])}
    causes = [ref for ref in live if ref in stopped and ref in refs | (behind & waited_for)]
    return Held(refs=frozenset(refs), resume=tuple(suspended.resume(live[ref]) for ref in causes))


def object_of(entry: str) -> str:
    """Return an inventory's ``namespace_name_group_kind`` as people write it."""
    namespace, name, _, kind = (*entry.split("_"), "", "", "", "")[:4]
    return f"{kind} {'/'.join(part for part in (namespace, name) if part)}"


def _only_applied_by(was: inventory.Inventory, refs: set[str]) -> set[str]:
    """Return what the Kustomizations among `refs` applied, with the Secrets that came of it."""
    applied = {
        object_of(entry)
        for each in was.kustomizations
        if f"Kustomization {each.namespace}/{each.name}" in refs
        for entry in each.objects
    }
    sealed = "SealedSecret "
    return applied | {
        f"Secret {ref.removeprefix(sealed)}" for ref in applied if ref.startswith(sealed)
    }


def _needs(obj: Object) -> set[str]:
    here = str(obj["metadata"].get("namespace") or "")
    kind = str(obj["kind"])
    return {
        f"{kind} {needed.get('namespace') or here}/{needed.get('name')}"
        for needed in (obj.get("spec") or {}).get("dependsOn") or ()
    }


def _follows(obj: Object, source: tuple[str, str]) -> bool:
    """Return whether `obj` is a Kustomization of the GitRepository `source`."""
    return obj["kind"] == "Kustomization" and flux_wait.follows(obj, source[1], source[0])


def _ready(obj: Object) -> bool:
    return readiness.condition(obj, "Ready").get("status") == "True"

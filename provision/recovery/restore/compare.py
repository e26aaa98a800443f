"""A restored cluster beside what its backup says it was. Pure, but for `until_equal`."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from dataclasses import dataclass

from provision.progress import Progress, silent
from provision.recovery.bundle import inventory

_PAUSE = 2.0


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """How a cluster differs from what it was.

    `missing` and `different` name what should be as it was and is not;
    `expected` what is not there for a reason that was told before. `equal`
    counts Secrets of the same content, `ready` the Kustomizations that are.
    """

    kustomizations: int
    ready: int
    secrets: int
    equal: int
    missing: tuple[str, ...] = ()
    different: tuple[str, ...] = ()
    expected: tuple[str, ...] = ()

    @property
    def same(self) -> bool:
        """Whether everything is as it was, but for what was told before."""
        return not self.missing and not self.different


def differences(
    was: inventory.Inventory,
    now: inventory.Inventory,
    *,
    lost: Collection[str] = (),
    changed: Collection[str] = (),
) -> Comparison:
    """Compare two inventories whose hashes have the same salt.

    `lost` are Secrets that neither Git nor the backup has, `changed` those that
    may have another content now (``namespace/name``). Objects are compared
    where a Kustomization has the same revision.
    """
    missing: list[str] = []
    different: list[str] = []
    expected: list[str] = []
    there = {(each.namespace, each.name): each for each in now.kustomizations}
    for each in was.kustomizations:
        found = there.get((each.namespace, each.name))
        name = f"Kustomization {each.namespace}/{each.name}"
        if found is None:
            missing.append(name)
        elif not found.ready:
            different.append(f"{name} is not Ready")
        else:
            gone = set(each.objects) - set(found.objects)
            if found.revision == each.revision:
                missing += [f"{_object(entry)}, of {name}" for entry in sorted(gone)]
    hashes = {f"{each.namespace}/{each.name}": each.hash for each in now.secrets}
    equal = 0
    for each in was.secrets:
        name = f"{each.namespace}/{each.name}"
        if hashes.get(name) == each.hash:
            equal += 1
        elif name not in hashes:
            (expected if name in lost else missing).append(f"Secret {name}")
        else:
            (expected if {name} & {*changed, *lost} else different).append(
                f"Secret {name} has another content"
            )
    for name in _less(was.sealed_secrets, now.sealed_secrets):
        (expected if name in lost else missing).append(f"SealedSecret {name}")
    missing += [f"device {name}" for name in _less(was.allocatable, now.allocatable)]
    releases = {(each.namespace, each.name): each.ready for each in now.helm_releases}
    for each in was.helm_releases:
        if each.ready and not releases.get((each.namespace, each.name)):
            different.append(f"HelmRelease {each.namespace}/{each.name} is not Ready")
    return Comparison(
        kustomizations=len(was.kustomizations),
        ready=sum(each.ready for each in now.kustomizations),
        secrets=len(was.secrets),
        equal=equal,
        missing=tuple(missing),
        different=tuple(different),
        expected=tuple(expected),
    )


def until_equal(
    look: Callable[[], Comparison], *, timeout: float, progress: Progress = silent
) -> Comparison:
    """Look until nothing differs any more, or `timeout` seconds have passed; return the last."""
    deadline = time.monotonic() + timeout
    told = ""
    while True:
        found = look()
        if found.same or time.monotonic() > deadline:
            return found
        words = (*found.missing, *found.different)[0]
        if words != told:
            progress(f"waiting for {words}")
            told = words
        time.sleep(_PAUSE)


def _less(before: Collection[str], after: Collection[str]) -> list[str]:
    return sorted(set(before) - set(after))


def _object(entry: str) -> str:
    """Return an inventory's ``namespace_name_group_kind`` as people write it."""
    namespace, name, _, kind = (*entry.split("_"), "", "", "", "")[:4]
    return f"{kind} {'/'.join(part for part in (namespace, name) if part)}"

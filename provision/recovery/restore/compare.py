"""A restored cluster beside what its backup says it was. Pure, but for `until_equal`."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from dataclasses import dataclass

from provision.progress import Progress, silent
from provision.recovery.bundle import inventory
from provision.recovery.restore import held

_PAUSE = 2.0


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """How a cluster differs from what it was.

    `missing` and `different` name what should be as it was and is not;
    `expected` what is not there for a reason that was told before. `waiting` are those
    of the missing and different ones that wait for suspended objects, and `resume` says how
    these are resumed. `equal` counts Secrets of the same content, `ready` the Kustomizations
    that are.
    """

    kustomizations: int
    ready: int
    secrets: int
    equal: int
    missing: tuple[str, ...] = ()
    different: tuple[str, ...] = ()
    expected: tuple[str, ...] = ()
    waiting: frozenset[str] = frozenset()
    resume: tuple[str, ...] = ()

    @property
    def changing(self) -> tuple[str, ...]:
        """What differs and may still become as it was by itself."""
        differing = (*self.missing, *self.different)
        return tuple(words for words in differing if words not in self.waiting)

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
    stopped: held.Held = held.NOTHING,
) -> Comparison:
    """Compare two inventories whose hashes have the same salt.

    `lost` are Secrets that neither Git nor the backup has, `changed` those that
    may have another content now (``namespace/name``). Objects are compared
    where a Kustomization has the same revision. `stopped` is what waits for suspended
    objects; a Kustomization that is suspended, and was not Ready before either, is as it was.
    """
    missing: list[str] = []
    different: list[str] = []
    expected: list[str] = []
    waiting: set[str] = set()

    def note(where: list[str], ref: str, words: str) -> None:
        where.append(words)
        if ref in stopped.refs:
            waiting.add(words)

    there = {(each.namespace, each.name): each for each in now.kustomizations}
    for each in was.kustomizations:
        found = there.get((each.namespace, each.name))
        name = f"Kustomization {each.namespace}/{each.name}"
        if found is None:
            note(missing, name, name)
        elif not found.ready:
            if each.ready or name not in stopped.refs:
                note(different, name, f"{name} is not Ready")
        elif found.revision == each.revision:
            for entry in sorted(set(each.objects) - set(found.objects)):
                ref = held.object_of(entry)
                note(missing, ref, f"{ref}, of {name}")
    hashes = {f"{each.namespace}/{each.name}": each.hash for each in now.secrets}
    equal = 0
    for each in was.secrets:
        name = f"{each.namespace}/{each.name}"
        ref = f"Secret {name}"
        if hashes.get(name) == each.hash:
            equal += 1
        elif name not in hashes:
            note(expected if name in lost else missing, ref, ref)
        else:
            told = name in {*changed, *lost}
            (expected if told else different).append(f"{ref} has another content")
    for name in _less(was.sealed_secrets, now.sealed_secrets):
        ref = f"SealedSecret {name}"
        note(expected if name in lost else missing, ref, ref)
    missing += [f"device {name}" for name in _less(was.allocatable, now.allocatable)]
    releases = {(each.namespace, each.name): each.ready for each in now.helm_releases}
    for each in was.helm_releases:
        if each.ready and not releases.get((each.namespace, each.name)):
            ref = f"HelmRelease {each.namespace}/{each.name}"
            note(different, ref, f"{ref} is not Ready")
    return Comparison(
        kustomizations=len(was.kustomizations),
        ready=sum(each.ready for each in now.kustomizations),
        secrets=len(was.secrets),
        equal=equal,
        missing=tuple(missing),
        different=tuple(different),
        expected=tuple(expected),
        waiting=frozenset(waiting),
        resume=stopped.resume if waiting else (),
    )


def until_equal(
    look: Callable[[], Comparison], *, timeout: float, progress: Progress = silent
) -> Comparison:
    """Look until nothing that differs can change by itself, or until `timeout` seconds have passed.

    What waits for a suspended object is named at once. Return the last comparison.
    """
    deadline = time.monotonic() + timeout
    told: set[str] = set()
    last = ""
    while True:
        found = look()
        for how in found.resume:
            if how not in told:
                told.add(how)
                progress(f"something suspended does not become ready by itself: {how}")
        if found.same or not found.changing or time.monotonic() > deadline:
            return found
        if found.changing[0] != last:
            last = found.changing[0]
            progress(f"waiting for {last}")
        time.sleep(_PAUSE)


def _less(before: Collection[str], after: Collection[str]) -> list[str]:
    return sorted(set(before) - set(after))

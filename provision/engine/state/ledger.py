"""What a run has done to the state, as a list of small entries.

A `Ledger` starts from the checkpoint as it was and takes entries;
`Ledger.document` folds both into a checkpoint. The same entries, read back
from a journal after a crash, give the same checkpoint: there is one piece of
code for both.

Every resource lives in a numbered cell for the length of a run. Entries are
JSON objects with the key ``do``:

========  ==================================================================
base      a checkpoint with this `sha256` is being written now; its resources
          are the `cells` in this order, the first `fresh` of them those up to
          the last of this run's
begin     an operation is about to call a provider (`id`, `operation`)
end       that operation came to an end, well or not (`id`)
put       this run's resource: a new cell `cell`, in place of the cell `takes`
          if given; without `resource` it is what `takes` held
edit      the cell `cell` holds `resource` now
drop      the cell `cell` is gone
rename    a resource has a new URN (`old`, `new`); older references follow
settle    an interrupted operation of an earlier run is settled (`urn`)
========  ==================================================================

Order in the checkpoint: this run's resources as they were completed, then
what is left of the earlier ones in their order. So references point
backwards, but where a run is limited to targets: what it leaves alone keeps
its references to what it does not. There, what is needed is put before.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from typing import Any

from provision.engine.state import checkpoint, urns

Entry = dict[str, Any]
Raw = dict[str, Any]


class Ledger:
    """A checkpoint and what has been done to it. Not locked: the caller does that."""

    def __init__(self, base: checkpoint.Document, start: Entry | None = None) -> None:
        """Start from `base`; with the cells that the ``base`` entry `start` gave its resources."""
        resources = checkpoint.resources(base)
        cells: list[int] = list(range(len(resources))) if start is None else start["cells"]
        fresh = 0 if start is None else int(start["fresh"])
        self.base = base
        self._held: dict[int, Raw] = dict(zip(cells, resources, strict=True))
        self._new: list[int] = cells[:fresh]
        self._old: list[int] = cells[fresh:]
        self._next = 0 if start is None else int(start["next"])
        self._next = max(self._next, len(cells))
        self._under_way: dict[int, Raw] = {}
        self._renamed: dict[str, str] = {}
        pending = checkpoint.pending(base)
        if start is not None:
            self._under_way = {int(key): each for key, each in start["underWay"].items()}
            self._renamed = dict(start["renamed"])
            pending = [each for each in pending if each not in self._under_way.values()]
        self._carried = [each for each in pending if each.get("type") == "creating"]
        self.changed = len(self._carried) != len(pending)

    def apply(self, entry: Entry) -> None:
        """Take one entry."""
        kind = entry["do"]
        self.changed = self.changed or kind in ("begin", "edit", "drop", "rename")
        if kind == "begin":
            self._under_way[entry["id"]] = entry["operation"]
        elif kind == "end":
            self._under_way.pop(entry["id"], None)
        elif kind == "put":
            self._put(entry["cell"], entry.get("resource"), entry.get("takes"))
        elif kind == "edit":
            del self._held[entry["cell"]]  # a cell that is gone stays gone: KeyError
            self._held[entry["cell"]] = entry["resource"]
        elif kind == "drop":
            del self._held[entry["cell"]]
        elif kind == "rename":
            self._renamed[entry["old"]] = entry["new"]
        elif kind == "settle":
            kept = [each for each in self._carried if each["resource"]["urn"] != entry["urn"]]
            self.changed = self.changed or len(kept) != len(self._carried)
            self._carried = kept

    def new_cell(self) -> int:
        """Return a cell number that was never used in this run."""
        self._next += 1
        return self._next - 1

    def held(self, cell: int) -> Raw:
        """Return what the cell holds."""
        return self._held[cell]

    def carried(self) -> list[str]:
        """Return the URNs whose creation was interrupted in an earlier run."""
        return [str(each["resource"]["urn"]) for each in self._carried]

    def document(self) -> checkpoint.Document:
        """Return the checkpoint as it is now. What it holds is not changed later."""
        latest = dict(checkpoint.latest(self.base))
        found = [self._follow(self._held[cell]) for cell in self._arranged()]
        under_way = [*self._carried, *self._under_way.values()]
        latest["manifest"] = checkpoint.manifest()
        for key, value in (("resources", found), ("pending_operations", under_way)):
            latest.pop(key, None)
            if value:
                latest[key] = value
        order = ("manifest", "secrets_providers", "resources", "pending_operations", "metadata")
        ordered = {key: latest[key] for key in order if key in latest}
        ordered.update(latest)
        whole = {**self.base, "checkpoint": {**self.base["checkpoint"], "latest": ordered}}
        return checkpoint.versioned(whole)

    def start(self, sha256: str) -> Entry:
        """Return the ``base`` entry for the checkpoint that `document` just returned."""
        cells = self._arranged()
        new = set(self._new)
        last = max((index for index, cell in enumerate(cells) if cell in new), default=-1)
        return {
            "do": "base",
            "sha256": sha256,
            "fresh": last + 1,
            "cells": cells,
            "next": self._next,
            "underWay": {str(key): each for key, each in self._under_way.items()},
            "renamed": dict(self._renamed),
        }

    def _put(self, cell: int, resource: Raw | None, takes: int | None) -> None:
        before = None if takes is None else self._held.pop(takes, None)
        now = before if resource is None else resource
        if now is not None:
            self._held[cell] = now
            self._new.append(cell)
        self._next = max(self._next, cell + 1)
        self.changed = self.changed or now != before

    def _arranged(self) -> list[int]:
        """Return the cells in the checkpoint's order."""
        cells = [cell for cell in (*self._new, *self._old) if cell in self._held]
        order = arranged([self._follow(self._held[cell]) for cell in cells])
        return [cells[index] for index in order]

    def _follow(self, each: Raw) -> Raw:
        """Return a resource with its references to renamed resources brought up."""
        return follow(each, self._renamed) if self._renamed else each


def arranged(resources: list[Raw]) -> list[int]:
    """Return the indices of `resources` so that what one needs stands before it, else as it was.

    Where two have one URN, what is needed is the nearest one before, if there is one.
    """
    where: dict[str, list[int]] = {}
    for index, each in enumerate(resources):
        for name in _names(each):
            where.setdefault(name, []).append(index)
    placed: dict[int, None] = {}
    there: set[str] = set()
    begun: set[int] = set()
    waiting = list(range(len(resources)))[::-1]
    while waiting:
        index = waiting[-1]
        begun.add(index)
        first = None if index in placed else _first(resources, index, where, there, begun)
        if first is not None:
            waiting.append(first)
            continue
        waiting.pop()
        if index not in placed:
            placed[index] = None
            there.update(_names(resources[index]))
    return list(placed)


def _first(
    resources: list[Raw], index: int, where: dict[str, list[int]], there: set[str], begun: set[int]
) -> int | None:
    """Return a resource that has to be put before the one at `index`, None where all are there."""
    for needed in _needs(resources[index]):
        if needed in there or needed not in where:
            continue
        before = [other for other in where[needed] if other < index]
        found = before[-1] if before else where[needed][0]
        if found not in begun:
            return found
    return None


def _names(each: Raw) -> Iterator[str]:
    """Yield what a resource is referred to by: its URN, and as a provider its reference."""
    yield each["urn"]
    if urns.is_provider(each["type"]):
        yield urns.provider_reference(each["urn"], each.get("id", ""))


def _needs(each: Raw) -> Iterator[str]:
    for key in ("parent", "deletedWith", "provider"):
        if each.get(key):
            yield each[key]
    yield from each.get("dependencies") or ()
    yield from each.get("replaceWith") or ()
    for deps in (each.get("propertyDependencies") or {}).values():
        yield from deps or ()


def follow(each: Raw, renamed: Mapping[str, str]) -> Raw:
    """Return the resource `each` with every reference to a key of `renamed` replaced."""
    found = copy.copy(each)
    for key in ("parent", "deletedWith"):
        if key in found:
            found[key] = renamed.get(found[key], found[key])
    for key in ("dependencies", "replaceWith"):
        if key in found:
            found[key] = [renamed.get(urn, urn) for urn in found[key]]
    if "propertyDependencies" in found:
        found["propertyDependencies"] = {
            key: [renamed.get(urn, urn) for urn in deps or ()]
            for key, deps in found["propertyDependencies"].items()
        }
    if "provider" in found:
        urn, id_ = urns.split_reference(found["provider"])
        found["provider"] = urns.provider_reference(renamed.get(urn, urn), id_)
    return found

"""The changes in a cluster between two builds of its repository."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from provision import errors
from provision.gitops import concealment, documents
from provision.gitops.build import discovery, findings
from provision.gitops.diff import fields, removal
from provision.gitops.diff.side import Applied, Side

Action = Literal["create", "update", "delete", "keep", "unknown"]
"""`keep`: no Kustomization applies it any more, and it stays. `unknown`: that cannot be told."""
_LEFT: Final = (("reconcile", "disabled"), ("ssa", "ignore"), ("ssa", "ifnotpresent"))
"""Labels or annotations of an object that Flux does not change, as ``key: value``."""
ACTIONS: tuple[Action, ...] = ("delete", "update", "create", "keep", "unknown")


@dataclass(frozen=True, kw_only=True)
class Change:
    """One object that changes. Values of Secrets are hashes.

    `by` is the Kustomization that applies it, or no longer does. `loss` is which data is
    lost, `reason` what else is to be known. `before` and `after` are empty where it is absent.
    """

    action: Action
    group: str
    place: documents.Place
    by: str
    where: str
    before: Mapping[str, Any]
    after: Mapping[str, Any]
    loss: str = ""
    reason: str = ""

    @property
    def ref(self) -> str:
        """Return ``Kind namespace/name``."""
        return documents.ref_of(self.place)

    @property
    def fields(self) -> list[fields.Field]:
        """Return the fields that differ, of an object that is in both trees."""
        return list(fields.differing(self.before, self.after)) if self.action == "update" else []

    def to_json(self) -> dict[str, Any]:
        """Return all of it. An object is whole where the other tree has none of it."""
        kind, namespace, name = self.place
        made: dict[str, Any] = {
            "action": self.action,
            "group": self.group,
            "kind": kind,
            "namespace": namespace,
            "name": name,
            "kustomization": self.by,
            "where": self.where,
            "dataLoss": self.loss,
            "reason": self.reason,
        }
        if self.action == "update":
            return made | {"fields": [one.to_json() for one in self.fields]}
        return made | {"object": dict(self.after or self.before)}


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """All changes, losses of data first.

    `notes` say what could not be compared. `problems` are why Kustomizations of the second
    tree do not build: Flux leaves what they applied as it is.
    """

    changes: Sequence[Change]
    unchanged: int = 0
    notes: Sequence[str] = ()
    problems: Sequence[errors.Problem] = field(default_factory=list[errors.Problem])

    @property
    def losses(self) -> list[Change]:
        """Return the changes that lose data."""
        return [one for one in self.changes if one.loss]

    def count(self, action: Action) -> int:
        """Return how many changes are `action`."""
        return sum(one.action == action for one in self.changes)

    def to_json(self) -> dict[str, Any]:
        """Return all of it."""
        return {
            "counts": {one: self.count(one) for one in ACTIONS} | {"unchanged": self.unchanged},
            "dataLoss": [one.ref for one in self.losses],
            "changes": [one.to_json() for one in self.changes],
            "notes": list(self.notes),
            "problems": [
                {"where": p.where, "key": p.key, "message": p.message, "hint": p.hint}
                for p in self.problems
            ],
        }


def compare(before: Iterable[discovery.Unit], after: Iterable[discovery.Unit]) -> Comparison:
    """Return what Flux changes in a cluster that follows `before` when it follows `after`.

    Nothing is in `before` for a cluster that is new. Raises nothing: what does not build is in
    `Comparison.problems` and `Comparison.notes`.
    """
    return _Comparing(Side(before), Side(after)).run()


class _Comparing:
    def __init__(self, before: Side, after: Side) -> None:
        self._before = before
        self._after = after
        self._concealer = concealment.Concealer()

    def run(self) -> Comparison:
        both = [one for identity, one in self._after.applied.items() if self._is_in(identity)]
        updated = [change for one in both if (change := self._update(one)) is not None]
        changes = [*self._removed(), *updated, *self._created()]
        changes.sort(key=lambda one: (not one.loss, ACTIONS.index(one.action)))
        problems = [
            (problem, unit.kustomization)
            for unit in self._after.units.values()
            for problem in unit.problems
        ]
        return Comparison(
            changes=changes,
            unchanged=len(both) - len(updated),
            notes=list(dict.fromkeys(self._notes())),
            problems=findings.named(problems),
        )

    def _is_in(self, identity: object) -> bool:
        return identity in self._before.applied

    def _removed(self) -> Iterator[Change]:
        for identity, one in self._before.applied.items():
            if identity in self._after.applied:
                continue
            fate = removal.fate(one, self._before, self._after)
            told = [fate.reason]
            if fate.action == "delete":
                told.append(removal.consequence(one))
            loss = removal.loss(one) if fate.action == "delete" else ""
            yield self._change(fate.action, one, None, loss, "; ".join(filter(None, told)))

    def _created(self) -> Iterator[Change]:
        for identity, one in self._after.applied.items():
            if identity in self._before.applied:
                continue
            old = self._before.units.get(one.unit.kustomization.key)
            reason = self._pause(one)
            if old is not None and (old.failed or old.unseen):
                reason = f"Kustomization {one.unit.kustomization} was not built before"
                yield self._change("unknown", None, one, "", reason)
            else:
                yield self._change("create", None, one, "", reason)

    def _update(self, one: Applied) -> Change | None:
        """Return how an object of both trees changes, None where it does not."""
        old = self._before.applied[one.identity]
        loss, reason = self._move(old, one)
        made = self._change("update", old, one, loss, reason)
        if not made.fields and not reason:
            return None
        settings = self._after.settings(one.unit.kustomization.key)
        loss = loss or removal.recreation(old, one, settings)
        left = next((f"{key}: {value}" for key, value in _LEFT if one.says(key, value)), "")
        if left:
            loss, reason = "", f"Flux leaves it as it is ({left})"
        return self._change("update", old, one, loss, reason or self._pause(one))

    def _move(self, old: Applied, new: Applied) -> tuple[str, str]:
        """Return which data may be lost, and why, when another Kustomization applies an object."""
        here, there = old.unit.kustomization, new.unit.kustomization
        if here.key == there.key:
            return "", ""
        reason = f"it moves from Kustomization {here} to {there}"
        if removal.fate(old, self._before, self._after).action != "delete":
            return "", reason
        loss = removal.loss(old)
        reason = f"{reason}; {here} deletes it if it is the first to be applied"
        return (f"may be deleted on its way: {loss}" if loss else ""), reason

    def _pause(self, one: Applied) -> str:
        owner = one.unit.kustomization
        return f"when Kustomization {owner} is resumed" if owner.suspended else ""

    def _change(
        self, action: Action, old: Applied | None, new: Applied | None, loss: str, reason: str
    ) -> Change:
        one = new or old
        if one is None:
            raise ValueError("a change of no object")
        _, group, place = one.identity
        return Change(
            action=action,
            group=group,
            place=place,
            by=str(one.unit.kustomization),
            where=one.doc.where,
            before=self._concealer.conceal(old.doc.obj) if old else {},
            after=self._concealer.conceal(new.doc.obj) if new else {},
            loss=loss,
            reason=reason,
        )

    def _notes(self) -> Iterator[str]:
        for side, name in ((self._before, "before"), (self._after, "after")):
            for unit in side.units.values():
                one = unit.kustomization
                if unit.unseen:
                    yield f"Kustomization {one} is not compared: {unit.unseen}"
                for base in unit.remote:
                    yield f"Kustomization {one}: {base} lies elsewhere and is not compared"
                if unit.failed and name == "before":
                    yield f"Kustomization {one} did not build before, so it is not compared"

"""What an empty cluster lacks for a repository, in words and as objects."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from provision import errors
from provision.gitops import documents
from provision.gitops.build import flux

NeedKind = Literal["CustomResourceDefinition", "Namespace", "Secret", "ConfigMap"]


@dataclass(frozen=True, kw_only=True)
class Need:
    """One thing that must be there before Flux starts, or Flux stops for ever.

    `where` is the ``file:line`` of what needs it, `blocks` the Kustomization
    that stops without it. `reason` says why nothing makes it in time,
    `suggestion` what to change in the repository so that no seed is needed.
    For a Secret or ConfigMap `object` is what to create, or None when it
    cannot be made; `obstacle` then says why. Where it comes from a
    SealedSecret, `sealed` is that. A CustomResourceDefinition has
    the name of its group and kind (``SealedSecret.bitnami.com``) and
    `provided_by` the project that defines it. `decrypts`: it holds the keys for SOPS.
    """

    kind: NeedKind
    name: str
    namespace: str = ""
    blocks: str
    reason: str
    where: str
    suggestion: str
    source: str = ""
    provided_by: str = ""
    object: Mapping[str, Any] | None = field(default=None, repr=False)
    sealed: Mapping[str, Any] | None = field(default=None, repr=False)
    obstacle: str = ""
    decrypts: bool = False

    @property
    def seedable(self) -> bool:
        """Return whether it can be put there."""
        return not self.obstacle

    @property
    def ref(self) -> str:
        """Return ``Kind namespace/name``."""
        return documents.ref_of((self.kind, self.namespace, self.name))

    def problem(self) -> errors.Problem:
        """Return the problem of a need that cannot be seeded."""
        return errors.Problem(
            where=self.where,
            key=self.ref,
            message=f"{self.reason}; it cannot be seeded: {self.obstacle}{_in(self)}",
            hint=self.suggestion,
        )

    def to_json(self) -> dict[str, Any]:
        """Return all of it but the object's content, which may be secret."""
        return {
            "kind": self.kind,
            "name": self.name,
            "namespace": self.namespace,
            "blocks": self.blocks,
            "reason": self.reason,
            "where": self.where,
            "source": self.source,
            "seeded": self.seedable,
            "obstacle": self.obstacle,
            "suggestion": self.suggestion,
        }


_NOT: Final = "the repository cannot be brought up"

Verdict = Literal["comes up", "needs a seed", "may come up", "cannot come up"]


@dataclass(frozen=True, kw_only=True)
class Assumption:
    """One need that something unseen could meet, so that it was taken to be met.

    `kind`, `name` and `namespace` are what is needed, as in `Need`; `by` is what could bring it,
    and `check` what a person can look at to be sure.
    """

    kind: str
    name: str
    namespace: str = ""
    blocks: str
    reason: str
    where: str
    by: tuple[str, ...]
    check: tuple[str, ...]

    @property
    def ref(self) -> str:
        """Return ``Kind namespace/name``."""
        return documents.ref_of((self.kind, self.namespace, self.name))

    def note(self) -> str:
        """Return it as one line."""
        by = " or ".join(self.by)
        return f"{self.ref} ({self.where}) is taken to come from {by}{_in(self)}"

    def to_json(self) -> dict[str, Any]:
        """Return all of it."""
        return {
            "kind": self.kind,
            "name": self.name,
            "namespace": self.namespace,
            "blocks": self.blocks,
            "reason": self.reason,
            "where": self.where,
            "by": list(self.by),
            "check": list(self.check),
        }


def _in(found: Need | Assumption) -> str:
    """Return the Kustomization that `found` stops, where it does not say so itself."""
    if found.blocks in found.reason or " " in found.blocks:
        return ""
    return f" (Kustomization {found.blocks})"


@dataclass(frozen=True, kw_only=True)
class Analysis:
    """What a cold start of one cluster path needs.

    `kustomizations` are in the order in which they become ready. `needs` are
    in the order in which they are met. `problems` are what is wrong with the
    repository itself; with any, the needs may be incomplete. `assumptions` are
    needs that something unseen could meet. `notes` say what was not looked at.
    """

    kustomizations: tuple[flux.Kustomization, ...]
    needs: tuple[Need, ...] = ()
    problems: tuple[errors.Problem, ...] = ()
    assumptions: tuple[Assumption, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def verdict(self) -> Verdict:
        """Return what a cold start comes to. The worst that is true counts."""
        if self.problems or self.missing:
            return "cannot come up"
        if self.assumptions:
            return "may come up"
        return "needs a seed" if self.needs else "comes up"

    @property
    def seeds(self) -> tuple[Need, ...]:
        """Return the needs that can be met."""
        return tuple(need for need in self.needs if need.seedable)

    @property
    def missing(self) -> tuple[Need, ...]:
        """Return the needs that cannot be met."""
        return tuple(need for need in self.needs if not need.seedable)

    def check(self) -> None:
        """Raise `errors.GitOpsError` naming everything that keeps a cold start from ending."""
        problems = [*self.problems, *(need.problem() for need in self.missing)]
        if problems:
            raise errors.GitOpsError(_NOT, problems)

    def check_problems(self) -> None:
        """Raise `errors.GitOpsError` as `check` does, for who has printed the needs already."""
        if self.problems or self.missing:
            count = len(self.missing)
            hint = f"see the {count} above that cannot be seeded" if count else ""
            raise errors.GitOpsError(_NOT, list(self.problems), hint=hint)

    def to_json(self) -> dict[str, Any]:
        """Return the analysis for machines, without any secret value."""
        return {
            "verdict": self.verdict,
            "kustomizations": [_kustomization(one) for one in self.kustomizations],
            "needs": [need.to_json() for need in self.needs],
            "problems": [
                {"where": p.where, "key": p.key, "message": p.message, "hint": p.hint}
                for p in self.problems
            ],
            "assumptions": [one.to_json() for one in self.assumptions],
            "notes": list(self.notes),
        }


def _kustomization(one: flux.Kustomization) -> dict[str, Any]:
    return {
        "name": one.name,
        "namespace": one.namespace,
        "path": one.path,
        "where": one.where,
        "dependsOn": _names(one.depends_on),
    }


def _names(keys: Sequence[flux.Key]) -> list[str]:
    return [f"{namespace}/{name}" for namespace, name in keys]

"""The shape of every resource of the ``elysium`` provider.

Observe, decide, act, verify: `Resource.observe` reads what is there into a
frozen dataclass, `Resource.plan` decides (pure: facts and inputs in, changes
out; empty means up to date), `Resource.apply` acts, and `converge` observes
again, which must plan to nothing.

Inputs and outputs are plain JSON-like Python values. Where a value is not yet
known (preview of a resource whose dependency does not exist) it is `UNKNOWN`.
Secrets arrive as plain values: `Resource.secret_outputs` names the outputs the
provider wraps again on the way out.
"""

from __future__ import annotations

import abc
import enum
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Final, Generic, TypeVar

from provision import errors
from provision.change import Change
from provision.provider.context import Context

Values = Mapping[str, Any]


class Unknown(enum.Enum):
    """The type of `UNKNOWN`."""

    UNKNOWN = "unknown"

    def __repr__(self) -> str:
        return "unknown"


UNKNOWN: Final = Unknown.UNKNOWN


def has_unknown(value: Any) -> bool:
    """Return whether `UNKNOWN` is anywhere inside `value`."""
    if value is UNKNOWN:
        return True
    if isinstance(value, Mapping):
        return any(has_unknown(v) for v in value.values())
    if isinstance(value, (list, tuple)):
        return any(has_unknown(v) for v in value)
    return False


F = TypeVar("F")


@dataclass(frozen=True, kw_only=True)
class Observed(Generic[F]):
    """What one observation found.

    `exists` False means that nothing of the resource is there (a read then
    reports it as gone and the engine creates it again).
    """

    exists: bool
    facts: F


class Resource(abc.ABC, Generic[F]):
    """One resource type. Instances hold no state: every method gets what it needs."""

    type: ClassVar[str]
    """The Pulumi type token, ``elysium:node:K3sServer``."""
    secret_outputs: ClassVar[frozenset[str]] = frozenset()
    """Top-level outputs that hold a secret."""
    secret_inputs: ClassVar[frozenset[str]] = frozenset()
    """Top-level inputs that are made secret even where the program forgot to."""
    plans_without: ClassVar[frozenset[str]] = frozenset()
    """Inputs that may be `UNKNOWN` in `observe` and `plan`: what they reach is not there yet."""

    def check(self, inputs: Values) -> tuple[dict[str, Any], list[errors.Problem]]:
        """Fill in defaults and validate. `inputs` may hold `UNKNOWN`.

        Returns the inputs to use from here on, and every problem (`key` is
        the input's name).
        """
        return dict(inputs), []

    @abc.abstractmethod
    def identity(self, inputs: Values) -> str:
        """Return the natural id (``kyrion``, ``owner/repo:flux-system``): never random."""

    @abc.abstractmethod
    def observe(self, ctx: Context, inputs: Values, state: Values) -> Observed[F]:
        """Read what is there. Changes nothing. `state` is the old outputs, or empty."""

    @abc.abstractmethod
    def plan(self, facts: F, inputs: Values, state: Values) -> tuple[Change, ...]:
        """Decide what to change. Pure. Empty means up to date."""

    def remarks(self, facts: F, inputs: Values) -> tuple[str, ...]:
        """Return what differs from what is wanted and stays so, in sentences. Pure.

        Said when what is wanted now is compared, not when an earlier run's wishes are read.
        """
        return ()

    @abc.abstractmethod
    def apply(
        self, ctx: Context, inputs: Values, facts: F, changes: tuple[Change, ...], state: Values
    ) -> dict[str, Any]:
        """Do it. May be interrupted anywhere and run again.

        Returns what `outputs` cannot observe and must be remembered (a
        private key made here); usually nothing.
        """

    @abc.abstractmethod
    def outputs(self, facts: F, inputs: Values, state: Values) -> dict[str, Any]:
        """Return the outputs that `facts` show. `state` includes what `apply` returned."""

    def unknown_outputs(self, inputs: Values) -> dict[str, Any]:
        """Return the outputs of a creation that is only previewed."""
        return {}

    def preview_outputs(self, facts: F, inputs: Values, state: Values) -> dict[str, Any]:
        """Return the outputs of an update that is only previewed."""
        return self.outputs(facts, inputs, state)

    def replaces(self, state: Values, inputs: Values) -> tuple[str, ...]:
        """Return the inputs whose change needs a replacement. Hardly ever any."""
        return ()

    @abc.abstractmethod
    def delete(self, ctx: Context, inputs: Values, state: Values) -> None:
        """Remove what this resource brought, and nothing else. Absent is fine."""


def remembered(resource: Resource[Any], values: Values) -> dict[str, Any]:
    """Return `values` of the state, `UNKNOWN` for what the resource plans without and lost.

    After a node was replaced, what is kept in the state has no cluster to be looked for in.
    """
    return {**dict.fromkeys(resource.plans_without, UNKNOWN), **values}


def converge(
    resource: Resource[F], ctx: Context, inputs: Values, state: Values
) -> tuple[Observed[F], dict[str, Any]]:
    """Observe, plan, apply, and observe again until nothing is left to change.

    Returns the last observation and the state to remember (old state, plus
    what `apply` returned). Raises `errors.NotConvergedError` naming what is
    still different after applying once.
    """
    observed = resource.observe(ctx, inputs, state)
    changes = resource.plan(observed.facts, inputs, state)
    if not changes:
        return observed, dict(state)
    kept = dict(state) | resource.apply(ctx, inputs, observed.facts, changes, state)
    after = resource.observe(ctx, inputs, kept)
    left = resource.plan(after.facts, inputs, kept)
    if left:
        raise errors.NotConvergedError(
            f"{resource.type} {resource.identity(inputs)} was applied and is still not as wanted",
            remaining=tuple(change.summary for change in left),
            hint="run the same command again; if it stays, look at what changes it back",
        )
    return after, kept

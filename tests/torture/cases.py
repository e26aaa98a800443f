"""The vocabulary of the areas: a case, its outcome and a failure."""

from __future__ import annotations

import hashlib
import random
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol


@dataclass(frozen=True, kw_only=True)
class Failure:
    """A promise that does not hold.

    Attributes:
        kind: one line; failures of one kind are one fault.
        text: what happened, with all that is needed to see it again.
    """

    kind: str
    text: str


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """The result of one case. `tries`: how many inputs, answers or runs it consists of."""

    tries: int
    failures: tuple[Failure, ...] = ()


class Case(Protocol):
    """One attack."""

    @property
    def title(self) -> str:
        """What is attacked, and how."""
        ...

    def run(self, folder: Path) -> Outcome:
        """Carry it out. `folder` is empty, and the case's own.

        An exception is a fault of the harness, and counts as a failure of the case.
        """
        ...


class Area(Protocol):
    """One kind of attack."""

    @property
    def name(self) -> str:
        """The name for ``--area``."""
        ...

    @property
    def counts(self) -> str:
        """What `Outcome.tries` counts: inputs, answers or runs."""
        ...

    def case(self, seed: int, number: int) -> Case:
        """Return the case `number` (from 0) of `seed`: always the same one."""
        ...


def chance(seed: int, area: str, number: int) -> random.Random:
    """Return the random numbers of one case: the same ones on every machine."""
    digest = hashlib.sha256(f"{seed}/{area}/{number}".encode()).digest()
    return random.Random(int.from_bytes(digest[:8], "big"))  # noqa: S311 - none is a secret

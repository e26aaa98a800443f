"""Something done before or after one of the steps that the code lists (``STEPS`` of a module)."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, Protocol, TypeVar


class Step(Protocol):
    """A dataclass with a name, and with `do`, which takes the work."""

    __dataclass_fields__: Any
    name: str
    do: Callable[[Any], None]


S = TypeVar("S", bound=Step)


def hooked(steps: tuple[S, ...], name: str, moment: str, hook: Callable[[], None]) -> tuple[S, ...]:
    """Return `steps` with `hook` called ``before`` or ``after`` the one of that name."""

    def wrapped(step: S) -> S:
        def do(work: Any) -> None:
            if moment == "before":
                hook()
            step.do(work)
            if moment == "after":
                hook()

        return dataclasses.replace(step, do=do) if step.name == name else step

    return tuple(map(wrapped, steps))

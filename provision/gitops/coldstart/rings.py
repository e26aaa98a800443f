"""Things that wait for each other in a ring, so that none of them goes on."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import TypeVar

T = TypeVar("T", bound=Hashable)


def find(waiting: Mapping[T, Sequence[T]]) -> list[list[T]]:
    """Return each ring in `waiting`, which says what each thing waits for, once."""
    state: dict[T, int] = {}
    found: list[list[T]] = []
    for start in waiting:
        if start in state:
            continue
        trail: list[T] = [start]
        left = [iter(waiting[start])]
        state[start] = 1
        while trail:
            other = next(left[-1], None)
            if other is None:
                state[trail.pop()] = 2
                left.pop()
            elif state.get(other) == 1:
                found.append(trail[trail.index(other) :])
            elif other not in state and other in waiting:
                state[other] = 1
                trail.append(other)
                left.append(iter(waiting[other]))
    return found

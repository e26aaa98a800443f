"""Problems of Kustomizations: each once, with the names of those that have it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from provision import errors
from provision.gitops.build import flux

_NAMED = 3
"""More Kustomizations than these are counted."""


def named(found: Iterable[tuple[errors.Problem, flux.Kustomization]]) -> list[errors.Problem]:
    """Return each problem once. Its message names the Kustomizations that it was found in."""
    names: dict[errors.Problem, dict[str, None]] = {}
    for problem, one in found:
        names.setdefault(problem, {})[str(one)] = None
    return [
        replace(problem, message=f"{problem.message} ({in_words(list(having))})")
        if problem.key not in having
        else problem
        for problem, having in names.items()
    ]


def in_words(names: list[str]) -> str:
    """Return ``Kustomization a, b``, shortened where they are many."""
    more = len(names) - _NAMED
    listed = ", ".join(names[:_NAMED]) + (f" and {more} more" if more > 0 else "")
    return f"Kustomization{'s' if len(names) > 1 else ''} {listed}"

"""What a plan is made of."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

Action = Literal["create", "update", "delete", "start", "restart", "stop", "commit", "run", "adopt"]


@dataclass(frozen=True, kw_only=True)
class Change:
    """One thing a resource will do to reach what is wanted.

    `property` names what differs (``files./etc/rancher/k3s/config.yaml``,
    ``unit.k3s.service``): the path shown in Pulumi's detailed diff. `summary`
    is the one line a person reads. The action ``adopt`` changes nothing: what
    is to be created is there already. `diff` is a unified diff where content
    changes. Neither ever holds a secret: content that may hold one is shown
    as its length and first characters of its sha256.
    """

    property: str
    action: Action
    summary: str
    diff: str = ""


_PLAN = "elysium plan: "


def dump(changes: Iterable[Change]) -> str:
    """Return a plan as one line of text, for a provider that can only send log messages."""
    return _PLAN + json.dumps([dataclasses.asdict(change) for change in changes])


def describe(changes: Iterable[Change]) -> str:
    """Return a plan for people: a line for each change, and below it what changes in a text."""
    lines: list[str] = []
    for change in changes:
        lines.append(f"{change.action}: {change.summary}")
        lines += [f"    {line}" for line in change.diff.splitlines()]
    return "\n".join(lines)


def load(text: str) -> tuple[Change, ...] | None:
    """Return the plan that `dump` wrote, None for any other text."""
    if not text.startswith(_PLAN):
        return None
    return tuple(Change(**one) for one in json.loads(text.removeprefix(_PLAN)))

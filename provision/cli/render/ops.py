"""The signs and words for what happens to a resource."""

from __future__ import annotations

from dataclasses import dataclass

from provision.cli.naming import label

__all__ = ["DESTRUCTIVE", "QUIET", "SIGNS", "Sign", "label", "sign"]


@dataclass(frozen=True, kw_only=True)
class Sign:
    """How one operation is shown: a sign, a style, and its words."""

    sign: str
    style: str
    doing: str
    done: str
    planned: str


SIGNS: dict[str, Sign] = {
    "same": Sign(sign="=", style="dim", doing="checking", done="unchanged", planned="unchanged"),
    "create": Sign(sign="+", style="green", doing="creating", done="created", planned="to create"),
    "update": Sign(sign="~", style="yellow", doing="changing", done="changed", planned="to change"),
    "delete": Sign(
        sign="-", style="bold red", doing="deleting", done="deleted", planned="to delete"
    ),
    "replace": Sign(
        sign="+-", style="bold magenta", doing="replacing", done="replaced", planned="to replace"
    ),
    "create-replacement": Sign(
        sign="++",
        style="magenta",
        doing="creating the replacement",
        done="replacement created",
        planned="to create as a replacement",
    ),
    "delete-replaced": Sign(
        sign="--",
        style="bold red",
        doing="deleting what was replaced",
        done="replaced one deleted",
        planned="to delete after being replaced",
    ),
    "read": Sign(sign="<", style="cyan", doing="reading", done="read", planned="to read"),
    "refresh": Sign(
        sign="<", style="cyan", doing="reading", done="read anew", planned="to read anew"
    ),
    "import": Sign(
        sign="=>", style="cyan", doing="taking over", done="taken over", planned="to take over"
    ),
    "discard": Sign(
        sign="x", style="red", doing="forgetting", done="forgotten", planned="to forget"
    ),
}

_OTHER = Sign(sign="?", style="", doing="working on", done="done", planned="to do")

QUIET = frozenset({"same", "read"})
"""Operations that change nothing."""

DESTRUCTIVE = frozenset({"delete", "replace", "delete-replaced"})


def sign(op: str) -> Sign:
    """Return the sign of `op`; a question mark for one this version does not know."""
    return SIGNS.get(op, _OTHER)

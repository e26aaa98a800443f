"""Two objects side by side, field by field."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from provision.gitops.documents import mapping

ABSENT: Final = object()
"""The value of a field that is not there, which is not the same as null."""
_PLAIN: Final = re.compile(r"[A-Za-z_][\w-]*")


@dataclass(frozen=True, kw_only=True)
class Field:
    """One field that differs. A value is `ABSENT` where the field is not there."""

    path: str
    before: Any
    after: Any

    def to_json(self) -> dict[str, Any]:
        """Return the path and each value that is there."""
        found = {"before": self.before, "after": self.after}
        return {"path": self.path, **{k: v for k, v in found.items() if v is not ABSENT}}


def differing(before: Any, after: Any, path: str = "") -> Iterator[Field]:
    """Yield each field that differs. Lists of one length go item by item."""
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        old, new = mapping(before), mapping(after)
        for name in dict.fromkeys([*old, *new]):
            yield from differing(
                old.get(name, ABSENT), new.get(name, ABSENT), _joined(path, str(name))
            )
    elif isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        for number, (one, other) in enumerate(zip(before, after, strict=True)):
            yield from differing(one, other, f"{path}[{number}]")
    elif not _same(before, after):
        yield Field(path=path, before=before, after=after)


def _same(before: Any, after: Any) -> bool:
    """Return whether two values are equal and of one type: `1` is not `true`."""
    if before is ABSENT or after is ABSENT:
        return before is after
    return type(before) is type(after) and bool(before == after)


def _joined(path: str, name: str) -> str:
    if not _PLAIN.fullmatch(name):
        return f"{path}[{json.dumps(name, ensure_ascii=False)}]"
    return f"{path}.{name}" if path else name

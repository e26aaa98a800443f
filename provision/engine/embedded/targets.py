"""Which resources ``--target`` means."""

from __future__ import annotations

import re

from provision import errors
from provision.engine.state import urns


class Targets:
    """The resources a run is limited to; without any, it is not limited."""

    def __init__(self, patterns: tuple[str, ...]) -> None:
        """Take URNs; ``*`` matches within one part of an URN, ``**`` anything."""
        self._patterns = [(text, re.compile(_regex(text))) for text in patterns]
        self._used: set[str] = set()

    def __bool__(self) -> bool:
        return bool(self._patterns)

    def include(self, urn: str) -> bool:
        """Return whether `urn` takes part. Providers and the stack itself always do."""
        type_ = urns.type_of(urn)
        implicit = urns.is_provider(type_) or urns.qualified_type(urn) == urns.ROOT_TYPE
        return not self._patterns or self.hit(urn) or implicit

    def hit(self, urn: str) -> bool:
        """Return whether a target names `urn` itself."""
        hit = False
        for text, pattern in self._patterns:
            if pattern.fullmatch(urn):
                self._used.add(text)
                hit = True
        return hit

    def require_used(self) -> None:
        """Raise `errors.StackError` naming targets that no resource matched."""
        unused = [text for text, _ in self._patterns if text not in self._used]
        if unused:
            raise errors.StackError(
                f"no resource matches the target {', '.join(unused)}",
                operation="target",
                hint="`elysium stack graph` lists the URNs",
            )


def _regex(text: str) -> str:
    parts = re.split(r"(\*\*|\*)", text)
    glob = {"**": ".*", "*": r"(?:(?!::).)*"}
    return "".join(glob.get(part, re.escape(part)) for part in parts)

"""The table of routes: which handler answers a call, and what a caller needs for it.

A route holds the permission and the scopes of its call as text.
`provision.sandbox.forge.access` checks them against the caller's token.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import unquote

from provision.sandbox.forge.app import Forge, Target
from provision.sandbox.forge.messages import DOCS, Request, Response

Handler = Callable[[Forge, Request], Response]
RepositoryHandler = Callable[[Forge, Request, Target], Response]


@dataclass(frozen=True, kw_only=True)
class Route:
    """One REST call.

    `permission` is what a fine-grained token needs, in the words of the
    ``X-Accepted-GitHub-Permissions`` header (``contents=write``); empty: any
    valid token. `scopes` are what a classic token needs one of. A repository
    route has ``{owner}/{repo}`` in its pattern. `media` are the media types that
    the call serves beside JSON (``raw``), `unrendered` those that GitHub serves
    and the forge does not.
    """

    method: str
    pattern: str
    handler: Handler | None = None
    repository_handler: RepositoryHandler | None = None
    permission: str = ""
    scopes: tuple[str, ...] = ()
    documentation: str = DOCS
    app: bool = False
    media: tuple[str, ...] = ()
    unrendered: tuple[str, ...] = ()

    @property
    def expression(self) -> re.Pattern[str]:
        """The pattern as a regular expression; ``{name+}`` matches slashes too."""
        text = re.sub(r"\{(\w+)\+\}", r"(?P<\1>.+)", self.pattern)
        text = re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", text)
        return re.compile(f"^{text}$")


class Table:
    """All routes, in order of registration; the first match wins."""

    def __init__(self, routes: tuple[Route, ...]) -> None:
        self.routes = tuple((route, route.expression) for route in routes)

    def find(self, method: str, path: str) -> tuple[Route, dict[str, str]] | None:
        """Return the route of a call and its path's parameters, unquoted."""
        for route, expression in self.routes:
            found = expression.match(path) if route.method == method else None
            if found:
                return route, {k: unquote(v) for k, v in found.groupdict().items()}
        return None

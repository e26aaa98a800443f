"""The records of who calls: a token, or nobody.

The records are plain values. `provision.sandbox.forge.access` keeps the tokens
and checks what a caller may do. Facts: "Managing your personal access tokens"
and "Scopes for OAuth apps".
"""

from __future__ import annotations

import datetime
from dataclasses import dataclass, field

from provision.sandbox.forge.store import Repository


@dataclass(frozen=True, kw_only=True)
class Token:
    """A token's record; the text itself is kept only as its sha256.

    `repositories` are the slugs a fine-grained or app token is for; empty: all.
    `role` is what its user is on the repositories: admin, write or read.
    `expires_at` is in seconds since 1970, 0 for never.
    """

    id: str
    kind: str
    login: str
    digest: str
    scopes: tuple[str, ...] = ()
    permissions: dict[str, str] = field(default_factory=dict[str, str])
    repositories: tuple[str, ...] = ()
    role: str = "admin"
    expires_at: int = 0

    def reaches(self, repository: Repository) -> bool:
        """Whether the token may see that repository at all."""
        if self.kind == "classic":
            return not repository.private or "repo" in self.scopes
        return not self.repositories or repository.slug.lower() in self.repositories


@dataclass(frozen=True, kw_only=True)
class Caller:
    """Who is calling: a token, or nobody. `kind` goes into the call log."""

    token: Token | None = None
    kind: str = "none"
    login: str = ""

    @property
    def is_administrator(self) -> bool:
        """Whether the caller is a person who administers the repositories."""
        return self.token is not None and self.token.role == "admin" and self.kind != "app"

    def headers(self) -> dict[str, str]:
        """Return the headers that tell a caller about its own token."""
        token = self.token
        if token is None:
            return {}
        headers = {"X-OAuth-Scopes": ", ".join(token.scopes)} if token.kind == "classic" else {}
        if token.expires_at:
            at = datetime.datetime.fromtimestamp(token.expires_at, datetime.UTC)
            expiration = at.strftime("%Y-%m-%d %H:%M:%S UTC")
            headers["GitHub-Authentication-Token-Expiration"] = expiration
        return headers

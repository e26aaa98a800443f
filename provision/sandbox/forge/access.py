"""Tokens and what they may do.

Facts: "Managing your personal access tokens" (classic tokens ``ghp_``,
fine-grained ``github_pat_``, installation tokens ``ghs_``), "Scopes for OAuth
apps", "Permissions required for fine-grained personal access tokens" and
"Troubleshooting the REST API" (401 ``Bad credentials``; 403 ``Resource not
accessible by personal access token`` with ``X-Accepted-GitHub-Permissions``;
404 where a caller may not know that something exists).
"""

from __future__ import annotations

import base64
import binascii
import dataclasses
import hashlib
import json
import secrets
import threading
from pathlib import Path

from provision.fileio import atomic
from provision.sandbox.forge import journal, messages
from provision.sandbox.forge.callers import Caller, Token
from provision.sandbox.forge.store import Repository

PREFIXES = {"classic": "ghp_", "fine-grained": "github_pat_", "app": "ghs_"}
LEVELS = {"none": 0, "read": 1, "write": 2, "admin": 3}
DEFAULT_PERMISSIONS = {
    "metadata": "read",
    "contents": "write",
    "administration": "write",
    "pull_requests": "write",
}


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


class Tokens:
    """Every token of the forge, kept in a file that holds no token."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._tokens: dict[str, Token] = {}
        if path.exists():
            for item in json.loads(path.read_text()):
                item["scopes"] = tuple(item["scopes"])
                item["repositories"] = tuple(item["repositories"])
                token = Token(**item)
                self._tokens[token.digest] = token

    def _save(self) -> None:
        data = [dataclasses.asdict(token) for token in self._tokens.values()]
        atomic.write(self._path, json.dumps(data, indent=1).encode())

    def create(
        self,
        kind: str,
        login: str,
        *,
        scopes: tuple[str, ...] = ("repo",),
        permissions: dict[str, str] | None = None,
        repositories: tuple[str, ...] = (),
        role: str = "admin",
        expires_at: int = 0,
    ) -> tuple[str, Token]:
        """Make a token and return its text, never to be had again, and its record."""
        text = PREFIXES[kind] + secrets.token_hex(20 if kind != "fine-grained" else 41)
        token = Token(
            id=secrets.token_hex(6),
            kind=kind,
            login=login,
            digest=_digest(text),
            scopes=scopes if kind == "classic" else (),
            permissions=dict(DEFAULT_PERMISSIONS if permissions is None else permissions),
            repositories=tuple(slug.lower() for slug in repositories),
            role=role,
            expires_at=expires_at,
        )
        with self._lock:
            self._tokens[token.digest] = token
            self._save()
        return text, token

    def change(self, token_id: str, **values: object) -> Token | None:
        """Change a token's record and return it; None if there is no such token."""
        with self._lock:
            for digest, token in self._tokens.items():
                if token.id == token_id:
                    changed = dataclasses.replace(token, **values)  # pyright: ignore[reportArgumentType]
                    self._tokens[digest] = changed
                    self._save()
                    return changed
        return None

    def revoke(self, token_id: str) -> bool:
        """Forget a token; whether there was one."""
        with self._lock:
            kept = {d: t for d, t in self._tokens.items() if t.id != token_id}
            found = len(kept) != len(self._tokens)
            self._tokens = kept
            self._save()
        return found

    def find(self, text: str) -> Token | None:
        """Return the record of a token's text, expired or not."""
        with self._lock:
            return self._tokens.get(_digest(text))

    def caller(self, authorization: str) -> Caller:
        """Return who sent that ``Authorization`` header. Raises the 401 for a bad one."""
        if not authorization:
            return Caller()
        token = next(filter(None, map(self.find, _credentials(authorization))), None)
        expired = token is not None and 0 < token.expires_at <= journal.seconds()
        if token is None or expired:
            raise messages.ApiError(401, "Bad credentials")
        return Caller(token=token, kind=token.kind, login=token.login)


def _credentials(authorization: str) -> tuple[str, ...]:
    """Return what may be a token in an ``Authorization`` header, by scheme.

    With HTTP's Basic authentication a token is the password of any user, or the user of the
    password ``x-oauth-basic`` or of none ("Authenticating to the REST API").
    """
    scheme, _, text = authorization.partition(" ")
    if scheme.lower() in ("token", "bearer"):
        return (text.strip(),)
    if scheme.lower() != "basic":
        return ()
    user, password = basic(text)
    return (password, user) if password in ("", "x-oauth-basic") else (password,)


def basic(text: str) -> tuple[str, str]:
    """Return the user and the password of HTTP's Basic authentication; empty for others."""
    try:
        pair = base64.b64decode(text.strip(), validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        return "", ""
    user, _, password = pair.partition(":")
    return user, password


def accepted_headers(caller: Caller, *, permission: str, scopes: tuple[str, ...]) -> dict[str, str]:
    """Return the headers that say what a call accepts, for that kind of caller.

    `permission` and `scopes` are those of the call's route.
    """
    token = caller.token
    if token is None:
        return {}
    if token.kind == "classic":
        return {"X-Accepted-OAuth-Scopes": ", ".join(scopes)}
    return {"X-Accepted-GitHub-Permissions": permission} if permission else {}


def _level(permission: str) -> tuple[str, int]:
    name, _, level = permission.partition("=")
    return name, LEVELS[level]


def check(caller: Caller, repository: Repository, *, permission: str, documentation: str) -> None:
    """Let the call through, or raise what GitHub would answer.

    "Troubleshooting the REST API": a private repository that the token does not
    reach, or a classic token without the scope, is a 404; a fine-grained token
    that reaches it without the permission is a 403 that names the permission.

    `permission` is what the call needs (``contents=write``). `documentation` is
    the address that an error points to.
    """
    token = caller.token
    name, level = _level(permission)
    if token is None:
        if repository.private or level > 1 or name in ("administration",):
            raise messages.not_found(documentation)
        return
    if not token.reaches(repository):
        raise messages.not_found(documentation)
    needed = 3 if name == "administration" else level
    if LEVELS[token.role] < needed:
        if needed == 3 and level > 1 and not repository.private:
            raise messages.ApiError(
                403, "Must have admin rights to Repository.", documentation=documentation
            )
        raise messages.not_found(documentation)
    if token.kind == "classic":
        writes = level > 1 or name == "administration"
        if writes and not {"repo", "public_repo"} & set(token.scopes):
            raise messages.not_found(documentation)
        return
    if LEVELS[token.permissions.get(name, "none")] < level:
        actor = "integration" if token.kind == "app" else "personal access token"
        raise messages.ApiError(
            403, f"Resource not accessible by {actor}", documentation=documentation
        )

"""Deploy keys of one repository.

Source: GitHub REST documentation, "REST API endpoints for deploy keys".
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import datetime
import hashlib
from dataclasses import dataclass
from typing import Any

from provision import errors
from provision.github import api, failures


@dataclass(frozen=True, kw_only=True)
class DeployKey:
    """One deploy key as GitHub lists it.

    `fingerprint` is the public key's ``SHA256:…``. `last_used` is None where
    GitHub has not seen it used, `added_by` empty where GitHub does not say.
    """

    id: int
    title: str
    fingerprint: str
    read_only: bool
    created_at: datetime.datetime | None = None
    last_used: datetime.datetime | None = None
    added_by: str = ""
    enabled: bool = True


def fingerprint(public_key: str) -> str:
    """Return the ``SHA256:…`` fingerprint of an OpenSSH public key line.

    Empty for a text that is no such line, so that a stranger's odd entry never
    stops a listing.
    """
    parts = public_key.split()
    if len(parts) < 2:
        return ""
    try:
        blob = base64.b64decode(parts[1], validate=True)
    except (binascii.Error, ValueError):
        return ""
    digest = base64.b64encode(hashlib.sha256(blob).digest()).decode()
    return "SHA256:" + digest.rstrip("=")


def bare(public_key: str) -> str:
    """Return an OpenSSH public key line without its comment."""
    return " ".join(public_key.split()[:2])


def find(link: api.Api) -> tuple[DeployKey, ...]:
    """Return every deploy key of the repository, all pages of them.

    PyGithub's own list asks for each key once more when it is read.
    """
    path, found = f"/repos/{link.cfg.slug}/keys", list[DeployKey]()
    page: int | None = 1
    while page is not None:
        headers, data = link.request(
            "list the deploy keys", "GET", path, parameters={"per_page": 100, "page": page}
        )
        found += [_key(entry) for entry in data or ()]
        page = page + 1 if 'rel="next"' in headers.get("link", "") else None
    return tuple(found)


def create(link: api.Api, *, title: str, key: str, read_only: bool) -> DeployKey:
    """Register `key` and return it as GitHub has it.

    The same key that is registered here already, under the same title and
    mode, is success: an earlier answer may have been lost.

    Raises:
        failures.KeyInUseError: it belongs to another repository, or is
            registered here differently.
    """
    body = {"title": title, "key": bare(key), "read_only": read_only}
    path = f"/repos/{link.cfg.slug}/keys"
    try:
        return _key(link.request("register a deploy key", "POST", path, body=body)[1])
    except failures.KeyInUseError:
        wanted = (fingerprint(key), title, read_only)
        for known in find(link):
            if (known.fingerprint, known.title, known.read_only) == wanted:
                return known
        raise


def delete(link: api.Api, key_id: int) -> None:
    """Remove the deploy key `key_id`; one that is gone already is fine."""
    path = f"/repos/{link.cfg.slug}/keys/{key_id}"
    with contextlib.suppress(failures.NotFoundError):
        link.request("remove a deploy key", "DELETE", path)


def _key(data: Any) -> DeployKey:
    if not isinstance(data, dict) or "key" not in data or "id" not in data:
        raise errors.CodeHostError(
            "GitHub's list of deploy keys is not as documented",
            operation="list the deploy keys",
            detail=repr(data),
        )
    return DeployKey(
        id=int(data["id"]),
        title=str(data.get("title") or ""),
        fingerprint=fingerprint(str(data["key"])),
        read_only=bool(data.get("read_only")),
        created_at=_time(data.get("created_at")),
        last_used=_time(data.get("last_used")),
        added_by=str(data.get("added_by") or ""),
        enabled=bool(data.get("enabled", True)),
    )


def _time(text: Any) -> datetime.datetime | None:
    if not text:
        return None
    try:
        return datetime.datetime.fromisoformat(str(text).replace("Z", "+00:00"))
    except ValueError:
        return None

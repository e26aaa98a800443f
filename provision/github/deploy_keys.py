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

from provision import errors
from provision.github import answers, api, failures

_PAGES = 100


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
    path, found = link.repository_path("keys"), dict[int, DeployKey]()
    for page in range(1, _PAGES + 1):
        answer = link.request(
            "list the deploy keys", "GET", path, parameters={"per_page": 100, "page": page}
        )
        keys = [_key(entry) for entry in answer.items]
        found |= {key.id: key for key in keys}
        if not keys or 'rel="next"' not in answer.headers.get("link", ""):
            return tuple(found.values())
    raise errors.CodeHostError(
        f"{link.address(path)} lists more than {_PAGES} pages of deploy keys",
        operation="list the deploy keys",
        hint="remove those that nothing uses, in the repository's settings",
    )


def create(link: api.Api, *, title: str, key: str, read_only: bool) -> DeployKey:
    """Register `key` and return it as GitHub has it.

    The same key that is registered here already, under the same title and
    mode, is success: an earlier answer may have been lost.

    Raises:
        failures.KeyInUseError: it belongs to another repository, or is
            registered here differently.
    """
    body = {"title": title, "key": bare(key), "read_only": read_only}
    path = link.repository_path("keys")
    try:
        made = _key(link.request("register a deploy key", "POST", path, body=body).fields)
        if made.fingerprint != fingerprint(key):
            raise failures.AnswerError(
                f"{link.address(path)} answered 201 with another deploy key"
                " than the one to register",
                operation="register a deploy key",
                status=201,
                detail=made.fingerprint,
                hint="look at the deploy keys in the repository's settings",
            )
        return made
    except failures.KeyInUseError:
        wanted = (fingerprint(key), title, read_only)
        for known in find(link):
            if (known.fingerprint, known.title, known.read_only) == wanted:
                return known
        raise


def delete(link: api.Api, key_id: int) -> None:
    """Remove the deploy key `key_id`; one that is gone already is fine."""
    path = link.repository_path("keys", str(key_id))
    with contextlib.suppress(failures.NotFoundError):
        link.request("remove a deploy key", "DELETE", path)


def _key(data: answers.Fields) -> DeployKey:
    return DeployKey(
        id=data.number("id"),
        title=data.text_or("title"),
        fingerprint=fingerprint(data.text("key")),
        read_only=data.flag("read_only"),
        created_at=_time(data.text_or("created_at")),
        last_used=_time(data.text_or("last_used")),
        added_by=data.text_or("added_by"),
        enabled=data.flag("enabled", default=True),
    )


def _time(text: str) -> datetime.datetime | None:
    if not text:
        return None
    try:
        return datetime.datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError:
        return None

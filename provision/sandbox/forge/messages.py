"""Requests, answers, errors and pages: plain values, no sockets and no routes.

A request holds its caller. It does not hold the forge that answers it.

Error bodies follow "Troubleshooting the REST API" and "Client errors" of
GitHub's REST documentation: ``message``, ``documentation_url``, ``status`` and,
for failed validations, ``errors``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlencode

from provision.sandbox.forge.callers import Caller
from provision.sandbox.forge.media import Media

DOCS = "https://docs.github.com/rest"
Body = dict[str, Any] | list[Any] | None


class ApiError(Exception):
    """An answer that is an error, as GitHub words it."""

    def __init__(
        self,
        status: int,
        message: str,
        *,
        documentation: str = DOCS,
        errors: list[Any] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.body: dict[str, Any] = {"message": message}
        if errors is not None:
            self.body["errors"] = errors
        self.body["documentation_url"] = documentation
        self.body["status"] = str(status)


def not_found(documentation: str = DOCS) -> ApiError:
    """Return GitHub's 404, which also stands for "not for this caller"."""
    return ApiError(404, "Not Found", documentation=documentation)


def invalid(message: str, documentation: str = DOCS, errors: list[Any] | None = None) -> ApiError:
    """Return a 422: the request was understood and cannot be carried out."""
    return ApiError(422, message, documentation=documentation, errors=errors)


@dataclass(frozen=True, kw_only=True)
class Request:
    """One call, parsed.

    `base` is the address of the API as the caller addressed it, without a
    trailing slash (it ends in ``/api/v3`` for Enterprise paths), so that
    addresses in bodies lead back here. `media` is what the caller accepts.
    `names` holds the path's parameters.
    """

    path: str
    base: str
    query: Mapping[str, str]
    body: Mapping[str, Any]
    caller: Caller
    media: Media = field(default_factory=Media)
    names: Mapping[str, str] = field(default_factory=dict[str, str])

    def text(self, key: str, default: str = "") -> str:
        """Return the body's text `key`; a 422 if it is there and no text."""
        value = self.body.get(key, default)
        if not isinstance(value, str):
            raise invalid(f"Invalid request.\n\nFor '{key}', {value!r} is not a string.")
        return value

    def required(self, key: str) -> str:
        """Return the body's text `key`; a 422 as GitHub words it if it is missing."""
        if self.body.get(key) in (None, ""):
            raise invalid(f'Invalid request.\n\n"{key}" wasn\'t supplied.')
        return self.text(key)


@dataclass(frozen=True, kw_only=True)
class Response:
    """One answer; `body` None means no content, unless there is `content` as it is."""

    status: int = 200
    body: Body = None
    content: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict[str, str])


def as_asked(request: Request, content: bytes) -> Response:
    """Return `content` as it is, with the media type that the caller asked for."""
    return Response(content=content, headers={"Content-Type": request.media.content_type})


def _number(request: Request, key: str, default: int, limit: int) -> int:
    text = request.query.get(key, "")
    return max(1, min(int(text), limit)) if text.isdigit() else default


def paginate(request: Request, items: list[Any]) -> tuple[list[Any], dict[str, str]]:
    """Return one page of `items` and its ``Link`` header.

    "Using pagination in the REST API": 30 a page by default, 100 at most;
    relations prev, next, last and first, each only where it leads somewhere.
    """
    size = _number(request, "per_page", 30, 100)
    page = _number(request, "page", 1, 1_000_000)
    last = max(1, -(-len(items) // size))
    links: list[tuple[str, int]] = []
    if page > 1:
        links.append(("prev", page - 1))
    if page < last:
        links += [("next", page + 1), ("last", last)]
    if page > 1:
        links.append(("first", 1))
    address = f"{request.base}{quote(request.path)}"
    parts = [
        f'<{address}?{urlencode({**request.query, "per_page": size, "page": n})}>; rel="{rel}"'
        for rel, n in links
    ]
    return items[(page - 1) * size : page * size], {"Link": ", ".join(parts)} if parts else {}

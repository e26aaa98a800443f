"""The kinds of wrong answers, each made from the right one."""

from __future__ import annotations

import copy
import gzip
import json
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final


@dataclass(frozen=True, kw_only=True)
class Answer:
    """An answer: `length` is the Content-Length that is sent, None for that of the body.

    `raw` is sent in its place, as it is. `pause` are seconds between pieces of the body.
    """

    status: int
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    body: bytes = b""
    length: int | None = None
    raw: bytes | None = None
    pause: float = 0.0

    def encoded(self) -> bytes:
        """Return the bytes of the answer."""
        if self.raw is not None:
            return self.raw
        length = len(self.body) if self.length is None else self.length
        lines = [f"HTTP/1.1 {self.status} X", *(f"{k}: {v}" for k, v in self.headers.items())]
        lines += [f"Content-Length: {length}", "Connection: close", "", ""]
        return "\r\n".join(lines).encode("latin-1", "replace") + self.body


@dataclass(frozen=True, kw_only=True)
class Spoiling:
    """What a kind may use: numbers of the case, and another server to lead to."""

    chance: random.Random
    elsewhere: str


Kind = Callable[[Answer, Spoiling], Answer]


def _status(status: int, body: bytes | None = None) -> Kind:
    def spoil(right: Answer, spoiling: Spoiling) -> Answer:
        del spoiling
        return Answer(status=status, body=right.body if body is None else body)

    return spoil


def _redirect(status: int, location: str) -> Kind:
    def spoil(right: Answer, spoiling: Spoiling) -> Answer:
        target = location.format(url=spoiling.elsewhere)
        return Answer(status=status, headers={"Location": target}, body=right.body)

    return spoil


def _body(body: bytes) -> Kind:
    return lambda right, spoiling: Answer(status=right.status, headers=right.headers, body=body)


def _header(**headers: str) -> Kind:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda right, spoiling: Answer(
        status=right.status, headers={**right.headers, **named}, body=right.body
    )


def _raw(raw: bytes) -> Kind:
    return lambda right, spoiling: Answer(status=0, raw=raw)


def _half(right: Answer, spoiling: Spoiling) -> Answer:
    cut = right.body[: spoiling.chance.randrange(len(right.body) + 1)]
    return Answer(status=right.status, body=cut, length=len(right.body) + 1)


def _cut(right: Answer, spoiling: Spoiling) -> Answer:
    """The body ends in the middle, and the length is right for what is there."""
    cut = right.body[: spoiling.chance.randrange(max(1, len(right.body)))]
    return Answer(status=right.status, body=cut)


def _types(right: Answer, spoiling: Spoiling) -> Answer:
    """One value, at any depth, is of another type."""
    values: list[Any] = [
        None,
        True,
        0,
        -1,
        1.5,
        "",
        "x",
        [],
        {},
        [1],
        {"a": 1},
        10**30,
        ["x", None],
    ]
    return _changed(
        right,
        spoiling,
        lambda box, key: (
            box.__setitem__(key, copy.deepcopy(value))
            if (value := spoiling.chance.choice(values)) is not box
            else None
        ),
    )


def _missing(right: Answer, spoiling: Spoiling) -> Answer:
    return _changed(right, spoiling, lambda box, key: box.__delitem__(key))


def _changed(right: Answer, spoiling: Spoiling, change: Callable[[Any, Any], None]) -> Answer:
    try:
        data = json.loads(right.body)
    except ValueError:
        return Answer(status=right.status, body=b"{}")
    places = list(_places(data))
    if not places:
        return Answer(status=right.status, body=b"null")
    box, key = spoiling.chance.choice(places)
    change(box, key)
    return Answer(status=right.status, headers=right.headers, body=json.dumps(data).encode())


def _places(value: Any) -> list[tuple[Any, Any]]:
    if not isinstance(value, dict | list):
        return []
    keys = list(value) if isinstance(value, dict) else list(range(len(value)))
    return [(value, key) for key in keys] + [place for key in keys for place in _places(value[key])]


def _slow(right: Answer, spoiling: Spoiling) -> Answer:
    return Answer(status=right.status, headers=right.headers, body=right.body, pause=0.05)


def _zipped(right: Answer, spoiling: Spoiling) -> Answer:
    body = gzip.compress(right.body)
    return Answer(status=right.status, headers={"Content-Encoding": "gzip"}, body=body)


_REFUSAL: Final = b'{"message": "no", "documentation_url": "x"}'
KINDS: Final[Mapping[str, Kind]] = {
    **{f"status {code}": _status(code) for code in (200, 201, 202, 203, 206, 300, 304, 305, 418)},
    "status 204 without a body": _status(204, b""),
    **{f"status {code} of a refusal": _status(code, _REFUSAL) for code in (400, 401, 403, 404)},
    **{f"status {code} of a refusal": _status(code, _REFUSAL) for code in (409, 422, 429, 451)},
    **{f"status {code} of HTML": _status(code, b"<html>") for code in (404, 500, 502, 503)},
    **{f"redirect {code} elsewhere": _redirect(code, "{url}/x") for code in (301, 302, 303)},
    **{f"redirect {code} elsewhere": _redirect(code, "{url}/x") for code in (307, 308)},
    "redirect without a place": _status(302),
    "redirect to itself": _redirect(301, "."),
    "redirect to a file": _redirect(302, "file:///etc/passwd"),
    "HTML": _body(b"<html><body>Please log in</body></html>"),
    "no body": _body(b""),
    "null": _body(b"null"),
    "a number": _body(b"1"),
    "a text": _body(b'"text"'),
    "an empty list": _body(b"[]"),
    "an empty object": _body(b"{}"),
    "a list of numbers": _body(b"[1, 2]"),
    "no UTF-8": _body(b"\xff\xfe{}"),
    "deep": _body(b"[" * 100_000),
    "half a body": _half,
    "a body that was cut": _cut,
    "another type": _types,
    "a missing field": _missing,
    "huge": _body(b'{"a": "' + b"x" * (8 << 20) + b'"}'),
    "slow": _slow,
    "zipped": _zipped,
    "an unknown encoding": _header(Content_Encoding="br"),
    "odd limits": _header(X_RateLimit_Remaining="0", X_RateLimit_Reset="soon", Retry_After="²"),
    "pages without an end": _header(Link='<https://api.github.com/x?page=2>; rel="next"'),
    "a long header": _header(X_Long="y" * 70_000),
    "no HTTP": _raw(b"SSH-2.0-OpenSSH_9.6\r\n"),
    "no answer": _raw(b""),
    "only a head": _raw(b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n"),
    "a status of other digits": _raw(b"HTTP/1.1 2x0 OK\r\n\r\n{}"),
    "wrong chunks": _raw(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n"),
}

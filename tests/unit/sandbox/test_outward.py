"""What the sandbox's way out lets through."""

from __future__ import annotations

import pytest

from provision.sandbox import outward


@pytest.mark.parametrize(
    ("line", "found"),
    [
        (b"CONNECT ghcr.io:443 HTTP/1.1", ("ghcr.io", 443)),
        (b"CONNECT [2001:db8::1]:443 HTTP/1.1", ("2001:db8::1", 443)),
        (b"CONNECT ghcr.io:22 HTTP/1.1", None),
        (b"CONNECT :443 HTTP/1.1", None),
        (b"CONNECT ghcr.io HTTP/1.1", None),
        (b"GET http://ghcr.io/ HTTP/1.1", None),
        (b"CONNECT ghcr.io:443", None),
        (b"\xff\xfe", None),
        (b"", None),
    ],
)
def test_only_https_by_connect(line: bytes, found: tuple[str, int] | None) -> None:
    assert outward.target(line) == found

"""Fingerprints of armored PGP keys, so that they can be compared with those that SOPS names.

Packets and fingerprints are those of RFC 9580 (OpenPGP), sections 4.2, 5.5 and 6. Only the public
half of each key is read; nothing is decrypted, and no passphrase is asked for.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Iterator
from typing import Final

_KEYS: Final = (5, 7)
"""Packets of a secret key and of a secret subkey."""
_NUMBERS: Final = {1: 2, 2: 2, 3: 2, 16: 3, 17: 4}
"""How many numbers the public half has, by algorithm: RSA, ElGamal, DSA."""
_CURVES: Final = {18: True, 19: False, 22: False}
"""Algorithms on a named curve; True where parameters of a key derivation follow."""
_SIZES: Final = {25: 32, 26: 56, 27: 32, 28: 57}
"""Bytes of the public half, by algorithm: X25519, X448, Ed25519, Ed448."""
_CREATED: Final = 6
"""Version, time and algorithm: what a key of version 4 begins with."""


def fingerprints(block: str) -> frozenset[str]:
    """Return the fingerprints of the key and its subkeys in the armored `block`, in upper case.

    Empty for what cannot be read.
    """
    try:
        return frozenset(_fingerprint(body) for body in _packets(_dearmored(block)))
    except (ValueError, IndexError, binascii.Error):
        return frozenset()


def matches(named: str, known: frozenset[str]) -> bool:
    """Return whether `named`, a fingerprint or a key ID, is one of the fingerprints `known`."""
    wanted = named.replace(" ", "").upper().removeprefix("0X")
    return bool(wanted) and any(
        one.startswith(wanted) if len(one) > _V4 else one.endswith(wanted) for one in known
    )


_V4: Final = 40
"""The length of a fingerprint of version 4, whose key ID is its end; later ones begin with it."""


def _dearmored(block: str) -> bytes:
    lines = [line.strip() for line in block.strip().splitlines()][1:-1]
    if "" in lines:
        lines = lines[lines.index("") + 1 :]
    content = "".join(line for line in lines if not line.startswith("="))
    return base64.b64decode(content, validate=True)


def _packets(data: bytes) -> Iterator[bytes]:
    """Return the bodies of the secret key packets in `data`."""
    at = 0
    while at < len(data):
        head = data[at]
        if not head & 0x80:
            raise ValueError
        if head & 0x40:
            tag, (at, size) = head & 0x3F, _new_length(data, at + 1)
        else:
            width = 1 << (head & 3)
            if width > 4:
                raise ValueError
            tag = (head >> 2) & 0xF
            size = int.from_bytes(data[at + 1 : at + 1 + width], "big")
            at += 1 + width
        if at + size > len(data):
            raise ValueError
        if tag in _KEYS:
            yield data[at : at + size]
        at += size


def _new_length(data: bytes, at: int) -> tuple[int, int]:
    """Return where the body begins whose length is at `at`, and that length."""
    first = data[at]
    if first < 192:
        return at + 1, first
    if first < 224:
        return at + 2, ((first - 192) << 8) + data[at + 1] + 192
    if first == 255:
        return at + 5, int.from_bytes(data[at + 1 : at + 5], "big")
    raise ValueError


def _fingerprint(body: bytes) -> str:
    version, algorithm = body[0], body[5]
    if version == 4:
        public = body[: _end(body, _CREATED, algorithm)]
        prefix = b"\x99" + len(public).to_bytes(2, "big")
        return hashlib.sha1(prefix + public).hexdigest().upper()  # noqa: S324 - as the format says
    if version == 6:
        size = int.from_bytes(body[6:10], "big")
        public = body[: 10 + size]
        prefix = b"\x9b" + len(public).to_bytes(4, "big")
        return hashlib.sha256(prefix + public).hexdigest().upper()
    raise ValueError


def _end(body: bytes, at: int, algorithm: int) -> int:
    """Return where the public half ends whose numbers begin at `at`."""
    if algorithm in _SIZES:
        return at + _SIZES[algorithm]
    if algorithm in _CURVES:
        at = _after_number(body, at + 1 + body[at])
        return at + 1 + body[at] if _CURVES[algorithm] else at
    if algorithm not in _NUMBERS:
        raise ValueError
    for _ in range(_NUMBERS[algorithm]):
        at = _after_number(body, at)
    return at


def _after_number(body: bytes, at: int) -> int:
    if at + 2 > len(body):
        raise ValueError
    return at + 2 + (int.from_bytes(body[at : at + 2], "big") + 7) // 8

"""The git wire format: packet lines, the advertisement of refs, a pack as it arrives.

Knows no transport: it reads from a function and returns bytes. Sources: git's
``gitprotocol-common`` (pkt-line), ``gitprotocol-pack`` (protocol version 0),
``gitprotocol-capabilities`` and ``gitformat-pack``.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Callable
from dataclasses import dataclass

FLUSH = b"0000"
_MAX_PACKET = 65520
_MAX_REFS = 1_000_000

Read = Callable[[int], bytes]
"""Return up to n bytes; empty at the end of the stream."""


class WireError(Exception):
    """What came is not the git protocol, or ended too early. `remote` has the server's words."""

    def __init__(self, message: str, *, remote: str = "") -> None:
        super().__init__(message)
        self.remote = remote


@dataclass(frozen=True, kw_only=True)
class Advertisement:
    """What a server offers: ref to object id, and capability to value."""

    refs: dict[str, str]
    capabilities: dict[str, str]


class Lines:
    """Packet lines read one by one."""

    def __init__(self, read: Read) -> None:
        self._read = read

    def exactly(self, size: int) -> bytes:
        """Return `size` bytes, or less at the end of the stream."""
        parts: list[bytes] = []
        left = size
        while left:
            part = self._read(left)
            if not part:
                break
            parts.append(part)
            left -= len(part)
        return b"".join(parts)

    def next(self) -> bytes | None:
        """Return the payload of the next packet, None for a flush.

        Raises `WireError` at the end of the stream and for what is no packet.
        """
        head = self.exactly(4)
        if len(head) < 4:
            raise WireError("the server ended the conversation", remote=_text(head))
        try:
            size = int(head, 16)
        except ValueError:
            rest = self.exactly(200)
            raise WireError("this is no git server", remote=_text(head + rest)) from None
        if size == 0:
            return None
        if size < 4 or size > _MAX_PACKET:
            raise WireError(f"a packet of {size} bytes is not allowed")
        payload = self.exactly(size - 4)
        if len(payload) < size - 4:
            raise WireError("the server ended the conversation in the middle of a packet")
        if payload.startswith(b"ERR "):
            raise WireError("the server refuses", remote=_text(payload[4:]))
        return payload


def packet(text: str) -> bytes:
    """Return `text` and a newline as one packet line."""
    payload = text.encode() + b"\n"
    return f"{len(payload) + 4:04x}".encode() + payload


def read_advertisement(lines: Lines) -> Advertisement:
    """Read the refs and capabilities that open a conversation, up to the flush."""
    refs: dict[str, str] = {}
    capabilities: dict[str, str] = {}
    first = True
    while (payload := lines.next()) is not None:
        text = payload.rstrip(b"\n")
        if first and text.startswith(b"version "):
            continue
        if first:
            text, _, offered = text.partition(b"\0")
            for word in _text(offered).split():
                name, _, value = word.partition("=")
                capabilities[name] = value
            first = False
        oid, _, name = _text(text).partition(" ")
        if name and name != "capabilities^{}" and oid != "shallow":
            refs[name] = oid
        if len(refs) > _MAX_REFS:
            raise WireError("the server lists too many refs")
    return Advertisement(refs=refs, capabilities=capabilities)


def want_one_commit(oid: str, capabilities: dict[str, str]) -> bytes:
    """Return the request for the commit `oid` alone, as little of it as the server can send."""
    asked = [c for c in ("side-band-64k", "ofs-delta", "no-progress") if c in capabilities]
    if "agent" in capabilities:
        asked.append("agent=elysium")
    if "object-format" in capabilities:
        asked.append(f"object-format={capabilities['object-format']}")
    limits: list[bytes] = []
    if "shallow" in capabilities:
        asked.append("shallow")
        limits.append(packet("deepen 1"))
    if "filter" in capabilities:
        asked.append("filter")
        limits.append(packet("filter tree:0"))
    return packet(f"want {oid} {' '.join(asked)}".rstrip()) + b"".join(limits) + FLUSH


def read_shallow(lines: Lines, capabilities: dict[str, str]) -> None:
    """Read the server's list of shallow commits, which ends in a flush."""
    if "shallow" in capabilities:
        while lines.next() is not None:
            pass


def receive_pack(lines: Lines, capabilities: dict[str, str]) -> int:
    """Receive the answer to ``done`` and return the number of objects in its pack.

    Nothing is kept but a running digest. Raises `WireError` when the pack is
    empty, of another version, cut short or does not match its trailer.
    """
    acknowledged = lines.next()
    if acknowledged is None or not acknowledged.startswith((b"NAK", b"ACK")):
        raise WireError("the server does not acknowledge the request")
    digest = _PackDigest(sha256=capabilities.get("object-format") == "sha256")
    if "side-band-64k" in capabilities:
        while (payload := lines.next()) is not None:
            band, data = payload[:1], payload[1:]
            if band == b"\1":
                digest.feed(data)
            elif band == b"\3":
                raise WireError("the server gave up", remote=_text(data))
            elif band != b"\2":
                raise WireError("the server answers in an unknown side band")
    else:
        while data := lines.exactly(_MAX_PACKET):
            digest.feed(data)
    return digest.finish()


class _PackDigest:
    """Checks a pack without keeping it: header first, trailer last."""

    def __init__(self, *, sha256: bool) -> None:
        self._digest = hashlib.sha256() if sha256 else hashlib.sha1(usedforsecurity=False)
        self._size = self._digest.digest_size
        self._head = b""
        self._tail = b""

    def feed(self, data: bytes) -> None:
        if len(self._head) < 12:
            self._head = (self._head + data)[:12]
        pending = self._tail + data
        cut = max(len(pending) - self._size, 0)
        self._digest.update(pending[:cut])
        self._tail = pending[cut:]

    def finish(self) -> int:
        if len(self._head) < 12 or not self._head.startswith(b"PACK"):
            raise WireError("the server sent no pack")
        version, count = struct.unpack(">II", self._head[4:12])
        if version not in (2, 3):
            raise WireError(f"a pack of version {version} is unknown")
        if self._digest.digest() != self._tail:
            raise WireError("the pack does not match its checksum")
        if not count:
            raise WireError("the pack is empty")
        return int(count)


def _text(data: bytes) -> str:
    return data.decode("utf-8", "replace").strip()

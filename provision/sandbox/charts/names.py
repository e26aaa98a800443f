"""The name server of a sandbox's node: it knows the hosts of the charts, and no other.

Messages are those of RFC 1035. Every host that charts come from has the address
of this machine; another one does not exist, as on a machine without a network.
"""

from __future__ import annotations

import ipaddress
import socketserver
import struct
from collections.abc import Callable, Collection
from typing import Any, Final

_HEADER: Final = struct.Struct("!6H")
_QUESTION: Final = struct.Struct("!2H")
_A, _AAAA, _IN = 1, 28, 1
_ANSWER, _AUTHORITATIVE, _RECURSION_DESIRED = 0x8000, 0x0400, 0x0100
_FORMAT_ERROR, _NAME_ERROR, _NOT_IMPLEMENTED = 1, 3, 4
_OPERATION: Final = 0x7800
_TTL: Final = 5
_LABEL: Final = 63
_POINTER: Final = 0xC00C  # to the name of the question


def answer(query: bytes, hosts: Callable[[], Collection[str]], address: str) -> bytes | None:
    """Return the answer to `query`; None for what is no query.

    `hosts` gives the names that have `address`.
    """
    if len(query) < _HEADER.size:
        return None
    number, flags, questions, *_ = _HEADER.unpack_from(query)
    if flags & _ANSWER:
        return None
    reply = _ANSWER | _AUTHORITATIVE | flags & _RECURSION_DESIRED
    if flags & _OPERATION:
        return _HEADER.pack(number, reply | _NOT_IMPLEMENTED, 0, 0, 0, 0)
    name, end = _name(query)
    if questions != 1 or name is None or len(query) < end + _QUESTION.size:
        return _HEADER.pack(number, reply | _FORMAT_ERROR, 0, 0, 0, 0)
    kind, family = _QUESTION.unpack_from(query, end)
    question = query[_HEADER.size : end + _QUESTION.size]
    if name not in hosts():
        return _HEADER.pack(number, reply | _NAME_ERROR, 1, 0, 0, 0) + question
    if kind != _A or family != _IN:
        return _HEADER.pack(number, reply, 1, 0, 0, 0) + question
    packed = ipaddress.IPv4Address(address).packed
    record = struct.pack("!HHHIH", _POINTER, _A, _IN, _TTL, len(packed)) + packed
    return _HEADER.pack(number, reply, 1, 1, 0, 0) + question + record


def _name(query: bytes) -> tuple[str | None, int]:
    """Return the name of the first question, and where it ends."""
    labels: list[str] = []
    at = _HEADER.size
    while at < len(query):
        length = query[at]
        at += 1
        if length == 0:
            return ".".join(labels).lower(), at
        if length > _LABEL or at + length > len(query):
            break
        labels.append(query[at : at + length].decode("latin-1"))
        at += length
    return None, at


class _Datagrams(socketserver.BaseRequestHandler):
    server: Datagrams  # pyright: ignore[reportIncompatibleVariableOverride]

    def handle(self) -> None:
        query, sock = self.request
        if reply := self.server.answer(query):
            sock.sendto(reply, self.client_address)


class _Streams(socketserver.StreamRequestHandler):
    server: Streams  # pyright: ignore[reportIncompatibleVariableOverride]
    timeout = 10

    def handle(self) -> None:
        while len(head := self.rfile.read(2)) == 2:
            query = self.rfile.read(int.from_bytes(head, "big"))
            if (reply := self.server.answer(query)) is None:
                return
            self.wfile.write(len(reply).to_bytes(2, "big") + reply)
            self.wfile.flush()


class Datagrams(socketserver.ThreadingUDPServer):
    """The name server at an address, over UDP."""

    daemon_threads = True
    block_on_close = False

    def __init__(self, at: tuple[str, int], hosts: Callable[[], Collection[str]]) -> None:
        self.answer: Callable[[bytes], Any] = lambda query: answer(query, hosts, at[0])
        super().__init__(at, _Datagrams)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of a question that was broken off."""


class Streams(socketserver.ThreadingTCPServer):
    """The name server at an address, over TCP."""

    daemon_threads = True
    block_on_close = False
    allow_reuse_address = True

    def __init__(self, at: tuple[str, int], hosts: Callable[[], Collection[str]]) -> None:
        self.answer: Callable[[bytes], Any] = lambda query: answer(query, hosts, at[0])
        super().__init__(at, _Streams)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of a question that was broken off."""

"""The name server of a sandbox's node."""

from __future__ import annotations

import socket
import struct
import threading

import pytest

from provision.sandbox.charts import names

HOSTS = {"charts.example.org"}


def query(name: str, kind: int = 1, *, flags: int = 0x0100) -> bytes:
    labels = b"".join(bytes([len(part)]) + part.encode() for part in name.split("."))
    return struct.pack("!6H", 7, flags, 1, 0, 0, 0) + labels + b"\0" + struct.pack("!2H", kind, 1)


def ask(message: bytes) -> tuple[int, int, bytes]:
    """Return the status, the number of answers, and the answer."""
    reply = names.answer(message, lambda: HOSTS, "10.231.0.1")
    assert reply is not None
    number, flags, _, answers, *_ = struct.unpack_from("!6H", reply)
    assert number == 7
    assert flags & 0x8000
    return flags & 15, answers, reply


def test_the_host_of_a_chart_has_the_address_of_this_machine() -> None:
    status, answers, reply = ask(query("Charts.Example.org"))
    assert (status, answers) == (0, 1)
    assert reply[-4:] == bytes([10, 231, 0, 1])


def test_it_has_no_address_of_version_6() -> None:
    assert ask(query("charts.example.org", 28))[:2] == (0, 0)


def test_another_name_does_not_exist() -> None:
    assert ask(query("example.org"))[:2] == (3, 0)


@pytest.mark.parametrize(
    "message",
    [query("a")[:-3], struct.pack("!6H", 7, 0, 0, 0, 0, 0), query("a")[:12] + b"\xc0\x0c\0\1\0\1"],
)
def test_a_broken_question_is_a_format_error(message: bytes) -> None:
    assert ask(message)[:2] == (1, 0)


def test_another_operation_is_not_implemented() -> None:
    assert ask(query("a", flags=5 << 11))[0] == 4


@pytest.mark.parametrize("message", [b"", b"short", query("a", flags=0x8000)])
def test_what_is_no_question_gets_no_answer(message: bytes) -> None:
    assert names.answer(message, lambda: HOSTS, "10.231.0.1") is None


def test_it_answers_over_udp_and_tcp() -> None:
    with (
        names.Datagrams(("127.0.0.1", 0), lambda: HOSTS) as datagrams,
        names.Streams(("127.0.0.1", 0), lambda: HOSTS) as streams,
    ):
        for server in (datagrams, streams):
            threading.Thread(target=server.serve_forever, daemon=True).start()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            client.settimeout(10)
            client.sendto(query("charts.example.org"), datagrams.server_address)
            assert client.recv(512)[-4:] == bytes([127, 0, 0, 1])
        with socket.create_connection(streams.server_address[:2], timeout=10) as client:
            question = query("charts.example.org")
            client.sendall(len(question).to_bytes(2, "big") + question)
            size = int.from_bytes(client.recv(2), "big")
            assert client.recv(size)[-4:] == bytes([127, 0, 0, 1])
        datagrams.shutdown()
        streams.shutdown()

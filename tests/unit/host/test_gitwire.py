"""The wire format: what is accepted, and that nothing malformed is."""

from __future__ import annotations

import hashlib
import io
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provision.host import gitwire

CAPABILITIES = {"side-band-64k": "", "shallow": "", "filter": "", "agent": "git/2"}


def lines(data: bytes) -> gitwire.Lines:
    return gitwire.Lines(io.BytesIO(data).read)


def pkt(payload: bytes) -> bytes:
    return f"{len(payload) + 4:04x}".encode() + payload


def pack(count: int = 1, body: bytes = b"x" * 50, version: int = 2) -> bytes:
    data = b"PACK" + struct.pack(">II", version, count) + body
    return data + hashlib.sha1(data, usedforsecurity=False).digest()


def banded(data: bytes, size: int = 17) -> bytes:
    parts = [pkt(b"\1" + data[i : i + size]) for i in range(0, len(data), size)]
    return pkt(b"NAK\n") + pkt(b"\2counting\n") + b"".join(parts) + gitwire.FLUSH


def test_an_advertisement_is_read():
    oid = "a" * 40
    data = pkt(f"{oid} HEAD\0shallow filter agent=git/2.5\n".encode())
    data += pkt(f"{oid} refs/heads/main\n".encode()) + gitwire.FLUSH
    found = gitwire.read_advertisement(lines(data))
    assert found.refs == {"HEAD": oid, "refs/heads/main": oid}
    assert found.capabilities == {"shallow": "", "filter": "", "agent": "git/2.5"}


def test_an_empty_repository_advertises_no_ref():
    data = pkt(b"0" * 40 + b" capabilities^{}\0report-status\n") + gitwire.FLUSH
    assert gitwire.read_advertisement(lines(data)).refs == {}


def test_only_offered_capabilities_are_asked_for():
    assert gitwire.want_one_commit("a" * 40, {}) == pkt(b"want " + b"a" * 40 + b"\n") + b"0000"
    asked = gitwire.want_one_commit("a" * 40, CAPABILITIES)
    assert b"deepen 1" in asked
    assert b"filter tree:0" in asked


@pytest.mark.parametrize("size", [1, 7, 19, 20, 21, 60000])
def test_a_whole_pack_is_accepted_however_it_is_cut(size):
    assert gitwire.receive_pack(lines(banded(pack(3), size)), CAPABILITIES) == 3


def test_a_pack_without_side_bands_is_accepted():
    assert gitwire.receive_pack(lines(pkt(b"NAK\n") + pack(2)), {}) == 2


@pytest.mark.parametrize(
    "data",
    [
        b"",
        banded(pack()[:-1]),
        banded(pack()[:12]),
        banded(pack(0)),
        banded(pack(version=4)),
        banded(b"JUNK" + pack()[4:]),
        banded(b""),
        pkt(b"\1data"),
        pkt(b"NAK\n") + pkt(b"\3fatal: gone\n"),
        pkt(b"NAK\n") + pkt(b"\7what\n"),
        banded(pack())[:-30],
    ],
)
def test_anything_else_is_refused(data):
    with pytest.raises(gitwire.WireError):
        gitwire.receive_pack(lines(data), CAPABILITIES)


@given(st.integers(min_value=0, max_value=len(pack()) - 1), st.integers(1, 255))
def test_one_changed_byte_anywhere_is_noticed(position, flip):
    data = bytearray(pack(1))
    data[position] ^= flip
    with pytest.raises(gitwire.WireError):
        gitwire.receive_pack(lines(banded(bytes(data))), CAPABILITIES)


@given(st.binary(max_size=300))
def test_noise_never_does_more_than_fail(data):
    for read in (
        gitwire.read_advertisement,
        lambda one: gitwire.receive_pack(one, CAPABILITIES),
    ):
        try:
            read(lines(data))
        except gitwire.WireError:
            continue


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"ERROR: Repository not found.\n", "ERROR: Repository not found."),
        (pkt(b"ERR access denied\n"), "access denied"),
        (b"00", "00"),
    ],
)
def test_the_servers_words_are_kept(data, words):
    with pytest.raises(gitwire.WireError) as caught:
        lines(data).next()
    assert caught.value.remote == words

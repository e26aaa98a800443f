"""Signatures of bundles: the real ``ssh-keygen`` accepts ours, and we accept its own."""

from __future__ import annotations

import base64
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from hypothesis import given
from hypothesis import strategies as st

from provision import errors
from provision.recovery.bundle import signature
from tests.support import sshkeys

CONTENT = b"age-encryption.org/v1\n" + bytes(range(256)) * 40
KINDS = [
    ("ed25519", ""),
    ("ecdsa", "256"),
    ("ecdsa", "384"),
    ("ecdsa", "521"),
    ("rsa", "2048"),
]


@pytest.fixture(scope="module", params=KINDS, ids=lambda kind: "".join(kind))
def pair(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, str]:
    path = tmp_path_factory.mktemp("keys") / "key"
    return path, sshkeys.make(path, *request.param)


@pytest.fixture(scope="module")
def mine(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    path = tmp_path_factory.mktemp("mine") / "key"
    return path, sshkeys.make(path)


def refused(text: bytes | None, content: bytes, *keys: str) -> errors.BundleSignatureError:
    """Return why the signature does not count, for keys that must have signed."""
    trust = signature.Trust(required=signature.fingerprints(keys))
    with pytest.raises(errors.BundleSignatureError) as caught:
        signature.check(text, content, trust)
    assert caught.value.exit_code == 3 and caught.value.hint
    return caught.value


def test_ssh_keygen_accepts_ours(pair: tuple[Path, str], tmp_path: Path) -> None:
    path, line = pair
    private: Any = serialization.load_ssh_private_key(path.read_bytes(), None)
    for number in range(8):  # numbers of a signature differ in their first bits
        content = CONTENT + bytes([number])
        text = signature.armored(
            signature.public_key(line), signature.sign(private, signature.message(content))
        )
        assert sshkeys.verifies(line, content, text, tmp_path)
        assert not sshkeys.verifies(line, CONTENT, text, tmp_path)
        checked = signature.verify(text, content, signature.fingerprints([line]))
        assert checked.words == f"signed by {sshkeys.fingerprint(path)}"


@pytest.mark.parametrize("options", [(), ("-O", "hashalg=sha256")], ids=["sha512", "sha256"])
def test_we_accept_those_of_ssh_keygen(pair: tuple[Path, str], options: tuple[str, ...]) -> None:
    path, line = pair
    text = sshkeys.sign(path, CONTENT, *options)
    for keys in ([line], [f"{line} a comment"], [sshkeys.fingerprint(path)], ["# x", "", line]):
        checked = signature.verify(text, CONTENT, signature.fingerprints(keys))
        assert checked == signature.Checked(state="signed", fingerprint=sshkeys.fingerprint(path))
    windows = text.replace(b"\n", b"\r\n")
    assert signature.verify(windows, CONTENT, signature.fingerprints([line])).state == "signed"


def test_without_a_key_it_is_said_that_nothing_was_checked(mine: tuple[Path, str]) -> None:
    text = sshkeys.sign(mine[0], CONTENT)
    nobody = signature.Trust()
    assert signature.check(text, CONTENT, nobody).words == "signed, not checked (no key given)"
    assert signature.check(b"\0", CONTENT, nobody).words == "signed, not checked (no key given)"
    assert signature.check(None, CONTENT, nobody).words == "not signed"


def test_a_known_key_requires_nothing_and_is_checked(
    mine: tuple[Path, str], tmp_path: Path
) -> None:
    known = signature.Trust(known=signature.fingerprints([mine[1]]))
    text = sshkeys.sign(mine[0], CONTENT)
    assert signature.check(text, CONTENT, known).state == "signed"
    assert signature.check(None, CONTENT, known).state == "unsigned"
    assert signature.check(text[:-40], CONTENT, known).state == "unchecked"
    sshkeys.make(tmp_path / "older")
    older = sshkeys.sign(tmp_path / "older", CONTENT)
    assert signature.check(older, CONTENT, known).state == "unchecked"
    with pytest.raises(errors.BundleSignatureError, match="does not fit the file"):
        signature.check(text, CONTENT[:-1], known)


def test_another_signer_is_named(mine: tuple[Path, str], tmp_path: Path) -> None:
    other = sshkeys.make(tmp_path / "other")
    error = refused(sshkeys.sign(tmp_path / "other", CONTENT), CONTENT, mine[1])
    assert sshkeys.fingerprint(tmp_path / "other") in error.summary
    assert sshkeys.fingerprint(mine[0]) in error.summary
    assert signature.check(
        sshkeys.sign(tmp_path / "other", CONTENT),
        CONTENT,
        signature.Trust(required=signature.fingerprints([mine[1], other])),
    ).fingerprint == sshkeys.fingerprint(tmp_path / "other")


@pytest.mark.parametrize(
    "changed", [CONTENT[:-1], CONTENT + b"\0", b"", b"another backup", b"\1" + CONTENT[1:]]
)
def test_a_signature_of_another_file_does_not_fit(mine: tuple[Path, str], changed: bytes) -> None:
    text = sshkeys.sign(mine[0], CONTENT)
    assert "does not fit the file" in refused(text, changed, mine[1]).summary


def test_a_missing_signature_is_no_signature(mine: tuple[Path, str]) -> None:
    error = refused(None, CONTENT, mine[1])
    assert "not signed" in error.summary and sshkeys.fingerprint(mine[0]) in error.summary


@pytest.mark.parametrize("namespace", ["file", "git", "elysium-backup2"])
def test_a_signature_for_something_else_does_not_count(
    mine: tuple[Path, str], namespace: str
) -> None:
    text = sshkeys.sign(mine[0], CONTENT, namespace=namespace)
    assert repr(namespace) in refused(text, CONTENT, mine[1]).summary


def test_every_cut_of_a_signature_is_refused(mine: tuple[Path, str]) -> None:
    text = sshkeys.sign(mine[0], CONTENT)
    whole = text.rstrip()
    for size in range(len(whole)):
        assert refused(text[:size], CONTENT, mine[1])


def test_every_changed_byte_of_a_signature_is_refused(mine: tuple[Path, str]) -> None:
    body = body_of(sshkeys.sign(mine[0], CONTENT))
    for place in range(len(body)):
        changed = bytearray(body)
        changed[place] ^= 1
        assert refused(packed(bytes(changed)), CONTENT, mine[1])
    assert "damaged" in refused(packed(body + b"\0"), CONTENT, mine[1]).summary


@given(st.binary(max_size=300))
def test_nothing_else_than_an_error_comes_of_anything(junk: bytes) -> None:
    keys = ["SHA256:" + "A" * 43]
    for text in (junk, packed(junk), packed(b"SSHSIG\0\0\0\1" + junk)):
        with pytest.raises(errors.BundleSignatureError):
            signature.verify(text, CONTENT, keys)


def body_of(text: bytes) -> bytes:
    return base64.b64decode(b"".join(text.split(b"\n")[1:-2]))


def packed(body: bytes) -> bytes:
    lines = base64.encodebytes(body).decode()
    return f"-----BEGIN SSH SIGNATURE-----\n{lines}-----END SSH SIGNATURE-----\n".encode()


def fields(body: bytes) -> list[bytes]:
    found, rest = [], body[10:]
    while rest:
        size = int.from_bytes(rest[:4], "big")
        found.append(rest[4 : 4 + size])
        rest = rest[4 + size :]
    return found


def joined(*parts: bytes) -> bytes:
    return b"".join(len(each).to_bytes(4, "big") + each for each in parts)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda f: [*f[:3], b"md5", f[4]], "'md5', which is not accepted"),
        (lambda f: [*f[:3], b"sha1", f[4]], "'sha1', which is not accepted"),
        (
            lambda f: [*f[:4], joined(b"ssh-rsa", b"x" * 64)],
            "the algorithm 'ssh-rsa', which is not accepted",
        ),
        (lambda f: [*f[:4], joined(b"\x1b[2J", b"x" * 64)], "not accepted"),
    ],
)
def test_an_algorithm_that_is_expired_or_not_known(
    mine: tuple[Path, str], change: Callable[[list[bytes]], list[bytes]], words: str
) -> None:
    body = body_of(sshkeys.sign(mine[0], CONTENT))
    text = packed(body[:10] + joined(*change(fields(body))))
    assert words in refused(text, CONTENT, mine[1]).summary


def test_rsa_with_sha1_is_not_accepted(tmp_path: Path) -> None:
    line = sshkeys.make(tmp_path / "rsa", "rsa", "2048")
    body = body_of(sshkeys.sign(tmp_path / "rsa", CONTENT))
    parts = fields(body)
    old = joined(b"ssh-rsa", fields(b"0" * 10 + parts[4])[1])
    text = packed(body[:10] + joined(*parts[:4], old))
    assert "'ssh-rsa', which is not accepted" in refused(text, CONTENT, line).summary


def test_a_later_version_is_named(mine: tuple[Path, str]) -> None:
    body = body_of(sshkeys.sign(mine[0], CONTENT))
    text = packed(body[:6] + (2).to_bytes(4, "big") + body[10:])
    assert "version 2" in refused(text, CONTENT, mine[1]).summary


def test_a_large_signature_is_not_read(mine: tuple[Path, str]) -> None:
    text = packed(b"\0" * signature.MAX_BYTES)
    assert "larger than 64 KiB" in refused(text, CONTENT, mine[1]).summary


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("", "is expected"),
        ("a key", "is expected"),
        ("me@home ssh-ed25519 AAAA", "not supported"),
        ("ssh-dss AAAA", "not supported"),
        ("sk-ssh-ed25519@openssh.com AAAA", "not supported"),
        ("ssh-ed25519-cert-v01@openssh.com AAAA", "not supported"),
        ("ssh-ed25519 AAAA", "cut short"),
        ("ssh-ed25519 A", "cut short"),
    ],
)
def test_a_key_of_no_use_is_named(line: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        signature.public_key(line)


def test_a_short_rsa_key_is_refused(tmp_path: Path) -> None:
    words = ["ssh-keygen", "-q", "-t", "rsa", "-b", "1024", "-N", "", "-f", str(tmp_path / "k")]
    subprocess.run(words, check=True)
    with pytest.raises(ValueError, match="1024 bits"):
        signature.public_key((tmp_path / "k.pub").read_text())

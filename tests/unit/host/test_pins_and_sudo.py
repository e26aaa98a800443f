"""Host key pins, and the conversation with sudo: pure."""

from __future__ import annotations

import base64
import hashlib
import re

import pytest

from provision import errors, secret
from provision.host import elevate, hostkey

BLOB = b"\0\0\0\x0bssh-ed25519\0\0\0 " + b"k" * 32
LINE = "ssh-ed25519 " + base64.b64encode(BLOB).decode()
PRINT = "SHA256:" + base64.b64encode(hashlib.sha256(BLOB).digest()).decode().rstrip("=")


@pytest.mark.parametrize(
    "text", [LINE, f"{LINE} root@kyrion", f"kyrion,10.0.0.1 {LINE}", f"  {LINE}\n", PRINT]
)
def test_pins(text: str):
    pin = hostkey.parse_pin(text)
    assert pin.fingerprint == PRINT
    assert pin.accepts(hostkey.HostKey(type="ssh-ed25519", blob=BLOB))
    assert not pin.accepts(hostkey.HostKey(type="ssh-ed25519", blob=BLOB[:-1] + b"x"))


@pytest.mark.parametrize(
    "text", ["", "ssh-ed25519", "ssh-ed25519 !!", LINE.replace("ed25519", "rsa"), "SHA256:short"]
)
def test_what_is_no_pin(text: str):
    with pytest.raises(ValueError, match="key"):
        hostkey.parse_pin(text)


def elevation(password: str | None, user: str = "ops") -> elevate.Elevation:
    kept = secret.Secret(password) if password is not None else None
    return elevate.Elevation(host="kyrion", user=user, password=kept)


def test_root_needs_no_sudo():
    root = elevation("x", user="root")
    assert "sudo" not in root.command("true", timeout=5) and root.gate() is None


def test_the_password_is_never_in_the_command():
    assert "canary" not in elevation("canary").command("true", timeout=5)


@pytest.mark.parametrize("user", ["root", "ops"])
@pytest.mark.parametrize("password", [None, "canary"])
def test_the_command_line_holds_nothing_that_a_login_shell_reads_in_its_own_way(
    user: str, password: str | None
):
    script = "sed 's/\\\\/x/' <<'END'\n$a !b ~c\nEND\n"
    pieces = elevation(password, user).command(script, timeout=5).split("'")
    words, texts = pieces[::2], pieces[1::2]
    assert re.fullmatch(r"[a-z0-9 /:-]+", "".join(words), re.IGNORECASE)
    assert len(texts) == 3 and not set("".join(texts)) & set("\\!$~\n\r\t")


def test_the_password_goes_out_once_when_asked_for():
    gate = elevation("canary").gate()
    assert gate is not None
    asks = elevate.PROMPT.encode()
    assert gate.feed(b"We trust you have received the usual lecture") is None
    assert gate.feed(asks) == b"canary\n"
    assert gate.feed(asks) is None and not gate.open
    assert gate.feed(asks + elevate.STARTED.encode() + b"\n") is None and gate.open


def test_a_second_question_means_a_wrong_password():
    gate = elevation("canary").gate()
    assert gate is not None
    gate.feed(elevate.PROMPT.encode())
    with pytest.raises(errors.SudoError, match="refused the password") as caught:
        gate.feed(elevate.PROMPT.encode() + b"Sorry, try again.\n" + elevate.PROMPT.encode())
    assert "canary" not in str(caught.value)


@pytest.mark.parametrize(
    ("status", "said", "words"),
    [
        (127, "sh: 1: exec: sudo: not found", "no sudo"),
        (1, "sudo: a password is required", "asks ops for a password"),
        (1, "ops is not in the sudoers file.", "does not let ops"),
        (1, "sudo: sorry, you must have a tty to run sudo", "does not let ops"),
        (1, "Sorry, try again.\nsudo: 1 incorrect password attempt", "refused the password"),
    ],
)
def test_why_sudo_did_not_work(status: int, said: str, words: str):
    with pytest.raises(errors.SudoError, match=words) as caught:
        elevation(None).check(status, said.encode())
    assert caught.value.hint


def test_a_script_that_fails_is_not_sudos_fault():
    stderr = elevate.STARTED.encode() + b"\nsudo: a password is required"
    elevation(None).check(1, stderr)
    assert elevation(None).strip(stderr) == b"sudo: a password is required"

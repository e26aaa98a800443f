"""Logins of every kind, on a node with a real sudo and a real PAM."""

from __future__ import annotations

import pytest

from provision import errors, secret
from provision.host import facts, session

pytestmark = pytest.mark.sandbox

ASK = facts.FactRequest(files=frozenset({"/etc/shadow"}))


def through(box, user: str, sudo: secret.Secret | None, **changes: object) -> session.NodeSession:
    return session.NodeSession(box.configured(user=user, sudo_password=sudo, **changes))


@pytest.mark.parametrize("user", ["ops", "opspw"])
def test_sudo_brings_input_and_output_through_unharmed(box, user: str):
    password = box.node.password()
    data = b"".join(bytes([n % 256]) * n for n in range(2000))
    with through(box, user, password) as opened:
        done = opened.run("id -u >&2; cat", stdin=data, timeout=30, what="x", reads_only=True)
        assert (done.stdout, done.stderr) == (data, b"0\n")
        assert opened.facts(ASK).file("/etc/shadow").sha256
        opened.lock()
        assert password.reveal() not in box.on("cat /proc/[0-9]*/cmdline | tr '\\0' ' '")
        assert password.reveal() not in box.on("cat /proc/[0-9]*/environ | tr '\\0' ' '")


def test_sudo_without_a_password(box):
    with through(box, "ops", None) as opened:
        assert opened.run("id -u", timeout=9, what="x", reads_only=True).text == "0\n"


@pytest.mark.parametrize(
    ("user", "password", "words"),
    [
        ("opspw", None, "asks opspw for a password"),
        ("opspw", "canary-wrong", "refused the password"),
        ("guest", None, "asks guest for a password"),
        ("guest", "right", "does not let guest become root"),
    ],
)
def test_what_sudo_refuses(box, user: str, password: str | None, words: str):
    given = None if password is None else secret.Secret(password)
    if password == "right":
        given = box.node.password()
    with through(box, user, given) as opened:
        for act in (lambda: opened.facts(ASK), opened.lock):
            with pytest.raises(errors.SudoError, match=words) as caught:
                act()
            assert caught.value.hint and "canary" not in str(caught.value)


def test_login_by_password(box):
    password = box.node.password()
    with through(box, "ops", None, identity_file="", password=password) as opened:
        assert opened.run("id -u", timeout=9, what="x", reads_only=True).text == "0\n"
    wrong = secret.Secret("canary-wrong")
    with through(box, "ops", None, identity_file="", password=wrong) as opened:
        with pytest.raises(errors.AuthError, match="does not let ops in") as caught:
            opened.facts(ASK)
        assert "canary" not in str(caught.value) + repr(caught.value.__dict__)


def test_a_node_without_sudo(box):
    box.on("chmod 000 $(command -v sudo) && mv $(command -v sudo) /usr/bin/sudo.away")
    try:
        with through(box, "ops", None) as opened, pytest.raises(errors.SudoError) as caught:
            opened.facts(ASK)
        assert "there is no sudo" in caught.value.summary
    finally:
        box.on("mv /usr/bin/sudo.away /usr/bin/sudo && chmod 4755 /usr/bin/sudo")

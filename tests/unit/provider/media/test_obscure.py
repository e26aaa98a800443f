"""Passwords of a remote are obscured for the user, as the real rclone reads them."""

from __future__ import annotations

import json
import re
import subprocess
from typing import Any

import pytest

from provision.provider.media import files, mount, obscure, validation


def _rclone() -> str | None:
    from provision import errors
    from provision.sandbox import azure

    try:
        return azure.rclone_program()
    except errors.ElysiumError:
        return None


RCLONE = _rclone()
real = pytest.mark.skipif(RCLONE is None, reason="needs rclone")
# Made by `rclone obscure`.
KNOWN = {"AuUcf_i0A7jFRk1F0aDZIciAccQ2": "hello"}
PASSWORDS = [
    *("hunter2", "Grüße, 世界", "a" * 200, " leading", '"quoted', "%(x)s", "line\nbreak", "$x`y`")
]


def inputs(**more: Any) -> dict[str, Any]:
    remote = {"type": "webdav", "url": "https://dav.example.org", "user": "me", "pass": "hunter2"}
    return validation.filled({"node": "kyrion", "remote": remote} | more)


def test_what_rclone_made_is_revealed():
    for text, password in KNOWN.items():
        assert obscure.reveal(text) == password
    for text in ("", "hello", "aGVsbG8gd29ybGQ=", "ä", "A" * 21):
        assert obscure.reveal(text) is None


@pytest.mark.parametrize("password", PASSWORDS)
def test_it_comes_back(password: str):
    made = obscure.obscure(password, "pass")
    assert obscure.reveal(made) == password
    assert made == obscure.obscure(password, "pass") and re.fullmatch(r"[A-Za-z0-9_-]+", made)


@real
@pytest.mark.parametrize("password", [p for p in PASSWORDS if "\n" not in p])
def test_rclone_reveals_it(password: str):
    done = subprocess.run(
        [str(RCLONE), "reveal", "--", obscure.obscure(password, "pass")],
        capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    assert done.stdout.rstrip("\n") == password


@real
def test_the_passwords_are_those_that_rclone_says():
    done = subprocess.run(
        [str(RCLONE), "config", "providers"], capture_output=True, timeout=60, check=True
    )
    said = {
        kind["Name"]: {option["Name"] for option in kind["Options"] if option["IsPassword"]}
        for kind in json.loads(done.stdout)
    }
    for kind, names in said.items():
        assert names <= set(obscure.passwords(kind)) or not names, kind


def test_the_file_holds_it_obscured_and_only_passwords():
    text = files.wanted(inputs()).config_file.content.decode()
    assert "hunter2" not in text and "user = me" in text
    (hidden,) = re.findall(r"^pass = (.*)$", text, re.MULTILINE)
    assert obscure.reveal(hidden) == "hunter2"
    assert files.wanted(inputs()).config_file.content.decode() == text


def test_what_the_user_obscured_stays():
    (text,) = KNOWN
    remote = {"type": "sftp", "host": "h", "pass": text, "key_file_pass": "plain"}
    made = obscure.options(remote)
    assert made["pass"] == text and obscure.reveal(made["key_file_pass"]) == "plain"
    assert obscure.options(remote, "obscured") == remote
    assert obscure.reveal(obscure.options(remote, "plain")["pass"]) == text


def test_options_that_are_no_passwords_stay():
    remote = {"type": "azureblob", "account": "a", "key": "c2VjcmV0", "sas_url": "https://x"}
    assert obscure.options(remote) == remote
    assert obscure.options({"type": "s3", "secret_access_key": "x", "n": 1}) == {
        "type": "s3", "secret_access_key": "x", "n": 1,
    }  # fmt: skip


def test_a_password_may_hold_what_the_file_cannot():
    for password in ('"x', " x ", "%(x", "a\nb"):
        remote = inputs()["remote"] | {"pass": password}
        assert not list(validation.problems(inputs(remote=remote)))
        assert list(validation.problems(inputs(remote=remote | {"user": password})))
        assert list(validation.problems(inputs(remote=remote, passwords="obscured")))


@pytest.mark.parametrize(
    ("kind", "key"),
    [
        ("crypt", "password"),
        ("crypt", "password2"),
        ("sftp", "pass"),
        ("sftp", "key_file_pass"),
        ("webdav", "pass"),
    ],
)
def test_each_password_is_obscured_or_refused(kind: str, key: str):
    remote = {"type": kind, key: "hunter2"}
    assert obscure.reveal(files.remote(inputs(remote=remote))[key]) == "hunter2"
    for value in (123456, True, 0.5):
        (problem,) = validation.problems(inputs(remote=remote | {key: value}))
        assert problem.key == f"remote.{key}" and "number" in problem.message
        assert f"--secret media.remote.{key}" in problem.hint
    assert not list(validation.problems(inputs(remote={"type": "sftp", "host": "h", "port": 22})))


def test_obscured_twice_means_the_same():
    (text,) = KNOWN
    one = {"type": "ftp", "pass": text}
    other = {"type": "ftp", "pass": obscure.obscure("hello", "pass")}
    assert obscure.same(one, other) and not obscure.same(one, {"type": "ftp", "pass": "x"})


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ("base64 decode failed when revealing password - is it obscured?", "passwords: plain"),
        ("input too short when revealing password - is it obscured?", "not in the form"),
        ("couldn't decrypt password: input too short", "not in the form"),
        ("decode account key: illegal base64 data at input byte 3", "copy it again"),
        ("RESPONSE 403: AuthenticationFailed", "refuses the credentials"),
        ("ssh: handshake failed: ssh: unable to authenticate", "refuses the credentials"),
        ("read metadata failed: 401 Unauthorized", "refuses the credentials"),
    ],
)
def test_a_wrong_form_is_not_refused_credentials(said: str, words: str):
    hint = next(hint for pattern, hint in mount._HINTS if re.search(pattern, said))
    assert words in hint

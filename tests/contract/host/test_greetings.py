"""Logins that greet and set an environment: neither reaches a script, nor what it prints."""

from __future__ import annotations

import os
import pathlib
import shutil
from collections.abc import Callable

import pytest

from provision import config, errors
from provision.host import elevate, facts, session
from provision.recovery.backup import destinations

ODD = {
    "PATH": "/nowhere:.",
    "LANG": "de_DE.UTF-8",
    "LC_MESSAGES": "de_DE.UTF-8",
    "BASH_ENV": "/tmp/bash-env",
    "ENV": "/tmp/bash-env",
    "IFS": "/e",
    "CDPATH": "/tmp:/usr",
    "GREP_OPTIONS": "--invert-match",
    "GREP_COLORS": "x",
    "LD_LIBRARY_PATH": "/nowhere",
    "TMOUT": "1",
    "HOME": "/nowhere",
    "POSIXLY_CORRECT": "1",
    "DF_BLOCK_SIZE": "1",
    "BLOCKSIZE": "1",
    "TAR_OPTIONS": "--totals",
    "SYSTEMD_COLORS": "1",
    "BASH_FUNC_cat%%": "() { echo function; }",
}
"""What a login may set: programs read all of them."""


@pytest.fixture
def greeted(make_sshd: Callable[..., object], tmp_path: pathlib.Path) -> Callable[..., config.Node]:
    """Start an sshd whose root logs in with `shell`, and a home where `files` greet."""

    def start(shell: str, **files: str) -> config.Node:
        path = shutil.which(shell, path="/usr/bin:/bin")
        if path is None:
            pytest.skip(f"{shell} is not installed: make shells")
        home = tmp_path / "home"
        for name, text in files.items():
            target = home / name.replace("__", "/").replace("_", ".", 1)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text)
        passwd = tmp_path / "passwd"
        root = f"root:x:0:0:root:{home}:{path}\n"
        others = pathlib.Path("/etc/passwd").read_text().splitlines(keepends=True)
        passwd.write_text(root + "".join(one for one in others if not one.startswith("root:")))
        bound = 'mount --bind "$1" /etc/passwd && shift && exec "$@"'
        server = make_sshd(wrap=("unshare", "--mount", "sh", "-c", bound, "sh", str(passwd)))
        return server.node()  # type: ignore[attr-defined,no-any-return]

    return start


BASH = (
    "echo Welcome; printf 'no newline'; echo to stderr >&2\n"
    + "".join(f"export {name}='{value}'\n" for name, value in ODD.items() if "%" not in name)
    + "cat() { echo function; }; export -f cat; alias ls=false; shopt -s expand_aliases\n"
)
ZSH = BASH.replace("export -f cat; ", "").replace("; shopt -s expand_aliases", "")
FISH = "echo Welcome; set -gx GREP_OPTIONS --invert-match; set -gx PATH /nowhere\n"
SHELLS = {
    "bash": {"_bashrc": BASH},
    "zsh": {"_zshenv": ZSH + "alias -g cat=false\n"},
    "fish": {"_config__fish__config.fish": FISH},
    "tcsh": {"_tcshrc": "echo Welcome\nsetenv GREP_OPTIONS -v\nsetenv PATH /nowhere\n"},
}


@pytest.mark.parametrize("shell", SHELLS)
def test_commands_facts_and_copies(
    shell: str, greeted: Callable[..., config.Node], tmp_path: pathlib.Path
) -> None:
    node = greeted(shell, **SHELLS[shell])
    with session.NodeSession(node) as opened:
        done = opened.run("cat; echo later", stdin=b"input ", timeout=20, what="a test")
        assert (done.stdout, done.stderr) == (b"input later\n", b"")
        heard: list[bytes] = []
        opened.run("echo one", timeout=20, what="a test", on_output=heard.append)
        assert b"".join(heard) == b"one\n"
        variables = opened.run("env", timeout=20, what="a test").text.splitlines()
        names = {line.partition("=")[0] for line in variables}
        assert names <= {"PATH", "LC_ALL", "HOME", "PWD", "OLDPWD", "SHLVL", "_"}
        assert "HOME=/root" in variables
        found = opened.facts(facts.FactRequest(contents=frozenset({"/etc/os-release"})))
        assert found.request.contents
    login = config.SshLogin.model_validate(
        {name: getattr(node, name) for name in config.SshLogin.model_fields}
    )
    for path, folder in (
        (str(tmp_path / "kept"), tmp_path / "kept"),
        ("below/home", tmp_path / "home/below/home"),
    ):
        place = destinations.Server(login=login, path=path, cluster="kyrion")
        name, content = "kyrion-20260101T000000Z.tar.gz.age", os.urandom(3_000_000)
        place.check()
        assert place.names() == []
        place.put(name, content)
        assert (folder / name).read_bytes() == content
        assert place.names() == [name]
        place.remove(name)
        assert not list(folder.iterdir())


def test_a_greeting_that_never_ends(greeted: Callable[..., config.Node]) -> None:
    node = greeted("bash", _bashrc="yes\n")
    with (
        session.NodeSession(node) as opened,
        pytest.raises(errors.RemoteError, match="printed more than 16 MiB"),
    ):
        opened.run("true", timeout=20, what="a test", reads_only=True)


def test_a_greeting_before_a_shell_that_runs_nothing(greeted: Callable[..., config.Node]) -> None:
    node = greeted("bash", _bashrc="echo This account is closed; exit 3\n")
    with session.NodeSession(node) as opened, pytest.raises(errors.RemoteError) as caught:
        opened.run("true", timeout=20, what="a test", reads_only=True)
    assert "runs no scripts" in caught.value.summary
    assert "This account is closed" in caught.value.detail


def test_a_greeting_that_looks_like_ours(greeted: Callable[..., config.Node]) -> None:
    """The marks of other runs, and of sudo's gate, are words like others."""
    node = greeted("bash", _bashrc=f"echo elysium-runs:; echo {elevate.STARTED} >&2\n")
    with session.NodeSession(node) as opened:
        assert opened.run("echo mine", timeout=20, what="a test").text == "mine\n"

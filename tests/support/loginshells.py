"""The login shells that scripts pass through; `make shells` installs them."""

from __future__ import annotations

import shutil

import pytest

SHELLS = (
    *("sh", "dash", "bash", "zsh", "ksh93", "mksh", "yash", "posh", "sash", "busybox"),
    *("csh", "tcsh", "fish", "xonsh", "elvish", "rc.byron"),
)
"""The interactive login shells of Debian that the archive of its stable suite has."""
RESTRICTED = ("rbash", "rksh93", "nologin", "git-shell", "false")
NO_SHELL = frozenset({"tmux", "screen", "rbash", "rksh93", "mksh-static"})
"""Entries of /etc/shells that are a terminal multiplexer, restricted, or another name."""


def program(shell: str) -> str:
    """Return the path of `shell`, or skip the test."""
    path = shutil.which(shell, path="/usr/bin:/bin:/usr/sbin:/sbin")
    if path is None:
        pytest.skip(f"{shell} is not installed: make shells")
    return path


def argv(shell: str, command: str) -> list[str]:
    """Return how an SSH server runs `command` for a login with `shell`, or skip the test."""
    return [program(shell), *(["sh"] if shell == "busybox" else []), "-c", command]

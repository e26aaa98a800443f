"""Planted secrets are found nowhere: not in output, state, arguments, journals or Git."""

from __future__ import annotations

import pathlib

import pytest

from provision.sandbox import tryout
from tests.support import lab as labs


@pytest.fixture(scope="module")
def canaries(lab: labs.Lab, up: labs.Done) -> dict[str, str]:
    """What must not be seen. The private key is read from the cluster's own Secret."""
    identity = lab.on_node(
        "k3s kubectl get secret -n flux-system flux-system -o jsonpath='{.data.identity}'"
        " | base64 -d | sed -n 3p"
    ).strip()
    assert len(identity) > 20
    return {
        "azure key": tryout.media_key(lab.sandbox),
        "github token": lab.forge.token().reveal(),
        "private key": identity,
        "passphrase": lab.environ["PULUMI_CONFIG_PASSPHRASE"],
    }


def test_nothing_is_printed(lab: labs.Lab, canaries: dict[str, str]) -> None:
    for args in (
        ("-v", "--debug", "up", "--yes"),
        ("--json", "up", "--yes"),
        ("preview", "--diff"),
        ("status",),
        ("output",),
        ("config", "show"),
    ):
        done = lab.elysium(*args).ok()
        for name, canary in canaries.items():
            assert canary not in done.stdout + done.stderr, f"{name} in elysium {args}"


def test_nothing_is_in_the_users_folder(lab: labs.Lab, canaries: dict[str, str]) -> None:
    home = pathlib.Path(lab.environ["HOME"])
    searched = 0
    for root in (lab.folder, home):
        for path in root.rglob("*"):
            if path.is_file():
                searched += 1
                content = path.read_bytes()
                for name, canary in canaries.items():
                    assert canary.encode() not in content, f"{name} in {path}"
    assert searched > 5


def test_nothing_is_in_the_journal_or_a_command_line(
    lab: labs.Lab, canaries: dict[str, str]
) -> None:
    seen = lab.on_node("journalctl --no-pager -o cat; cat /proc/[0-9]*/cmdline | tr '\\0' ' '")
    assert "k3s" in seen
    for name, canary in canaries.items():
        assert canary not in seen, name


def test_nothing_is_in_git(lab: labs.Lab, canaries: dict[str, str]) -> None:
    history = lab.forge.git("log", "--all", "-p")
    assert "gotk-sync.yaml" in history
    for name, canary in canaries.items():
        assert canary not in history, name

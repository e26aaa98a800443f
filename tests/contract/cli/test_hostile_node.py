"""A node that answers whatever it likes, judged from outside: by memory, time and the terminal."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.contract.host import conftest as hosts
from tests.support import hostile, restores, watched
from tests.support.hostile import reply

pytestmark = pytest.mark.timeout(600)

MOST = 512 * 1024**2
ESCAPES = r"good\r\033[2K\033]0;title\007\2331A evil\n"
ANSWERS = {
    "endless output": "cat /dev/zero",
    "endless lines": "yes elysium",
    "endless errors": "cat /dev/zero >&2",
    "control characters": f"printf '{ESCAPES}'; printf '{ESCAPES}' >&2; exit 3",
    "control characters in an error": "read -r brace; IFS= read -r out; IFS= read -r error; "
    f'eval "$out"; eval "$error"; printf \'{ESCAPES}\' >&2; exit 3',
    "nothing": "exit 0",
    "noise": "head -c 100000 /dev/urandom",
}


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Callable[[str], tuple[Path, dict[str, str]]]]:
    """Make a stack whose node answers every command with a script."""
    servers: list[hosts.Sshd] = []
    with hostile.serve(lambda method, path: reply({"message": "Not Found"}, 404)) as forge:

        def made(script: str) -> tuple[Path, dict[str, str]]:
            answer = tmp_path / "answer"
            answer.write_text(f"#!/bin/sh\n{script}\n")
            answer.chmod(0o755)
            sshd = hosts.start_sshd(tmp_path / "sshd", extra=f"ForceCommand {answer}\n")
            servers.append(sshd)
            return stack(tmp_path / "lab", sshd, forge.url), environment(tmp_path / "home")

        yield made
        for server in servers:
            os.killpg(server.process.pid, signal.SIGTERM)
            server.process.wait(10)


def environment(home: Path) -> dict[str, str]:
    home.mkdir()
    phrase = restores.PASSPHRASE.reveal()
    return watched.environment(home, GITHUB_TOKEN="ghp_canary", PULUMI_CONFIG_PASSPHRASE=phrase)


def stack(folder: Path, sshd: hosts.Sshd, forge: str) -> Path:
    folder.mkdir()
    (folder / "Pulumi.yaml").write_text(restores.PROJECT)
    (folder / "Pulumi.kyrion.yaml").write_text(
        f"encryptionsalt: {restores.vault().salt}\n"
        "config:\n"
        f"  elysium:nodes: [{{name: kyrion, host: 127.0.0.1, port: {sshd.port}, user: root,"
        f" hostKey: '{sshd.host_keys['ssh-ed25519']}', identityFile: {sshd.key}, agent: false}}]\n"
        f"  elysium:github: {{owner: me, repository: homelab, baseUrl: '{forge}',"
        " allowHttp: true}\n"
    )
    return folder


@pytest.mark.parametrize("kind", ANSWERS)
def test_what_a_node_prints(make: Callable[[str], tuple[Path, dict[str, str]]], kind: str) -> None:
    folder, env = make(ANSWERS[kind])
    seen = watched.peak(["preview"], folder, env)
    assert "127.0.0.1" in seen.said, seen.said[-2000:]
    assert seen.code not in (0, 1), seen.said[-2000:]
    assert "Traceback" not in seen.said and "unforeseen" not in seen.said, seen.said[-2000:]
    assert seen.peak < MOST, f"{seen.peak >> 20} MiB"
    shown = watched.show(["preview"], folder, env)
    assert watched.controls(shown.said) == []
    if kind == "control characters in an error":
        assert "\\x1b" in shown.said, shown.said

"""One client configuration, with two jumps, leads ssh and elysium to the same node."""

from __future__ import annotations

import pathlib
import shutil
import subprocess
from collections.abc import Callable
from typing import Any

import pytest

from provision import config, errors
from provision.host import session

SSH = shutil.which("ssh")


@pytest.mark.skipif(SSH is None, reason="needs the ssh client")
def test_ssh_and_elysium_take_the_same_way(make_sshd: Callable[..., Any], tmp_path: pathlib.Path):
    first, second, node = make_sshd(), make_sshd(), make_sshd()
    book, path = tmp_path / "known", tmp_path / "config"
    servers = {"first": first, "second": second, "node": node}
    book.write_text(
        "".join(f"[127.0.0.1]:{s.port} {s.host_keys['ssh-ed25519']}\n" for s in servers.values())
    )
    subprocess.run(["ssh-keygen", "-q", "-H", "-f", book], check=True, capture_output=True)
    path.write_text(
        "".join(
            f"Host {name}\n HostName 127.0.0.1\n Port {s.port}\n IdentityFile {s.key}\n"
            for name, s in servers.items()
        )
        + f"Host node\n ProxyJump first,second\nHost *\n User root\n UserKnownHostsFile {book}\n"
        " IdentitiesOnly yes\n IdentityAgent none\n BatchMode yes\n"
    )
    script = "echo $SSH_CONNECTION"
    done = subprocess.run(
        [str(SSH), "-F", path, "node", script],
        capture_output=True, text=True, timeout=60, check=True, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    assert done.stdout.split()[3] == str(node.port)
    login = {"name": "kyrion", "host": "node", "sshConfig": str(path)}
    with session.NodeSession(config.Node.model_validate(login)) as opened:
        # Its host key, pinned for this port alone, tells the server: no environment is inherited.
        assert opened.run("echo on", timeout=30, what="a test", reads_only=True).text == "on\n"
        assert opened.transport.login.way.count("through") == 2
    # A changed key of a host in between is refused, and names this host.
    lines = book.read_text().splitlines()
    other = f"{lines[0].split()[0]} {node.host_keys['ssh-ed25519']}"
    book.write_text("\n".join((other, *lines[1:])) + "\n")
    with (
        session.NodeSession(config.Node.model_validate(login)) as opened,
        pytest.raises(errors.HostKeyError, match="host key of first"),
    ):
        opened.run("true", timeout=30, what="a test", reads_only=True)

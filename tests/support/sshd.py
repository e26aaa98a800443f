"""A throwaway sshd on loopback: the real server the transport is held against."""

from __future__ import annotations

import os
import pathlib
import shutil
import socket
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from provision import config
from provision.host import lock

_OWN_LOCK = 'mkdir -p /run/elysium && mount -t tmpfs tmpfs /run/elysium && exec "$@"'
_ALONE = ("unshare", "--mount", "sh", "-c", _OWN_LOCK, "sh")
"""Each server is a node of its own: what tests beside it do to a lock does not reach its lock."""
SSHD = shutil.which("sshd", path="/usr/sbin:/usr/bin:/sbin")


@dataclass
class Sshd:
    """A running sshd. `host_keys` maps key types to ``type base64`` lines."""

    folder: pathlib.Path
    port: int
    process: subprocess.Popen[bytes]
    key: pathlib.Path
    host_keys: dict[str, str] = field(default_factory=dict)

    @property
    def lock(self) -> pathlib.Path:
        """The file of the node's lock, as this process reaches it."""
        return pathlib.Path(f"/proc/{self.process.pid}/root{lock.PATH}")

    def holders(self) -> set[int]:
        """Return the processes of this node that have its lock's file open."""
        own = os.stat(self.lock)  # noqa: PTH116 - the device and inode tell it from other nodes'
        found: set[int] = set()
        for entry in pathlib.Path("/proc").glob("[0-9]*/fd/*"):
            try:
                if os.path.samestat(entry.stat(), own):
                    found.add(int(entry.parts[2]))
            except OSError:
                continue
        return found

    def node(self, **changes: object) -> config.Node:
        """A node configuration that logs in to it as root with the accepted key."""
        values: dict[str, object] = {
            "name": "kyrion",
            "host": "127.0.0.1",
            "port": self.port,
            "user": "root",
            "host_key": self.host_keys["ssh-ed25519"],
            "identity_file": str(self.key),
            "agent": False,
        }
        return config.Node.model_validate(values | changes)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def keygen(path: pathlib.Path, *options: str) -> str:
    subprocess.run(
        ["ssh-keygen", "-q", "-N", "", "-f", str(path), *options], check=True, capture_output=True
    )
    kind, data = path.with_suffix(path.suffix + ".pub").read_text().split()[:2]
    return f"{kind} {data}"


def start_sshd(
    folder: pathlib.Path,
    *,
    extra: str = "",
    wrap: tuple[str, ...] = (),
    prepare: Callable[[], object] = lambda: None,
) -> Sshd:
    """Start a server; `prepare` runs when its keys are made, before it starts."""
    if SSHD is None or os.geteuid() != 0:
        pytest.skip("needs /usr/sbin/sshd and root")
    folder.mkdir(mode=0o755, exist_ok=True)
    pathlib.Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
    hosts = {
        "ssh-ed25519": keygen(folder / "host_ed25519", "-t", "ed25519"),
        "ecdsa-sha2-nistp256": keygen(folder / "host_ecdsa", "-t", "ecdsa"),
        "ssh-rsa": keygen(folder / "host_rsa", "-t", "rsa", "-b", "2048"),
    }
    prepare()
    public = keygen(folder / "user", "-t", "ed25519")
    (folder / "authorized").write_text(public + "\n")
    port = free_port()
    (folder / "sshd_config").write_text(
        f"Port {port}\nListenAddress 127.0.0.1\nPidFile none\nUsePAM no\n"
        + "".join(f"HostKey {folder}/host_{kind}\n" for kind in ("ed25519", "ecdsa", "rsa"))
        + f"AuthorizedKeysFile {folder}/authorized\nPermitRootLogin yes\nStrictModes no\n"
        f"LogLevel ERROR\n{extra}"
    )
    log = (folder / "log").open("wb")
    process = subprocess.Popen(
        [*_ALONE, *wrap, SSHD, "-D", "-e", "-f", str(folder / "sshd_config")],
        stdout=log,
        stderr=log,
        start_new_session=True,
    )
    log.close()
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            break
        except OSError:
            if process.poll() is not None:
                raise RuntimeError((folder / "log").read_text()) from None
            time.sleep(0.02)
    return Sshd(folder=folder, port=port, process=process, key=folder / "user", host_keys=hosts)

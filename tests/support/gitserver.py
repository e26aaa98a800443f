"""A real sshd on loopback in front of real bare repositories.

Keys are added with or without the right to push. A key without it gets what
a code host says to such a push: a sentence on standard error and status 1.
"""

from __future__ import annotations

import dataclasses
import os
import pathlib
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

SSHD = shutil.which("sshd", path="/usr/sbin:/usr/local/sbin:" + os.environ.get("PATH", ""))
MISSING = "" if SSHD and os.geteuid() == 0 else "needs root and openssh-server's sshd"

_GATE = """#!/bin/sh
# $1 is the key's mode.
case "$SSH_ORIGINAL_COMMAND" in
  git-receive-pack*)
    if [ "$1" = ro ]; then
      echo "ERROR: The key you are authenticating with has been marked as read only." >&2
      exit 1
    fi ;;
  git-upload-pack*) ;;
  *) echo "unexpected: $SSH_ORIGINAL_COMMAND" >&2; exit 1 ;;
esac
echo "$SSH_ORIGINAL_COMMAND" >> {log}
exec sh -c "$SSH_ORIGINAL_COMMAND"
"""


def private_text(key: object, form: str = "openssh") -> str:
    """Serialise a cryptography private key as ``openssh``, ``pkcs8`` or ``pkcs1`` PEM."""
    formats = {
        "openssh": serialization.PrivateFormat.OpenSSH,
        "pkcs8": serialization.PrivateFormat.PKCS8,
        "pkcs1": serialization.PrivateFormat.TraditionalOpenSSL,
    }
    return key.private_bytes(  # type: ignore[attr-defined]
        serialization.Encoding.PEM, formats[form], serialization.NoEncryption()
    ).decode()


def public_line(key: object) -> str:
    """Return the OpenSSH public key line of a cryptography private key."""
    return (
        key.public_key()  # type: ignore[attr-defined]
        .public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
        .decode()
    )


def new_key(kind: str = "ed25519") -> object:
    if kind == "rsa":
        return rsa.generate_private_key(65537, 2048)
    if kind == "ecdsa-p384":
        return ec.generate_private_key(ec.SECP384R1())
    return ed25519.Ed25519PrivateKey.generate()


@dataclasses.dataclass
class GitServer:
    root: pathlib.Path
    port: int
    host_key: str

    @property
    def known_hosts(self) -> str:
        return f"[127.0.0.1]:{self.port} {self.host_key}\n"

    @property
    def repository(self) -> pathlib.Path:
        return self.root / "repo.git"

    @property
    def url(self) -> str:
        return self.url_of(self.repository)

    @property
    def commands(self) -> list[str]:
        log = self.root / "commands"
        return log.read_text().splitlines() if log.exists() else []

    def url_of(self, path: pathlib.Path) -> str:
        return f"ssh://root@127.0.0.1:{self.port}{path}"

    def authorize(self, *keys: tuple[str, str]) -> None:
        """Let exactly these (public key line, ``rw`` or ``ro``) in."""
        lines = [f'command="{self.root}/gate {mode}",restrict {line}\n' for line, mode in keys]
        (self.root / "authorized_keys").write_text("".join(lines))

    def git(self, *arguments: str, data: str = "") -> str:
        environment = {
            **os.environ,
            "GIT_AUTHOR_NAME": "t",
            "GIT_AUTHOR_EMAIL": "t@example.com",
            "GIT_COMMITTER_NAME": "t",
            "GIT_COMMITTER_EMAIL": "t@example.com",
        }
        done = subprocess.run(
            ["git", "-C", str(self.repository), *arguments],
            input=data,
            capture_output=True,
            text=True,
            check=True,
            env=environment,
        )
        return done.stdout.strip()

    def commit_file(self, path: str, content: str, branch: str = "main") -> str:
        blob = self.git("hash-object", "-w", "--stdin", data=content)
        tree = self.git("mktree", data=f"100644 blob {blob}\t{path}\n")
        commit = self.git("commit-tree", tree, "-m", "a commit")
        self.git("update-ref", f"refs/heads/{branch}", commit)
        return commit


def serve(root: pathlib.Path, host_key_kind: str = "ed25519") -> Iterator[GitServer]:
    """Yield a running server; its process is ended afterwards."""
    if not SSHD:
        raise RuntimeError(MISSING)
    root.chmod(0o755)
    host_key = new_key(host_key_kind)
    key_file = root / "host_key"
    key_file.write_text(private_text(host_key))
    key_file.chmod(0o600)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server = GitServer(root=root, port=port, host_key=public_line(host_key))
    gate = root / "gate"
    gate.write_text(_GATE.format(log=root / "commands"))
    gate.chmod(0o755)
    server.authorize()
    subprocess.run(["git", "init", "-q", "--bare", str(server.repository)], check=True)
    server.git("symbolic-ref", "HEAD", "refs/heads/main")
    pathlib.Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
    (root / "config").write_text(
        f"""ListenAddress 127.0.0.1:{port}
HostKey {key_file}
PidFile none
AuthorizedKeysFile {root}/authorized_keys
StrictModes no
PermitRootLogin yes
PasswordAuthentication no
KbdInteractiveAuthentication no
UsePAM no
AllowUsers root
MaxStartups 100
"""
    )
    with (root / "sshd.log").open("wb") as log:
        process = subprocess.Popen(
            [SSHD, "-D", "-e", "-f", str(root / "config")], stderr=log, stdin=subprocess.DEVNULL
        )
    try:
        _await_banner(process, port, root / "sshd.log")
        yield server
    finally:
        process.terminate()
        process.wait(timeout=10)


def _await_banner(process: subprocess.Popen[bytes], port: int, log: pathlib.Path) -> None:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=1) as sock:
                if sock.recv(4) == b"SSH-":
                    return
        except OSError:
            time.sleep(0.02)
    sys.stderr.write(log.read_text())
    raise RuntimeError("sshd did not start")

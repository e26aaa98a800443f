"""Keys and signatures of the real ``ssh-keygen``, and a real ``ssh-agent``."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

NAMESPACE = "elysium-backup"


def make(path: Path, kind: str = "ed25519", bits: str = "", passphrase: str = "") -> str:
    """Make a pair of keys at `path`; return the public key without its comment."""
    words = ["ssh-keygen", "-q", "-t", kind, *(("-b", bits) if bits else ())]
    words += ["-N", passphrase, "-C", "me@home", "-f", str(path)]
    subprocess.run(words, check=True, stdin=subprocess.DEVNULL)
    return " ".join(public(path).read_text().split()[:2])


def public(path: Path) -> Path:
    """Return where the public key of the private one at `path` is."""
    return path.with_name(f"{path.name}.pub")


def fingerprint(path: Path) -> str:
    """Return the fingerprint of the key at `path`."""
    done = subprocess.run(
        ["ssh-keygen", "-lf", str(path)], check=True, capture_output=True, text=True
    )
    return done.stdout.split()[1]


def sign(key: Path, content: bytes, *options: str, namespace: str = NAMESPACE) -> bytes:
    """Return the signature of `content`."""
    words = ["ssh-keygen", "-Y", "sign", "-f", str(key), "-n", namespace, *options]
    return subprocess.run(words, check=True, input=content, capture_output=True).stdout


def verifies(line: str, content: bytes, signature: bytes, folder: Path) -> bool:
    """Return whether ``ssh-keygen -Y verify`` accepts the signature by the public key `line`."""
    allowed, file = folder / "allowed_signers", folder / "signature"
    allowed.write_text(f"me@home {line}\n")
    file.write_bytes(signature)
    words = ["ssh-keygen", "-Y", "verify", "-f", str(allowed), "-I", "me@home", "-n", NAMESPACE]
    done = subprocess.run(
        [*words, "-s", str(file)], input=content, capture_output=True, check=False
    )
    return done.returncode == 0


@contextlib.contextmanager
def agent(*keys: Path) -> Iterator[str]:
    """Start an agent with the private `keys`; give its socket."""
    said = subprocess.run(["ssh-agent", "-s"], check=True, capture_output=True, text=True).stdout
    socket = re.findall(r"SSH_AUTH_SOCK=([^;]+);", said)[0]
    try:
        environ = {**os.environ, "SSH_AUTH_SOCK": socket}
        for key in keys:
            subprocess.run(["ssh-add", "-q", str(key)], check=True, env=environ)
        yield socket
    finally:
        os.kill(int(re.findall(r"SSH_AGENT_PID=(\d+);", said)[0]), signal.SIGTERM)

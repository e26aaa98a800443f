"""Key files and agents: what there is to log in with, before a server is asked."""

from __future__ import annotations

import base64
import binascii
import contextlib
import io
import socket
from collections.abc import Generator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from provision.host import certificates, handshake
from provision.secret import Secret

_AGENT_TIME = 10.0
_MAX_BYTES = 64 * 1024
_MAGIC = b"openssh-key-v1\0"

State = Literal["absent", "unreadable", "public", "locked", "broken", "usable"]


@dataclass(frozen=True, kw_only=True)
class KeyFile:
    """One key file. `blob` is the public half in wire form, empty where it is not known.

    `certificate` is the one for it in the file beside it, ``<path>-cert.pub``. `state`:
    "public" holds no private key, "locked" needs a passphrase that is not known, "broken" is no
    key, or the passphrase does not open it.
    """

    path: Path
    state: State
    blob: bytes = b""
    key: Any = None
    reason: str = ""
    certificate: certificates.Certificate | None = None


def read(path: Path, passphrase: Secret | None) -> KeyFile:
    """Return what `path` holds. A public key alone may stand for one in an agent."""
    file = _read(path, passphrase)
    plain = str(path).removesuffix(".pub") if file.state == "public" else str(path)
    certificate = certificates.read(Path(f"{plain}-cert.pub"))
    if certificate is None or file.blob not in (b"", certificate.key.blob):
        return file
    if file.state == "absent":
        return file
    return replace(file, certificate=certificate, blob=file.blob or certificate.key.blob)


def certified(key: Any, certificate: certificates.Certificate) -> Any:
    """Return `key`, which signs, as one that shows `certificate` instead of itself."""
    paramiko = handshake.library()
    made: Any = object.__new__(type(key))  # an agent's key cannot be copied by `copy`
    made.__dict__.update(vars(key))
    made.public_blob = paramiko.pkey.PublicBlob(certificate.type, certificate.blob)
    return made


def _read(path: Path, passphrase: Secret | None) -> KeyFile:
    try:
        with path.open("rb") as opened:
            content = opened.read(_MAX_BYTES)
    except FileNotFoundError:
        blob = _public_beside(path)
        return KeyFile(path=path, state="public" if blob else "absent", blob=blob)
    except OSError as error:
        return KeyFile(path=path, state="unreadable", reason=error.strerror or str(error))
    if blob := _public_line(content):
        return KeyFile(path=path, state="public", blob=blob)
    blob = _public_half(content) or _public_beside(path)
    paramiko = handshake.library()
    try:
        opener = passphrase.reveal().encode() if passphrase else None
        key = _private(paramiko, path, content, opener)
    except (OSError, TypeError, ValueError, paramiko.SSHException) as error:
        # The libraries' own words may quote the file, so they are not passed on.
        locked = passphrase is None and isinstance(error, TypeError)
        return KeyFile(path=path, state="locked" if locked else "broken", blob=blob)
    return KeyFile(path=path, state="usable", blob=key.asbytes(), key=key)


def _private(paramiko: Any, path: Path, content: bytes, passphrase: bytes | None) -> Any:
    """Return the private key in `content`, without a certificate.

    paramiko's `PKey.from_path` also loads the file beside it, and then shows the certificate
    alone: one that has expired would hide a key that is let in.
    """
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

    try:
        loaded: Any = serialization.load_ssh_private_key(content, passphrase)
    except ValueError:
        loaded = serialization.load_pem_private_key(content, passphrase)
    classes = {
        rsa.RSAPrivateKey: paramiko.RSAKey,
        ed25519.Ed25519PrivateKey: paramiko.Ed25519Key,
        ec.EllipticCurvePrivateKey: paramiko.ECDSAKey,
    }
    for kind, made in classes.items():
        if isinstance(loaded, kind):
            text = io.StringIO(content.decode("utf-8"))
            return made.from_private_key(text, passphrase)
    raise ValueError(f"{path} holds a key of a type that is not supported")


@contextlib.contextmanager
def agent_keys(path: str) -> Generator[list[Any]]:
    """Yield the keys of the agent at the socket `path`; none where it does not answer.

    Leaving the block closes the connection, and the keys sign no more.
    """
    if not path:
        yield []
        return
    handshake.library()
    from paramiko import agent, ssh_exception

    class _Agent(agent.AgentSSH):
        def __init__(self, opened: socket.socket) -> None:
            super().__init__()
            self._connect(opened)  # pyright: ignore[reportAttributeAccessIssue]

    keys: list[Any] = []
    with contextlib.closing(socket.socket(socket.AF_UNIX)) as opened:
        opened.settimeout(_AGENT_TIME)
        with contextlib.suppress(OSError, ssh_exception.SSHException, ValueError, EOFError):
            opened.connect(path)
            keys = list(_Agent(opened).get_keys())
            for key in keys:
                if key.get_name().endswith(certificates.SUFFIX):
                    # Else paramiko shows the plain key under the certificate's name.
                    key.inner_key = None
        yield keys


def _public_beside(path: Path) -> bytes:
    try:
        with Path(f"{path}.pub").open("rb") as opened:
            return _public_line(opened.read(_MAX_BYTES))
    except OSError:
        return b""


def _public_line(content: bytes) -> bytes:
    """Return the key of a public key's line, or nothing."""
    words = content.split(None, 2)[:2]
    if len(words) < 2 or not words[0].startswith((b"ssh-", b"ecdsa-", b"sk-")):
        return b""
    try:
        return base64.b64decode(words[1], validate=True)
    except (binascii.Error, ValueError):
        return b""


def _public_half(content: bytes) -> bytes:
    """Return the public half that an OpenSSH private key has in clear, or nothing.

    Format: PROTOCOL.key: magic, cipher, KDF, its options, the number of keys, the public key.
    """
    lines = content.split(b"\n")
    try:
        body = base64.b64decode(b"".join(line for line in lines if line[:1] != b"-"))
    except (binascii.Error, ValueError):
        return b""
    if not body.startswith(_MAGIC):
        return b""
    position = len(_MAGIC)
    for skipped in (True, True, True, False):
        if not skipped:
            position += 4  # how many keys
        size = int.from_bytes(body[position : position + 4], "big")
        field = body[position + 4 : position + 4 + size]
        position += 4 + size
    return field

"""Private keys and known_hosts lines, read for the git conversations."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

from provision import errors, hostkeys
from provision.secret import Secret

if TYPE_CHECKING:
    import paramiko


def pinned(known_hosts: str, name: str) -> dict[bytes, str]:
    """Return the keys pinned for `name` in wire form, each with its type.

    `name` is as in a known_hosts line: a host, or ``[host]:port``.

    Hashed host names, wildcards and @revoked are understood; lines that are no
    host key are passed over.
    """
    trust = hostkeys.trusted(hostkeys.entries(known_hosts), name)
    keys = (hostkeys.HostKey(type=pin.type, blob=pin.blob) for pin in trust.pins)
    return {key.blob: key.type for key in keys if trust.accepts(key)}


def load(private_key: Secret) -> paramiko.PKey:
    """Return the key of an OpenSSH, PKCS#8 or PKCS#1 text.

    Raises `errors.RemoteError`, without a word of the text, when it is none.
    """
    import paramiko
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

    text = private_key.reveal().strip() + "\n"
    try:
        if "OPENSSH PRIVATE KEY" in text:
            loaded = serialization.load_ssh_private_key(text.encode(), password=None)
        else:
            loaded = serialization.load_pem_private_key(text.encode(), password=None)
        kinds: dict[type, type[paramiko.PKey]] = {
            ed25519.Ed25519PrivateKey: paramiko.Ed25519Key,
            ec.EllipticCurvePrivateKey: paramiko.ECDSAKey,
            rsa.RSAPrivateKey: paramiko.RSAKey,
        }
        kind = next(paramiko_kind for of, paramiko_kind in kinds.items() if isinstance(loaded, of))
        as_openssh = loaded.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.OpenSSH,
            serialization.NoEncryption(),
        )
        return kind.from_private_key(io.StringIO(as_openssh.decode()))
    except (ValueError, TypeError, StopIteration, paramiko.SSHException):
        # The cause is left out: it may quote the key.
        raise errors.RemoteError(
            "the deploy key's private half cannot be read",
            host="",
            hint="it must be an Ed25519, ECDSA or RSA key without a passphrase",
        ) from None

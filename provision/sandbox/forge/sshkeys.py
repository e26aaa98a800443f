"""OpenSSH public keys as text: checking, normalising, fingerprints (RFC 4253, section 6.6)."""

from __future__ import annotations

import base64
import binascii
import hashlib
import struct

ALGORITHMS = frozenset(
    {
        "ssh-ed25519",
        "ssh-rsa",
        "ecdsa-sha2-nistp256",
        "ecdsa-sha2-nistp384",
        "ecdsa-sha2-nistp521",
        "sk-ssh-ed25519@openssh.com",
        "sk-ecdsa-sha2-nistp256@openssh.com",
    }
)


def fingerprint(key: str) -> str:
    """Return ``SHA256:…`` of ``algorithm base64 [comment]``, as ``ssh-keygen -l`` prints it."""
    blob = base64.b64decode(key.split()[1])
    return "SHA256:" + base64.b64encode(hashlib.sha256(blob).digest()).decode().rstrip("=")


def normalise(text: str) -> tuple[str, str]:
    """Return (``algorithm base64``, fingerprint) of a public key with or without a comment.

    Raises ValueError for anything else, options in front included.
    """
    parts = text.strip().split(None, 2)
    if len(parts) < 2 or "\n" in text.strip() or parts[0] not in ALGORITHMS:
        raise ValueError("not an OpenSSH public key")
    try:
        blob = base64.b64decode(parts[1], validate=True)
        (length,) = struct.unpack(">I", blob[:4])
    except (binascii.Error, struct.error) as error:
        raise ValueError("not an OpenSSH public key") from error
    if blob[4 : 4 + length] != parts[0].encode() or len(blob) < 4 + length + 8:
        raise ValueError("the key's blob is of another algorithm")
    key = f"{parts[0]} {parts[1]}"
    return key, fingerprint(key)

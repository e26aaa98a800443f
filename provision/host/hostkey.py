"""Host keys: what is pinned, what a server shows, and whether they agree.

Fingerprints are written as OpenSSH does: ``SHA256:`` and the unpadded base64
of the sha256 of the key's wire form (RFC 4253, section 6.6).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from dataclasses import dataclass

_FINGERPRINT = re.compile(r"^SHA256:[A-Za-z0-9+/]{43}$")


@dataclass(frozen=True, kw_only=True)
class HostKey:
    """A public key as a server shows it. `line` is ``<type> <base64>``."""

    type: str
    blob: bytes

    @property
    def line(self) -> str:
        """The key as one would pin it."""
        return f"{self.type} {base64.b64encode(self.blob).decode()}"

    @property
    def fingerprint(self) -> str:
        """``SHA256:…``."""
        return fingerprint(self.blob)


@dataclass(frozen=True, kw_only=True)
class Pin:
    """A pinned host key: the whole key, or only its fingerprint (then `type` is empty)."""

    type: str
    blob: bytes
    fingerprint: str

    def accepts(self, shown: HostKey) -> bool:
        """Return whether `shown` is the pinned key."""
        if self.blob:
            return self.blob == shown.blob
        return self.fingerprint == shown.fingerprint


def fingerprint(blob: bytes) -> str:
    """Return the OpenSSH sha256 fingerprint of a key in wire form."""
    digest = base64.b64encode(hashlib.sha256(blob).digest()).decode()
    return "SHA256:" + digest.rstrip("=")


def parse_pin(text: str) -> Pin:
    """Read a pin: ``ssh-ed25519 AAAA… [comment]``, or ``SHA256:…``.

    A line of a known_hosts file, with its host names in front, is read too.
    Raises ValueError, saying what is wrong.
    """
    text = text.strip()
    if _FINGERPRINT.match(text.rstrip("=")):
        return Pin(type="", blob=b"", fingerprint=text.rstrip("="))
    words = text.split()
    for position, word in enumerate(words[:-1]):
        if not word.startswith(("ssh-", "ecdsa-", "sk-")):
            continue
        try:
            blob = base64.b64decode(words[position + 1], validate=True)
        except (binascii.Error, ValueError):
            break
        if blob[4 : 4 + len(word)] != word.encode():
            raise ValueError(f"the key's data is not of the type {word}")
        return Pin(type=word, blob=blob, fingerprint=fingerprint(blob))
    raise ValueError("a host key is 'ssh-ed25519 AAAA…' or a 'SHA256:…' fingerprint")

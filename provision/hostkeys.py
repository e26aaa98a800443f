"""Host keys as people have them, read in one place: pins, known_hosts lines, fingerprints.

The forms are those of sshd(8), section SSH_KNOWN_HOSTS FILE FORMAT, of
``ssh-keyscan`` and of ``ssh-keygen -lf``. Fingerprints are written as OpenSSH
does: ``SHA256:`` and the unpadded base64 of the sha256 of the key's wire form
(RFC 4253, section 6.6).
"""

from __future__ import annotations

import base64
import binascii
import fnmatch
import hashlib
import hmac
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

_FINGERPRINT = re.compile(r"SHA256:([A-Za-z0-9+/]{43})=?")
_LISTED = re.compile(r"(?P<bits>\d+) (?P<print>\S+)(?: .*)? \((?P<type>[A-Z0-9-]+)\)")
_TYPE = re.compile(r"(ssh|ecdsa|sk-ssh|sk-ecdsa)-[a-z0-9@.-]+")
_NAMED = {"ED25519": "ssh-ed25519", "RSA": "ssh-rsa"}
_CURVES = {"256": "ecdsa-sha2-nistp256", "384": "ecdsa-sha2-nistp384", "521": "ecdsa-sha2-nistp521"}

EXPECTED = (
    "a host key is 'ssh-ed25519 AAAA…', a 'SHA256:…' fingerprint, a line of known_hosts"
    " or a line that ssh-keygen -lf prints"
)

Marker = Literal["", "revoked", "cert-authority"]


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
    """A pinned host key: the whole key, or only its fingerprint (then `blob` is empty).

    `type` is empty where the pin does not tell it.
    """

    type: str
    blob: bytes
    fingerprint: str

    def accepts(self, shown: HostKey) -> bool:
        """Return whether `shown` is the pinned key."""
        if self.blob:
            return self.blob == shown.blob
        return self.fingerprint == shown.fingerprint

    @property
    def line(self) -> str:
        """``<type> <base64>``; empty for a fingerprint alone."""
        return f"{self.type} {base64.b64encode(self.blob).decode()}" if self.blob else ""


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One line of a known_hosts file: for whom it is, the key, and whether it is marked."""

    names: str
    pin: Pin
    marker: Marker = ""
    where: str = ""

    def names_host(self, name: str) -> bool:
        """Return whether the line is for `name`: a host, or ``[host]:port``."""
        name = name.lower()
        if self.names.startswith("|"):
            return _hashed(self.names, name)
        found = False
        for pattern in self.names.lower().split(","):
            negated = pattern.startswith("!")
            # Brackets stand for themselves here: only * and ? are special.
            escaped = pattern.removeprefix("!").replace("[", "[[]")
            if fnmatch.fnmatchcase(name, escaped):
                if negated:
                    return False
                found = True
        return found


@dataclass(frozen=True, kw_only=True)
class Trust:
    """The host keys that one server may show, and those that it must not."""

    pins: tuple[Pin, ...] = ()
    revoked: tuple[Entry, ...] = ()
    authorities: tuple[Entry, ...] = ()
    source: str = ""
    """Where the pins are from: a key of the configuration, or files."""

    @property
    def types(self) -> tuple[str, ...]:
        """The types of the pinned keys, as far as they are known."""
        return tuple(dict.fromkeys(pin.type for pin in self.pins if pin.type))

    @property
    def fingerprints(self) -> str:
        """The pinned keys, as they are shown."""
        return ", ".join(dict.fromkeys(pin.fingerprint for pin in self.pins))

    def accepts(self, shown: HostKey) -> bool:
        """Return whether `shown` is pinned and not revoked."""
        return self.revoking(shown) is None and any(pin.accepts(shown) for pin in self.pins)

    def revoking(self, shown: HostKey) -> Entry | None:
        """Return the line that revokes `shown`, if one does."""
        return next((entry for entry in self.revoked if entry.pin.accepts(shown)), None)


def fingerprint(blob: bytes) -> str:
    """Return the OpenSSH sha256 fingerprint of a key in wire form."""
    digest = base64.b64encode(hashlib.sha256(blob).digest()).decode()
    return "SHA256:" + digest.rstrip("=")


def parse_pins(text: str) -> tuple[Pin, ...]:
    """Read the pins in `text`, one a line; empty lines and comments are passed over.

    Each line is a key (``ssh-ed25519 AAAA… [comment]``), a line of known_hosts, a
    fingerprint, or a line of ``ssh-keygen -lf``. Raises ValueError, saying what
    is wrong, also for a line that is no pin.
    """
    lines = [line.strip() for line in text.splitlines()]
    pins = tuple(_pin(line) for line in lines if line and not line.startswith("#"))
    if not pins:
        raise ValueError(EXPECTED)
    return pins


def parse_pin(text: str) -> Pin:
    """Read one pin; see `parse_pins`. Raises ValueError, also for several."""
    pin, *more = parse_pins(text)
    if more:
        raise ValueError("one host key is expected, not several lines")
    return pin


def entries(text: str, source: str = "") -> Iterator[Entry]:
    """Yield the lines of a known_hosts file; what is no host key is passed over."""
    for number, line in enumerate(text.splitlines(), 1):
        try:
            entry = parse_entry(line, f"{source}:{number}" if source else "")
        except ValueError:
            continue
        if entry is not None:
            yield entry


def parse_entry(line: str, where: str = "") -> Entry | None:
    """Read a line of known_hosts; None for an empty one and a comment.

    Raises ValueError, saying what is wrong.
    """
    words = line.split()
    if not words or words[0].startswith("#"):
        return None
    marker: Marker = ""
    if words[0].startswith("@"):
        if words[0] == "@revoked":
            marker = "revoked"
        elif words[0] == "@cert-authority":
            marker = "cert-authority"
        else:
            raise ValueError(f"the marker {words[0]} is not known")
        words = words[1:]
    if len(words) < 3:
        raise ValueError("names, a type and a key are expected")
    return Entry(names=words[0], pin=_key(words[1], words[2]), marker=marker, where=where)


def trusted(found: Iterable[Entry], *names: str, source: str = "") -> Trust:
    """Return what `found` says of the first of `names` that has a pin."""
    found = tuple(found)
    trust = Trust(source=source)
    for name in names:
        mine = [entry for entry in found if entry.names_host(name)]
        trust = Trust(
            pins=tuple(dict.fromkeys(entry.pin for entry in mine if not entry.marker)),
            revoked=(*trust.revoked, *(e for e in mine if e.marker == "revoked")),
            authorities=(*trust.authorities, *(e for e in mine if e.marker == "cert-authority")),
            source=source,
        )
        if trust.pins:
            break
    return trust


def name_of(host: str, port: int) -> str:
    """Return how a server is named in a known_hosts line."""
    return host if port == 22 else f"[{host}]:{port}"


def _pin(line: str) -> Pin:
    plain = _FINGERPRINT.fullmatch(line)
    if plain:
        return Pin(type="", blob=b"", fingerprint=f"SHA256:{plain[1]}")
    listed = _LISTED.fullmatch(line)
    if listed:
        printed = _FINGERPRINT.fullmatch(listed["print"])
        if printed is None:
            raise ValueError("the fingerprint is not SHA256: ssh-keygen -E sha256 -lf prints one")
        kind = _NAMED.get(listed["type"], "")
        if listed["type"] == "ECDSA":
            kind = _CURVES.get(listed["bits"], "")
        return Pin(type=kind, blob=b"", fingerprint=f"SHA256:{printed[1]}")
    words = line.split()
    if len(words) > 1 and _TYPE.fullmatch(words[0]):
        try:
            return _key(words[0], words[1])
        except ValueError as error:
            if len(words) < 3 or not _TYPE.fullmatch(words[1]):
                raise ValueError(str(error)) from None
    if len(words) < 3:
        raise ValueError(EXPECTED)
    entry = parse_entry(line)
    if entry is None:
        raise ValueError(EXPECTED)
    if entry.marker == "revoked":
        raise ValueError("the line is marked @revoked: its key must not be trusted")
    if entry.marker == "cert-authority":
        raise ValueError(
            "the line is marked @cert-authority: write it into ~/.ssh/known_hosts, or pin the"
            " host's own key"
        )
    return entry.pin


def _key(kind: str, encoded: str) -> Pin:
    if not _TYPE.fullmatch(kind):
        raise ValueError(EXPECTED)
    try:
        blob = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        raise ValueError(f"the key after {kind} is not base64, or it is cut short") from None
    if blob[:4] != len(kind).to_bytes(4, "big") or blob[4 : 4 + len(kind)] != kind.encode():
        raise ValueError(f"the key's data is not of the type {kind}")
    if not _whole(blob):
        raise ValueError(f"the key after {kind} is cut short, or has something after its end")
    return Pin(type=kind, blob=blob, fingerprint=fingerprint(blob))


def _whole(blob: bytes) -> bool:
    """Return whether `blob` consists of strings with their length in front, to its end."""
    position, fields = 0, 0
    while position + 4 <= len(blob):
        position += 4 + int.from_bytes(blob[position : position + 4], "big")
        fields += 1
    return position == len(blob) and fields > 1


def _hashed(names: str, name: str) -> bool:
    parts = names.split("|")
    if len(parts) != 4 or parts[1] != "1":
        return False
    try:
        salt, digest = (base64.b64decode(part, validate=True) for part in parts[2:])
    except (binascii.Error, ValueError):
        return False
    return hmac.compare_digest(hmac.digest(salt, name.encode(), "sha1"), digest)

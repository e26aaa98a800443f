"""OpenSSH certificates of hosts and users: what is in them, and whether a host's one is valid.

Format: PROTOCOL.certkeys of OpenSSH. A host's certificate is valid as ssh judges it: signed
by an authority that a ``@cert-authority`` line names for the host, made for hosts, within its
time, for the host's name, and without options that are not known.
"""

from __future__ import annotations

import base64
import binascii
import time
from dataclasses import dataclass
from pathlib import Path

from provision import hostkeys

SUFFIX = "-cert-v01@openssh.com"
_MAX_BYTES = 64 * 1024
_FIELDS = {
    "ssh-ed25519": 1,
    "ssh-rsa": 2,
    "ssh-dss": 4,
    "ecdsa-sha2-nistp256": 2,
    "ecdsa-sha2-nistp384": 2,
    "ecdsa-sha2-nistp521": 2,
    "sk-ssh-ed25519": 2,
    "sk-ecdsa-sha2-nistp256": 3,
}
"""How many fields the public key of each type has."""
_FOR = {1: "users", 2: "hosts"}


@dataclass(frozen=True, kw_only=True)
class Certificate:
    """One certificate. `key` is the public key that it certifies, `authority` who signed it.

    `kind` is 1 for users and 2 for hosts; `after` and `before` are seconds since 1970.
    """

    type: str
    blob: bytes
    key: hostkeys.HostKey
    key_id: str
    kind: int
    principals: tuple[str, ...]
    after: int
    before: int
    options: tuple[str, ...]
    authority: hostkeys.HostKey
    signed: bytes
    signature: bytes

    def refusal(self, name: str, trust: hostkeys.Trust, now: float | None = None) -> str:
        """Return why the certificate does not prove that the host is `name`, or nothing.

        Its signature is checked by `trusting`.
        """
        now = time.time() if now is None else now
        if not any(entry.pin.accepts(self.authority) for entry in trust.authorities):
            return f"it is signed by {self.authority.fingerprint}, which no line names for {name}"
        if self.kind != 2:
            return f"it is one for {_FOR.get(self.kind, f'the unknown kind {self.kind}')}"
        if now < self.after:
            return f"it is valid from {_moment(self.after)} on only"
        if now >= self.before:
            return f"it has expired on {_moment(self.before)}"
        if self.options:
            return f"its critical option {self.options[0]!r} is not known"
        if self.principals and name not in self.principals:
            return f"it is for {', '.join(self.principals)}, and not for {name}"
        return ""


def parse(blob: bytes) -> Certificate | None:
    """Return the certificate in wire form, None for anything else, also for a plain key.

    Raises nothing; its signature is not checked.
    """
    try:
        return _parse(blob)
    except (ValueError, UnicodeDecodeError):
        return None


def read(path: Path) -> Certificate | None:
    """Return the certificate in the file `path`, None where there is none to be read."""
    try:
        with path.open("rb") as opened:
            words = opened.read(_MAX_BYTES).split(None, 2)[:2]
    except OSError:
        return None
    if len(words) < 2 or not words[0].endswith(SUFFIX.encode()):
        return None
    try:
        return parse(base64.b64decode(words[1], validate=True))
    except (binascii.Error, ValueError):
        return None


def _parse(blob: bytes) -> Certificate:
    name, at = string(blob, 0)
    type_ = name.decode("ascii")
    # The types of security keys have @openssh.com only once: at their end.
    base = type_.removesuffix(SUFFIX)
    if base == type_ or base not in _FIELDS:
        raise ValueError("no certificate")
    _, at = string(blob, at)  # the nonce
    start = at
    for _ in range(_FIELDS[base]):
        _, at = string(blob, at)
    plain = base + ("@openssh.com" if base.startswith("sk-") else "")
    key = hostkeys.HostKey(type=plain, blob=_packed(plain.encode()) + blob[start:at])
    at += 8  # the serial number
    kind, at = _number(blob, at, 4)
    key_id, at = string(blob, at)
    principals, at = string(blob, at)
    after, at = _number(blob, at, 8)
    before, at = _number(blob, at, 8)
    critical, at = string(blob, at)
    _, at = string(blob, at)  # extensions
    _, at = string(blob, at)  # reserved
    authority, at = string(blob, at)
    end = at
    signature, at = string(blob, at)
    if at != len(blob):
        raise ValueError("there is more after the signature")
    authority_type, _ = string(authority, 0)
    return Certificate(
        type=type_,
        blob=blob,
        key=key,
        key_id=key_id.decode("utf-8", "replace"),
        kind=kind,
        principals=tuple(each.decode("utf-8", "replace") for each in _strings(principals)),
        after=after,
        before=before,
        options=tuple(each.decode("utf-8", "replace") for each in _strings(critical)[::2]),
        authority=hostkeys.HostKey(type=authority_type.decode("ascii"), blob=authority),
        signed=blob[:end],
        signature=signature,
    )


def _packed(data: bytes) -> bytes:
    return len(data).to_bytes(4, "big") + data


def _number(data: bytes, at: int, size: int) -> tuple[int, int]:
    if at + size > len(data):
        raise ValueError("it is cut short")
    return int.from_bytes(data[at : at + size], "big"), at + size


def string(data: bytes, at: int) -> tuple[bytes, int]:
    """Return the string at `at` and where it ends. Raises ValueError where it is cut short."""
    size, at = _number(data, at, 4)
    if at + size > len(data):
        raise ValueError("it is cut short")
    return data[at : at + size], at + size


def _strings(data: bytes) -> list[bytes]:
    found: list[bytes] = []
    at = 0
    while at < len(data):
        each, at = string(data, at)
        found.append(each)
    return found


def _moment(seconds: int) -> str:
    try:
        return time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(seconds))
    except (OverflowError, ValueError, OSError):
        return "a date that is not known"

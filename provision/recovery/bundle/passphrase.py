"""age files locked with a passphrase: scrypt, with a work factor that no machine's speed decides.

The age library for Python measures how fast the machine is at that moment. It
writes a work factor to match, and refuses to open a file whose work factor is
too large for the moment. A good backup would not open on a slower or busier
machine. This module writes one fixed work factor, and opens every file up to a
fixed limit.

Facts: the age specification, version 1 (https://c2sp.org/age): the header, the
scrypt recipient stanza, the header MAC and the payload (STREAM with
ChaCha20-Poly1305 in chunks of 64 KiB). The ``age`` program opens files up to
the same limit.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import os
import re
from pathlib import Path
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from provision import errors
from provision.secret import Secret

WORK: Final = 17
"""The base-2 logarithm of scrypt's N in new files: 128 MiB and about half a second.

OWASP's recommendation for scrypt (N = 2^17, r = 8, p = 1). With 18, whole
commands need more than 300 MB, which small machines of a bad night lack.
"""
MOST_WORK: Final = 22
"""The largest work factor that is opened: 4 GiB of memory."""

_LABEL: Final = b"age-encryption.org/v1/scrypt"
_HEADER: Final = re.compile(
    rb"(?P<signed>age-encryption\.org/v1\n"
    rb"-> scrypt (?P<salt>[A-Za-z0-9+/]{22}) (?P<work>[1-9][0-9]?)\n"
    rb"(?P<wrapped>[A-Za-z0-9+/]{43})\n"
    rb"---) (?P<mac>[A-Za-z0-9+/]{43})\n"
)
_CHUNK: Final = 64 * 1024
_TAG: Final = 16
_NONCE: Final = 16
_ANOTHER: Final = "take the same file from another place it was copied to, or an earlier backup"


def encrypt(plain: bytes, passphrase: Secret, *, work: int = WORK) -> bytes:
    """Return `plain` as an age file that `passphrase` opens."""
    file_key, salt, nonce = os.urandom(16), os.urandom(16), os.urandom(_NONCE)
    wrapped = ChaCha20Poly1305(_derive(passphrase, salt, work)).encrypt(bytes(12), file_key, None)
    head = b"age-encryption.org/v1\n-> scrypt %b %d\n%b\n---" % (_text(salt), work, _text(wrapped))
    out = bytearray(head + b" " + _text(_mac(file_key, head)) + b"\n" + nonce)
    cipher = ChaCha20Poly1305(_hkdf(file_key, nonce, b"payload"))
    view = memoryview(plain)
    last = max(0, (len(plain) - 1) // _CHUNK)
    for number in range(last + 1):
        chunk = view[number * _CHUNK : (number + 1) * _CHUNK]
        out += cipher.encrypt(_counter(number, final=number == last), chunk, None)
    return bytes(out)


def decrypt(file: bytes, passphrase: Secret) -> bytes:
    """Return what the age file `file` holds, all of it authenticated.

    The answer does not depend on the speed of the machine. Raises
    `errors.BundleKeyError` when the passphrase does not open it,
    `errors.BundleDamagedError` when it was changed or cut short, and
    `errors.BundleError` when opening it takes more work or memory than there
    may be.
    """
    header = _HEADER.match(file)
    if header is None:
        raise _damaged("the header is not one that age writes")
    work = int(header["work"])
    _check_work(work)
    salt, wrapped, mac = (_bytes(header[name]) for name in ("salt", "wrapped", "mac"))
    try:
        key = _derive(passphrase, salt, work)
    except MemoryError as error:
        raise _too_little_memory(work) from error
    try:
        file_key = ChaCha20Poly1305(key).decrypt(bytes(12), wrapped, None)
    except InvalidTag:
        raise errors.BundleKeyError(
            "the passphrase does not open the backup",
            hint="it is exact to the letter: look at caps lock and the keyboard's layout; it "
            "may be another one than the stack's. If it is right, the file's beginning is "
            f"damaged: {_ANOTHER}",
        ) from None
    if not hmac.compare_digest(_mac(file_key, header["signed"]), mac):
        raise _damaged("the header's MAC is not right")
    return _payload(memoryview(file)[header.end() :], file_key)


def _payload(body: memoryview, file_key: bytes) -> bytes:
    nonce, rest = bytes(body[:_NONCE]), body[_NONCE:]
    if len(nonce) < _NONCE or len(rest) < _TAG:
        raise _damaged("it ends before its content")
    cipher = ChaCha20Poly1305(_hkdf(file_key, nonce, b"payload"))
    out = bytearray()
    size = _CHUNK + _TAG
    last = (len(rest) - 1) // size
    for number in range(last + 1):
        chunk = rest[number * size : (number + 1) * size]
        if number and len(chunk) == _TAG:
            raise _damaged("its last chunk is empty")
        try:
            out += cipher.decrypt(_counter(number, final=number == last), chunk, None)
        except (InvalidTag, ValueError):
            raise _damaged(f"chunk {number + 1} of {last + 1} does not authenticate") from None
    return bytes(out)


def _check_work(work: int) -> None:
    """Refuse a work factor beyond the limit, or beyond this machine's memory."""
    if work > MOST_WORK:
        raise errors.BundleError(
            f"the backup's passphrase has the work factor {work}, and elysium opens up to "
            f"{MOST_WORK}",
            hint="elysium did not write this header. If the file is yours, encrypt it again: "
            "age -d FILE | age -p; else it was changed: " + _ANOTHER,
        )
    free = _free_memory()
    if free is not None and free < _memory(work):
        raise _too_little_memory(work)


def _too_little_memory(work: int) -> errors.BundleError:
    return errors.BundleError(
        f"opening the backup takes {_memory(work) // 1024**2} MiB of memory, and this machine "
        "has less free",
        hint="the backup is not damaged: close other programs, add swap, or open it on a larger "
        "machine",
    )


def _memory(work: int) -> int:
    return int(128 * 8 * 2**work)


def _free_memory() -> int | None:
    """Return the memory and swap that can be used now; None where the system does not say."""
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    except (OSError, UnicodeDecodeError):
        return None
    fields = {name: rest.split()[0] for name, _, rest in (line.partition(":") for line in lines)}
    if "MemAvailable" not in fields:
        return None
    return (int(fields["MemAvailable"]) + int(fields.get("SwapFree", 0))) * 1024


def _derive(passphrase: Secret, salt: bytes, work: int) -> bytes:
    derivation = Scrypt(salt=_LABEL + salt, length=32, n=2**work, r=8, p=1)
    return derivation.derive(passphrase.reveal().encode())


def _hkdf(key: bytes, salt: bytes, info: bytes) -> bytes:
    return HKDF(algorithm=hashes.SHA256(), length=32, salt=salt, info=info).derive(key)


def _mac(file_key: bytes, signed: bytes) -> bytes:
    return hmac.digest(_hkdf(file_key, b"", b"header"), signed, "sha256")


def _counter(number: int, *, final: bool) -> bytes:
    return number.to_bytes(11, "big") + (b"\x01" if final else b"\x00")


def _text(raw: bytes) -> bytes:
    return base64.b64encode(raw).rstrip(b"=")


def _bytes(text: bytes) -> bytes:
    """Return what canonical base64 without padding stands for."""
    try:
        raw = base64.b64decode(text + b"=" * (-len(text) % 4), validate=True)
    except binascii.Error:
        raw = b""
    if _text(raw) != text:
        raise _damaged("the header's base64 is not canonical")
    return raw


def _damaged(detail: str) -> errors.BundleDamagedError:
    return errors.BundleDamagedError(
        "the backup is damaged: it was changed, or it is cut short", detail=detail, hint=_ANOTHER
    )

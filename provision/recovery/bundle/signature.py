"""SSH signatures of bundles, in the format that ``ssh-keygen -Y`` writes and checks.

A signature is a file of its own beside the bundle, with the suffix ``.sig``.
It covers every byte of the bundle's file as it is, encrypted, so it is checked
before anything in the bundle is read. Pure.

Facts: OpenSSH's PROTOCOL.sshsig, version 1; RFC 4251 (string, mpint), RFC 8709
(Ed25519), RFC 5656 (ECDSA) and RFC 8332 (RSA with SHA-2).
"""

from __future__ import annotations

import base64
import hashlib
import re
import textwrap
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Any, Final, Literal

from cryptography import exceptions
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa, utils

from provision import errors

NAMESPACE: Final = "elysium-backup"
"""What the signatures are for. A signature for anything else, such as a commit, does not count."""
SUFFIX: Final = ".sig"
MAX_BYTES: Final = 64 * 1024
"""No larger signature or file of public keys is read."""
KEY_TYPES: Final = (
    "ssh-ed25519",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "ssh-rsa",
)
_MAGIC: Final = b"SSHSIG"
_BEGIN: Final = "-----BEGIN SSH SIGNATURE-----"
_END: Final = "-----END SSH SIGNATURE-----"
_HASHES: Final = ("sha512", "sha256")
_RSA: Final[dict[str, hashes.HashAlgorithm]] = {
    "rsa-sha2-512": hashes.SHA512(),
    "rsa-sha2-256": hashes.SHA256(),
}
_RSA_BITS: Final = 2048
_ECDSA: Final[dict[str, hashes.HashAlgorithm]] = {
    "ecdsa-sha2-nistp256": hashes.SHA256(),
    "ecdsa-sha2-nistp384": hashes.SHA384(),
    "ecdsa-sha2-nistp521": hashes.SHA512(),
}
_FINGERPRINT: Final = re.compile(r"SHA256:[A-Za-z0-9+/]{43}")
_ANOTHER: Final = "take the file and its signature from another place they were copied to"

State = Literal["signed", "unchecked", "unsigned"]


@dataclass(frozen=True, kw_only=True)
class Checked:
    """What is known of a bundle's signature. Only of a signed one the signer is known."""

    state: State = "unsigned"
    fingerprint: str = ""

    @property
    def words(self) -> str:
        """The same, to people."""
        if self.state == "signed":
            return f"signed by {self.fingerprint}"
        return "not signed" if self.state == "unsigned" else "signed, not checked (no key given)"


@dataclass(frozen=True, kw_only=True)
class Trust:
    """Whose signatures count, by fingerprint.

    With `required` ones, a bundle must be signed by one of them. A signature by
    one of `known` is checked, too, and nothing is required of other bundles.
    """

    required: frozenset[str] = frozenset()
    known: frozenset[str] = frozenset()


@dataclass(frozen=True, kw_only=True)
class PublicKey:
    """An SSH public key: its type, and its encoding."""

    type: str
    blob: bytes

    @property
    def fingerprint(self) -> str:
        """The fingerprint as ``ssh-keygen -l`` prints it."""
        return fingerprint(self.blob)

    @property
    def line(self) -> str:
        """The key as it stands in a ``.pub`` file, without a comment."""
        return f"{self.type} {base64.b64encode(self.blob).decode()}"


@dataclass(frozen=True, kw_only=True)
class Signature:
    """The parts of a signature; nothing about them was checked."""

    key: bytes
    namespace: str
    hash: str
    algorithm: str
    value: bytes


def fingerprint(blob: bytes) -> str:
    """Return the fingerprint of an encoded public key."""
    return "SHA256:" + base64.b64encode(hashlib.sha256(blob).digest()).decode().rstrip("=")


def public_key(line: str) -> PublicKey:
    """Return the key in a line of a ``.pub`` file. Raises `ValueError`, in words for people."""
    words = line.split()
    if len(words) < 2 or not re.fullmatch(r"[a-z0-9@.-]{3,64}", words[0]):
        raise ValueError("a public key such as 'ssh-ed25519 AAAA…' is expected")
    if words[0] not in KEY_TYPES:
        raise ValueError(f"keys of the type {words[0]} are not supported: {', '.join(KEY_TYPES)}")
    try:
        blob = base64.b64decode(words[1], validate=True)
        (kind, *_) = _strings(blob, 1)
        loaded: Any = serialization.load_ssh_public_key(f"{words[0]} {words[1]}".encode())
    except (ValueError, exceptions.UnsupportedAlgorithm):
        raise ValueError(f"the {words[0]} key is cut short or damaged") from None
    if kind.decode("utf-8", "replace") != words[0]:
        raise ValueError(f"the {words[0]} key is cut short or damaged")
    if isinstance(loaded, rsa.RSAPublicKey) and loaded.key_size < _RSA_BITS:
        raise ValueError(f"an RSA key of {loaded.key_size} bits is too short: {_RSA_BITS} at least")
    return PublicKey(type=words[0], blob=blob)


def fingerprints(lines: Iterable[str]) -> frozenset[str]:
    """Return the fingerprints of `lines`: public keys, or fingerprints themselves.

    Empty lines and those that begin with ``#`` are passed over. Raises
    `ValueError`, in words for people.
    """
    found: set[str] = set()
    for line in (each.strip() for each in lines):
        if _FINGERPRINT.fullmatch(line):
            found.add(line)
        elif line and not line.startswith("#"):
            found.add(public_key(line).fingerprint)
    return frozenset(found)


def message(content: bytes) -> bytes:
    """Return what is signed for a file with this content."""
    return _MAGIC + b"".join(
        map(_string, (NAMESPACE.encode(), b"", b"sha512", hashlib.sha512(content).digest()))
    )


def armored(key: PublicKey, value: bytes) -> bytes:
    """Return the file of a signature; `value` is the signature of `message`, as SSH encodes it."""
    body = (
        _MAGIC
        + (1).to_bytes(4, "big")
        + b"".join(map(_string, (key.blob, NAMESPACE.encode(), b"", b"sha512", value)))
    )
    lines = textwrap.wrap(base64.b64encode(body).decode(), 70)
    return "\n".join((_BEGIN, *lines, _END, "")).encode()


def parse(text: bytes) -> Signature:
    """Return the parts of the signature in the file `text`.

    Raises `errors.BundleSignatureError` for one that is damaged, or of a
    version that is not known.
    """
    if len(text) > MAX_BYTES:
        raise errors.BundleSignatureError(
            f"the signature is larger than {MAX_BYTES // 1024} KiB, which none is", hint=_ANOTHER
        )
    lines = text.decode("ascii", "replace").split()
    words = " ".join(lines)
    if not (words.startswith(f"{_BEGIN} ") and words.endswith(f" {_END}")):
        raise _damaged()
    try:
        body = base64.b64decode(words[len(_BEGIN) : -len(_END)].replace(" ", ""), validate=True)
    except ValueError:
        raise _damaged() from None
    if not body.startswith(_MAGIC) or len(body) < len(_MAGIC) + 4:
        raise _damaged()
    version = int.from_bytes(body[len(_MAGIC) : len(_MAGIC) + 4], "big")
    if version != 1:
        raise errors.BundleSignatureError(
            f"the signature has version {version} of the SSH format; only version 1 is known",
            hint="a newer elysium may know it",
        )
    try:
        key, namespace, _, digest, signed, *rest = _strings(body[len(_MAGIC) + 4 :], 5)
        algorithm, value, *after = _strings(signed, 2)
    except ValueError:
        raise _damaged() from None
    if rest or after:
        raise _damaged()
    return Signature(
        key=key,
        namespace=_text(namespace),
        hash=_text(digest),
        algorithm=_text(algorithm),
        value=value,
    )


def check(text: bytes | None, content: bytes, trust: Trust) -> Checked:
    """Return what the signature `text` of the file `content` says; None where there is none.

    Raises `errors.BundleSignatureError` where a key is required and the file is
    not signed by one, and where the signature is by a known key and wrong.
    """
    if text is None:
        if not trust.required:
            return Checked()
        raise errors.BundleSignatureError(
            "it is not signed, and a signature by one of these keys is required:"
            f" {_listed(trust.required)}",
            hint=f"its signature is a file of the same name with {SUFFIX} behind it: copy that, "
            "too; without a key to check with, elysium opens unsigned backups",
        )
    keys = trust.required | trust.known
    if not keys:
        return Checked(state="unchecked")
    if trust.required:
        return verify(text, content, keys)
    try:
        signer = fingerprint(parse(text).key)
    except errors.BundleSignatureError:
        return Checked(state="unchecked")  # as without a key: nobody asked for a check
    return verify(text, content, keys) if signer in keys else Checked(state="unchecked")


def verify(text: bytes, content: bytes, keys: Collection[str]) -> Checked:
    """Return who signed: one of `keys`, which are fingerprints.

    Raises `errors.BundleSignatureError` with the reason why the signature does
    not count.
    """
    found = parse(text)
    if found.namespace != NAMESPACE:
        raise errors.BundleSignatureError(
            f"the signature was made for {found.namespace!r}, not for {NAMESPACE!r}",
            hint="it signs something else than a backup; with ssh-keygen, a backup is signed with"
            f" -Y sign -n {NAMESPACE}",
        )
    signer = fingerprint(found.key)
    if signer not in keys:
        raise errors.BundleSignatureError(
            f"it is signed by {signer}, not by {_listed(keys)}",
            hint="somebody else made this backup, or the key is another one than yours now: "
            "compare the fingerprint with your notes (ssh-keygen -lf FILE)",
        )
    if found.hash not in _HASHES:
        raise _algorithm(f"the hash {found.hash!r}", _HASHES)
    digest = hashlib.new(found.hash, content).digest()
    signed = _MAGIC + b"".join(map(_string, (NAMESPACE.encode(), b"", found.hash.encode(), digest)))
    try:
        _verify(found, signed)
    except exceptions.InvalidSignature:
        raise errors.BundleSignatureError(
            f"the signature by {signer} does not fit the file: it is that of another backup, or"
            " the file or the signature was changed or cut short",
            hint=_ANOTHER,
        ) from None
    return Checked(state="signed", fingerprint=signer)


def sign(private: Any, data: bytes) -> bytes:
    """Return the signature of `data` by a private key, as SSH encodes it."""
    if isinstance(private, ed25519.Ed25519PrivateKey):
        return _string(b"ssh-ed25519") + _string(private.sign(data))
    if isinstance(private, rsa.RSAPrivateKey):
        value = private.sign(data, padding.PKCS1v15(), hashes.SHA512())
        return _string(b"rsa-sha2-512") + _string(value)
    algorithm = f"ecdsa-sha2-nistp{private.curve.key_size}"
    pair = utils.decode_dss_signature(private.sign(data, ec.ECDSA(_ECDSA[algorithm])))
    return _string(algorithm.encode()) + _string(b"".join(_string(_mpint(n)) for n in pair))


def _verify(found: Signature, signed: bytes) -> None:
    """Raise `InvalidSignature`, or `errors.BundleSignatureError` for an unusable algorithm."""
    try:
        (kind, *_) = _strings(found.key, 1)
        line = b" ".join((kind, base64.b64encode(found.key)))
        key = public_key(line.decode("ascii", "replace"))
        loaded: Any = serialization.load_ssh_public_key(key.line.encode())
    except ValueError as error:
        raise errors.BundleSignatureError(f"the signer's key is of no use: {error}") from None
    if isinstance(loaded, rsa.RSAPublicKey):
        if found.algorithm not in _RSA:
            raise _algorithm(f"the algorithm {found.algorithm!r}", _RSA)
        loaded.verify(found.value, signed, padding.PKCS1v15(), _RSA[found.algorithm])
        return
    if found.algorithm != key.type:
        raise _algorithm(f"the algorithm {found.algorithm!r}", [key.type])
    if isinstance(loaded, ed25519.Ed25519PublicKey):
        loaded.verify(found.value, signed)
        return
    try:
        first, second, *rest = (int.from_bytes(n, "big") for n in _strings(found.value, 2))
        value = utils.encode_dss_signature(first, second)
    except ValueError:
        raise exceptions.InvalidSignature from None
    if rest:
        raise exceptions.InvalidSignature
    loaded.verify(value, signed, ec.ECDSA(_ECDSA[key.type]))


def _string(content: bytes) -> bytes:
    return len(content).to_bytes(4, "big") + content


def _mpint(number: int) -> bytes:
    """Return a number as SSH has it: a zero byte before a first bit of one."""
    return number.to_bytes(number.bit_length() // 8 + 1, "big")


def _strings(data: bytes, count: int) -> list[bytes]:
    """Return `count` strings, and what is behind them if there is anything."""
    found: list[bytes] = []
    for _ in range(count):
        size = int.from_bytes(data[:4], "big")
        if len(data) < 4 + size or len(data) < 4:
            raise ValueError("cut short")
        found.append(data[4 : 4 + size])
        data = data[4 + size :]
    return [*found, data] if data else found


def _text(content: bytes) -> str:
    return content.decode("utf-8", "backslashreplace")


def _listed(keys: Collection[str]) -> str:
    return ", ".join(sorted(keys))


def _damaged() -> errors.BundleSignatureError:
    return errors.BundleSignatureError(
        "the signature is damaged, cut short, or no signature of ssh-keygen -Y", hint=_ANOTHER
    )


def _algorithm(what: str, known: Iterable[str]) -> errors.BundleSignatureError:
    return errors.BundleSignatureError(
        f"the signature uses {what}, which is not accepted: {', '.join(known)}",
        hint="sign it again with a current key: ssh-ed25519",
    )

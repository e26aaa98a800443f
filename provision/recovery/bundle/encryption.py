"""The age encryption around a bundle: who may open it, and opening it.

The format is age's version 1 (https://age-encryption.org/v1), so ``age -d``
opens what is written here. With a passphrase the key is derived slowly on
purpose: about half a second each time (`provision.recovery.bundle.passphrase`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

from cryptography import exceptions
from cryptography.hazmat.primitives import serialization

from provision import errors
from provision.recovery.bundle import passphrase
from provision.secret import Secret

_HEAD: Final = b"age-encryption.org/v1\n"


@dataclass(frozen=True, kw_only=True)
class Passphrase:
    """A passphrase, to lock and to open with."""

    secret: Secret


@dataclass(frozen=True, kw_only=True)
class Recipients:
    """Public keys: ``age1…``, or SSH keys ``ssh-ed25519 …`` and ``ssh-rsa …``."""

    lines: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Identities:
    """Texts of private keys: lines of ``AGE-SECRET-KEY-1…``, or SSH private keys."""

    texts: tuple[Secret, ...]


Locks = Passphrase | Recipients
Keys = Passphrase | Identities


def encrypt(plain: bytes, locks: Locks) -> bytes:
    """Return `plain` as an age file. Raises `errors.ConfigError` for an unusable recipient."""
    if isinstance(locks, Passphrase):
        if not locks.secret:
            raise errors.ConfigError("the passphrase of a backup cannot be empty", [])
        return passphrase.encrypt(plain, locks.secret)
    return bytes(_pyrage().encrypt(plain, check_recipients(locks.lines)))


def encrypt_with_witness(plain: bytes, locks: Locks) -> tuple[bytes, Keys]:
    """Return `plain` as an age file, and a key that opens it here and now.

    Who has only the recipients' public keys could not read back what was
    written. So a key pair of this moment, kept nowhere, is one more recipient.
    With a passphrase the key is the passphrase.
    """
    if isinstance(locks, Passphrase):
        return encrypt(plain, locks), locks
    pyrage = _pyrage()
    check_recipients(locks.lines)
    witness = pyrage.x25519.Identity.generate()
    everyone = Recipients(lines=(*locks.lines, str(witness.to_public())))
    return encrypt(plain, everyone), Identities(texts=(Secret(str(witness)),))


def decrypt(file: bytes, keys: Keys) -> bytes:
    """Return what the age file `file` holds, all of it authenticated.

    Raises `errors.BundleKeyError` when the passphrase or none of the keys
    opens it, `errors.BundleDamagedError` when it is no age file, cut short or
    changed, and `errors.BundleError` when opening it takes too much work or
    memory. A change in the lines that hold the keys' shares looks like a
    wrong key; the words for that say so.
    """
    pyrage = _pyrage()
    kind = locked_with(file)
    if kind == "passphrase" and not isinstance(keys, Passphrase):
        raise errors.BundleKeyError(
            "the backup is locked with a passphrase, not for recipients",
            hint="leave out --identity: the passphrase is asked for",
        )
    if kind == "recipients" and isinstance(keys, Passphrase):
        raise errors.BundleKeyError(
            "the backup is locked for recipients, not with a passphrase",
            hint="give the private key of one of them: --identity FILE",
        )
    if isinstance(keys, Passphrase):
        return passphrase.decrypt(file, keys.secret)
    try:
        identities = [each for text in keys.texts for each in read_identities(text)]
        return bytes(pyrage.decrypt(file, identities))
    except pyrage.DecryptError as error:
        raise _refused(str(error)) from error


def locked_with(file: bytes) -> Literal["passphrase", "recipients"]:
    """Return what the head of the age file says it is opened with.

    Raises `errors.BundleDamagedError` when it is no age file.
    """
    if not file.startswith(_HEAD):
        raise errors.BundleDamagedError(
            "this is no backup, or its beginning is damaged" if file else "the file is empty",
            hint=f"a backup is named like kyrion-20260301T020304Z.tar.gz.age; if it is: {_ANOTHER}",
        )
    return "passphrase" if file.startswith(b"-> scrypt ", len(_HEAD)) else "recipients"


def check_recipients(lines: Sequence[str]) -> list[Any]:
    """Return the keys of `lines`. Raises `errors.ConfigError` naming every unusable one."""
    pyrage = _pyrage()
    found: list[Any] = []
    problems: list[errors.Problem] = []
    for line in lines:
        maker = pyrage.ssh.Recipient if line.startswith("ssh-") else pyrage.x25519.Recipient
        try:
            found.append(maker.from_str(line))
        except pyrage.RecipientError as error:
            public = line.startswith(("age1", "ssh-"))  # else it may be a private key
            problems.append(
                errors.Problem(
                    message=f"it is no public key that age knows ({error})",
                    where=f"recipient {line}" if public else "a recipient",
                    hint="age1… as age-keygen prints it, or an ssh-ed25519 or ssh-rsa public key",
                )
            )
    if problems or not found:
        raise errors.ConfigError("the backup cannot be locked for these recipients", problems)
    return found


def read_identities(text: Secret) -> list[Any]:
    """Return the private keys in `text`. Raises `errors.BundleKeyError`, without the text."""
    pyrage = _pyrage()
    plain = text.reveal()
    try:
        if "-----BEGIN" in plain:
            return [pyrage.ssh.Identity.from_buffer(plain.encode())]
        lines = [line.strip() for line in plain.splitlines()]
        keys = [line for line in lines if line and not line.startswith("#")]
        found = [pyrage.x25519.Identity.from_str(key) for key in keys]
    except pyrage.IdentityError:
        raise errors.BundleKeyError(
            "the key file is not one that age reads",
            hint="AGE-SECRET-KEY-1… as age-keygen writes it, or an SSH private key "
            "without a passphrase",
        ) from None
    if not found:
        raise errors.BundleKeyError("the key file holds no key")
    return found


def recipients_of(keys: Identities) -> tuple[str, ...]:
    """Return the public keys of `keys`, without comments. Raises `errors.BundleKeyError`."""
    found: list[str] = []
    for text in keys.texts:
        for each in read_identities(text):
            if hasattr(each, "to_public"):
                found.append(str(each.to_public()))
                continue
            public = _ssh_public(text)  # pyrage gives no public key of an SSH key
            found += [public] if public else []
    return tuple(found)


def _ssh_public(text: Secret) -> str:
    """Return the public key of an SSH private key; empty for a form that is not known."""
    plain = text.reveal().encode()
    for load in (serialization.load_ssh_private_key, serialization.load_pem_private_key):
        try:
            public = load(plain, None).public_key()
            return public.public_bytes(
                serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH
            ).decode()
        except (ValueError, TypeError, exceptions.UnsupportedAlgorithm):
            continue
    return ""


def read_key_file(path: Path) -> Secret:
    """Return the text of a file of private keys. Raises `errors.ConfigError`."""
    try:
        return Secret(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not text"
        raise errors.ConfigError(f"the key file {path} cannot be read: {reason}", []) from error


def _pyrage() -> Any:
    """Return the library, imported when it is needed; it has no types."""
    import pyrage

    return pyrage


def _refused(said: str) -> errors.BundleError:
    # The words of age (Rust) for a share that none of the keys opens.
    if said in ("No matching keys found", "Decryption failed"):
        return errors.BundleKeyError(
            "the key does not open the backup",
            hint="give the private key of a recipient that it was made for: --identity FILE; if it "
            "is right, the file's beginning is damaged: " + _ANOTHER,
        )
    return errors.BundleDamagedError(
        "the backup is damaged: it was changed, or it is cut short", detail=said, hint=_ANOTHER
    )


_ANOTHER = "take the same file from another place it was copied to, or an earlier backup"

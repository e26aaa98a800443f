"""Texts encrypted with a passphrase, in the format of Pulumi's secrets provider.

A salt state is ``v1:<salt>:<check>``, where `check` is the word ``pulumi``
encrypted with the key that passphrase and salt give; a ciphertext is
``v1:<nonce>:<ciphertext and tag>``. Key: PBKDF2-HMAC-SHA256, 1 000 000
rounds, 32 bytes. Cipher: AES-256-GCM with a random nonce of 12 bytes and no
additional data. All parts are standard base64.

Source of facts: the passphrase secrets provider of Pulumi 3.260, whose files
this reads and writes.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
import threading
from collections.abc import Callable

from provision import errors
from provision.secret import Secret

_ROUNDS = 1_000_000
_KEY_BYTES = 32
_SALT_BYTES = 8
_NONCE_BYTES = 12
_CHECK_WORD = "pulumi"
_VERSION = "v1"
_WRONG = (
    "give the passphrase that the stack was made with, in PULUMI_CONFIG_PASSPHRASE or "
    "the file that PULUMI_CONFIG_PASSPHRASE_FILE names"
)

_keys: dict[bytes, bytes] = {}
_keys_lock = threading.Lock()


class PassphraseCrypter:
    """Encrypts and decrypts texts of one stack. Safe to use from several threads."""

    def __init__(self, key: bytes, salt: str) -> None:
        from cryptography.hazmat.primitives.ciphers import aead

        self._cipher = aead.AESGCM(key)
        self._salt = salt

    @classmethod
    def new(cls, passphrase: Secret) -> PassphraseCrypter:
        """Return a crypter with a fresh random salt."""
        salt = os.urandom(_SALT_BYTES)
        crypter = cls(_derive(passphrase, salt), "")
        crypter._salt = f"{_VERSION}:{_encode(salt)}:{crypter.encrypt(_CHECK_WORD)}"
        return crypter

    @classmethod
    def from_salt(cls, salt_state: str, passphrase: Secret) -> PassphraseCrypter:
        """Return the crypter of `salt_state` (``v1:…``, from state or configuration).

        Raises `errors.StackError` when the passphrase is another one than the
        salt state was made with, or the salt state is malformed.
        """
        parts = salt_state.split(":", 2)
        if len(parts) != 3 or parts[0] != _VERSION:
            raise _malformed("the salt of the stack's passphrase")
        crypter = cls(
            _derive(passphrase, _decode(parts[1], "the salt of the stack's passphrase")), salt_state
        )
        try:
            right = crypter.decrypt(parts[2]) == _CHECK_WORD
        except errors.StackError as error:
            raise _wrong_passphrase() from error
        if not right:
            raise _wrong_passphrase()
        return crypter

    @property
    def salt(self) -> str:
        """The salt state to keep: ``v1:<salt>:<check>``."""
        return self._salt

    def encrypt(self, text: str) -> str:
        """Return `text` encrypted with a nonce of its own."""
        nonce = os.urandom(_NONCE_BYTES)
        sealed = self._cipher.encrypt(nonce, text.encode(), None)
        return f"{_VERSION}:{_encode(nonce)}:{_encode(sealed)}"

    def decrypt(self, ciphertext: str) -> str:
        """Return the text of `ciphertext`.

        Raises `errors.StackError` when it was encrypted with another key or
        was changed.
        """
        from cryptography import exceptions

        parts = ciphertext.split(":")
        if len(parts) != 3 or parts[0] != _VERSION:
            raise _malformed("an encrypted value")
        nonce = _decode(parts[1], "an encrypted value")
        sealed = _decode(parts[2], "an encrypted value")
        try:
            return self._cipher.decrypt(nonce, sealed, None).decode()
        except (exceptions.InvalidTag, ValueError) as error:
            raise errors.StackError(
                "an encrypted value cannot be decrypted with this passphrase",
                operation="decrypt",
                hint=_WRONG,
            ) from error


def derive(salt_state: str, passphrase: Secret) -> Callable[[], PassphraseCrypter]:
    """Start deriving a key in the background; return what waits for the crypter.

    An empty `salt_state` makes a new one. What is returned raises as
    `PassphraseCrypter.from_salt` does.
    """
    found: list[PassphraseCrypter | Exception] = []

    def work() -> None:
        try:
            if salt_state:
                found.append(PassphraseCrypter.from_salt(salt_state, passphrase))
            else:
                found.append(PassphraseCrypter.new(passphrase))
        except Exception as error:  # noqa: BLE001 - raised by whoever waits
            found.append(error)

    thread = threading.Thread(target=work, name="key", daemon=True)
    thread.start()

    def wait() -> PassphraseCrypter:
        thread.join()
        result = found[0]
        if isinstance(result, Exception):
            raise result
        return result

    return wait


def _derive(passphrase: Secret, salt: bytes) -> bytes:
    """Return the key; each pair is derived once a process, since it takes about 0.2 s."""
    plain = passphrase.reveal().encode()
    name = hashlib.sha256(salt + plain).digest()
    with _keys_lock:
        if name not in _keys:
            _keys[name] = hashlib.pbkdf2_hmac("sha256", plain, salt, _ROUNDS, _KEY_BYTES)
        return _keys[name]


def _encode(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _decode(text: str, what: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise _malformed(what) from error


def _malformed(what: str) -> errors.StackError:
    return errors.StackError(
        f"{what} is not of the form v1:…:…",
        operation="decrypt",
        hint="the file was edited or cut; restore it from its .bak or from backups/",
    )


def _wrong_passphrase() -> errors.StackError:
    return errors.StackError("the passphrase is wrong", operation="decrypt", hint=_WRONG)

"""Passwords as rclone wants them in its configuration: obscured. Pure.

rclone reads the passwords of a remote only in a form of its own: AES-CTR with a
key that is in its source, the initial value in front, in base64. It hides a
password from a glance and protects nothing. Which options are passwords is from
``rclone config providers`` (`IsPassword`).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Mapping
from typing import Any, Final, Literal

Form = Literal["auto", "plain", "obscured"]

# Public: fs/config/obscure in rclone's source has it for everybody.
_KEY: Final = bytes.fromhex("9c935b48730a554d6bfd7c63c886a92bd390198eb8128afbf4de162b8b95f638")
_IV = 16

_PASSWORDS: Final[Mapping[str, tuple[str, ...]]] = {
    "azureblob": ("client_certificate_password", "password"),
    "azurefiles": ("client_certificate_password", "password"),
    "cache": ("plex_password",),
    "crypt": ("password", "password2"),
    "fichier": ("file_password", "folder_password"),
    "filen": ("password", "api_key"),
    "filescom": ("password",),
    "ftp": ("pass",),
    "iclouddrive": ("password",),
    "internxt": ("pass",),
    "koofr": ("password",),
    "linkbox": ("password",),
    "mailru": ("pass",),
    "mega": ("pass",),
    "netstorage": ("secret",),
    "opendrive": ("password",),
    "pcloud": ("password",),
    "pikpak": ("pass",),
    "protondrive": ("password", "mailbox_password", "otp_secret_key"),
    "seafile": ("pass", "library_key"),
    "sftp": ("pass", "key_file_pass"),
    "sia": ("api_password",),
    "smb": ("pass",),
    "ulozto": ("password",),
    "webdav": ("pass",),
}


def passwords(kind: str) -> tuple[str, ...]:
    """Return the options of a remote of the type `kind` that rclone wants obscured."""
    return _PASSWORDS.get(kind, ())


def options(remote: Mapping[str, Any], form: Form = "auto") -> dict[str, Any]:
    """Return the options of `remote` with its passwords obscured.

    `form` says how they are given. "auto" leaves a value that reveals readable
    text as it is: it was obscured by the user.
    """
    hidden = passwords(str(remote.get("type") or ""))
    return {
        key: _obscured(key, value, form) if key in hidden and isinstance(value, str) else value
        for key, value in remote.items()
    }


def same(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Return whether two sets of options, as rclone reads them, mean the same."""
    hidden = passwords(str(one.get("type") or ""))

    def meant(values: Mapping[str, Any]) -> dict[str, Any]:
        return {
            key: reveal(str(value)) or value if key in hidden else value
            for key, value in values.items()
        }

    return meant(one) == meant(other)


def obscure(password: str, salt: str) -> str:
    """Return `password` obscured; the same for the same `salt`, so that nothing differs twice."""
    start = hashlib.sha256(f"{salt}\0{password}".encode()).digest()[:_IV]
    return base64.urlsafe_b64encode(start + _cipher(start, password.encode())).decode().rstrip("=")


def reveal(text: str) -> str | None:
    """Return what `text` obscures, None where it has not that form."""
    try:
        raw = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
        if base64.urlsafe_b64encode(raw).decode().rstrip("=") != text:
            return None
        return _cipher(raw[:_IV], raw[_IV:]).decode() if len(raw) >= _IV else None
    except (binascii.Error, ValueError):
        return None


def _obscured(key: str, value: str, form: Form) -> str:
    if not value or form == "obscured":
        return value
    known = reveal(value) if form == "auto" else None
    return value if known and known.isprintable() else obscure(value, key)


def _cipher(start: bytes, data: bytes) -> bytes:
    from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

    context = Cipher(algorithms.AES(_KEY), modes.CTR(start)).encryptor()
    return context.update(data) + context.finalize()

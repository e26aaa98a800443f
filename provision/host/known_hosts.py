"""The user's known_hosts files: which keys they pin for a server."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from pathlib import Path

from provision import errors, hostkeys

_MAX_BYTES = 32 * 1024 * 1024
_KRL = b"SSHKRL\n\0"


def trusted(files: Iterable[Path], names: tuple[str, ...]) -> hostkeys.Trust:
    """Return what `files` say of the server called `names`; the first name with a key counts.

    A file that is not there or cannot be read pins nothing.
    """
    found: list[hostkeys.Entry] = []
    read: list[str] = []
    for path in files:
        text = _text(path)
        if text:
            read.append(str(path))
            found += hostkeys.entries(text, str(path))
    return hostkeys.trusted(found, *names, source=", ".join(read))


def revoked(path: Path, host: str) -> list[hostkeys.Entry]:
    """Return the keys that the file of RevokedHostKeys lists, one a line.

    Raises `errors.HostKeyError` for a file that cannot be read, as ssh refuses every key then,
    and for a revocation list in OpenSSH's binary format.
    """
    hint = "name a file with one public key a line in RevokedHostKeys, or remove the setting"
    try:
        with path.open("rb") as opened:
            content = opened.read(_MAX_BYTES)
    except OSError as error:
        raise errors.HostKeyError(
            f"{path}, which RevokedHostKeys names for {host}, cannot be read",
            host=host,
            expected="",
            got="",
            detail=error.strerror or str(error),
            hint=hint,
        ) from error
    if content.startswith(_KRL):
        raise errors.HostKeyError(
            f"{path}, which RevokedHostKeys names for {host}, is a binary revocation list (KRL),"
            " and elysium does not read these",
            host=host,
            expected="",
            got="",
            hint=hint,
        )
    lines = content.decode("utf-8", "replace").splitlines()
    found: list[hostkeys.Entry] = []
    for number, line in enumerate(lines, 1):
        with contextlib.suppress(ValueError):
            entry = hostkeys.parse_entry(f"@revoked * {line.strip()}", f"{path}:{number}")
            found += [entry] if entry is not None else []
    return found


def _text(path: Path) -> str:
    try:
        if not path.is_file():
            return ""
        with path.open("rb") as opened:
            return opened.read(_MAX_BYTES).decode("utf-8", "replace")
    except OSError:
        return ""

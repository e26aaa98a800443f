"""Sealing keys and certificates, from the files that the command line names."""

from __future__ import annotations

from pathlib import Path

from provision import errors
from provision.cli.settings import Settings
from provision.gitops import sealing

CERTIFICATE = "etc/certs/pub-sealed-secrets.pem"
"""Where an Elysium repository keeps the public certificate."""


def read(called: Settings, path: Path) -> list[sealing.SealingKey]:
    """Return the keys in `path`, newest first; their texts are never printed from here on."""
    text = read_text(path)
    keys = sealing.read_keys(text, where=path.name)
    called.terminal.keep_secret(key.private_pem for key in keys)
    return sealing.newest_first(keys)


def find_certificate(given: Path | None, start: Path) -> str:
    """Return the certificate in `given`, else of the repository that `start` is in."""
    if given is not None:
        return read_text(given)
    start = start.absolute()
    for folder in (start, *start.parents):
        if (folder / CERTIFICATE).is_file():
            return read_text(folder / CERTIFICATE)
    raise errors.ConfigError(
        f"no {CERTIFICATE} is in {start} or above it",
        [],
        hint="name the certificate: --cert FILE",
    )


def read_text(path: Path) -> str:
    """Return the text of `path`. Raises `errors.ConfigError`."""
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not text"
        raise errors.ConfigError(f"{path} cannot be read", [], hint=reason) from error

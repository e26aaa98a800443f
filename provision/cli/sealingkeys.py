"""Sealing keys and certificates, from the files that the command line names."""

from __future__ import annotations

from pathlib import Path

from provision import errors
from provision.cli.settings import Settings
from provision.gitops.sealing import keys as sealing_keys

CERTIFICATE = "etc/certs/pub-sealed-secrets.pem"
"""Where an Elysium repository keeps the public certificate."""


def read(called: Settings, path: Path | None) -> list[sealing_keys.SealingKey]:
    """Return the keys in `path`, else those of the stack, newest first.

    Their texts are never printed from here on. Contacts nothing. Raises
    `errors.ConfigError` where there are none.
    """
    if path is None:
        return _of_the_stack(called)
    keys = sealing_keys.read_keys(read_text(path), where=path.name)
    called.terminal.keep_secret(key.private_pem for key in keys)
    return sealing_keys.newest_first(keys)


def _of_the_stack(called: Settings) -> list[sealing_keys.SealingKey]:
    from provision.cli import stack_context
    from provision.operations import repository

    try:
        with stack_context.stack(called) as stack:
            keys = repository.known_keys(stack)
            name = stack.ref.stack
    except errors.ConfigError as error:
        hint = "name the keys: --keys FILE"
        hint = f"{error.hint}; or {hint}" if error.hint else hint
        raise errors.ConfigError(error.summary, error.problems, hint=hint) from error
    if not keys:
        raise errors.ConfigError(
            f"the state of stack {name} holds no sealing key",
            [],
            hint="`elysium up` makes or reads them; or name a file: --keys FILE",
        )
    called.terminal.keep_secret(key.private_pem for key in keys)
    return keys


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

"""Who may open a backup, and opening one: from options, files, the environment, or asked."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from provision import errors
from provision.cli.settings import Settings

if TYPE_CHECKING:
    from provision.recovery.bundle import encryption

PASSPHRASE_VARIABLE = "ELYSIUM_BACKUP_PASSPHRASE"  # noqa: S105 - a name
SHORTEST = 12

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


def passphrase_option(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add ``--passphrase-file``."""
    return click.option(
        "--passphrase-file",
        type=_FILE,
        help=f"A file that holds the passphrase. Else {PASSPHRASE_VARIABLE}, else it is asked for.",
    )(function)


def opening_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add ``--identity``, ``--passphrase-file`` and ``--verify-key``: how a backup is opened."""
    identity = click.option(
        "-i",
        "--identity",
        "identities",
        type=_FILE,
        multiple=True,
        help="A private key of one of the recipients: as age-keygen writes it, or an SSH key.",
    )
    signer = click.option(
        "--verify-key",
        "verify_keys",
        metavar="KEY",
        multiple=True,
        help="A public SSH key, its fingerprint SHA256:…, or a file of public keys: one of them "
        "must have signed the backup; may be repeated. Default: backup.verifyKeys.",
    )
    return identity(passphrase_option(signer(function)))


def locks(
    called: Settings, recipients: tuple[str, ...], passphrase_file: Path | None
) -> encryption.Locks:
    """Return what a new backup is locked with: `recipients`, or else a passphrase.

    A passphrase that is asked for is asked for twice. Raises
    `errors.ConfigError` when there is nobody to ask, or it is too short.
    """
    from provision.recovery.bundle import encryption

    if recipients and passphrase_file is None:
        return encryption.Recipients(lines=recipients)
    given = _given(called, passphrase_file)
    if given is None:
        _someone_to_ask(
            called, "or set recipients: elysium config set backup.recipients age1… (age-keygen)"
        )
        given = called.terminal.ask("Passphrase for the backup", secret=True)
        if called.terminal.ask("The same again", secret=True) != given:
            raise errors.ConfigError("the two passphrases differ; nothing was made", [])
    if len(given) < SHORTEST:
        raise errors.ConfigError(
            f"the passphrase is shorter than {SHORTEST} characters",
            [],
            hint="everything that the cluster can do is behind it: five random words are good",
        )
    return _passphrase(given)


def keys(
    called: Settings, file: bytes, identities: tuple[Path, ...], passphrase_file: Path | None
) -> encryption.Keys:
    """Return what opens the backup `file`, asked for if need be.

    Raises `errors.ConfigError` when it is not given and cannot be asked for.
    """
    from provision.recovery.bundle import encryption

    if encryption.locked_with(file) == "recipients":
        if not identities:
            raise errors.ConfigError(
                "the backup is locked for recipients",
                [],
                hint="give a private key: --identity FILE",
            )
        texts = tuple(encryption.read_key_file(path) for path in identities)
        called.terminal.keep_secret(texts)
        return encryption.Identities(texts=texts)
    given = _given(called, passphrase_file)
    if given is None:
        _someone_to_ask(called, f"or set {PASSPHRASE_VARIABLE}")
        given = called.terminal.ask("Passphrase of the backup", secret=True)
    return _passphrase(given)


def recipients(identities: tuple[Path, ...]) -> tuple[str, ...]:
    """Return the public keys of private key files: those who opened a backup with them own both.

    Raises `errors.ConfigError` and `errors.BundleKeyError`.
    """
    from provision.recovery.bundle import encryption

    texts = tuple(encryption.read_key_file(path) for path in identities)
    return encryption.recipients_of(encryption.Identities(texts=texts))


def _given(called: Settings, passphrase_file: Path | None) -> str | None:
    from provision.secret import Secret

    if passphrase_file is not None:
        try:
            text = passphrase_file.read_text(encoding="utf-8").strip("\r\n")
        except (OSError, UnicodeDecodeError) as error:
            raise errors.ConfigError(f"{passphrase_file} cannot be read as text", []) from error
    elif PASSPHRASE_VARIABLE in os.environ:
        text = os.environ[PASSPHRASE_VARIABLE]
    else:
        return None
    called.terminal.keep_secret([Secret(text)])
    return text


def _passphrase(text: str) -> encryption.Passphrase:
    from provision.recovery.bundle import encryption
    from provision.secret import Secret

    return encryption.Passphrase(secret=Secret(text))


def _someone_to_ask(called: Settings, otherwise: str) -> None:
    if not called.terminal.can_ask:
        raise errors.ConfigError(
            "there is nobody to ask for the passphrase",
            [],
            hint=f"give --passphrase-file FILE, {otherwise}",
        )

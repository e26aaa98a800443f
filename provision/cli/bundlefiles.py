"""Finding a backup's file and opening it, wherever the command is called."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Generator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from provision.cli import bundlekeys
from provision.cli.settings import Settings

if TYPE_CHECKING:
    from provision.recovery.backup import catalog
    from provision.recovery.bundle import archive, signature


def find(called: Settings, file: str | None) -> tuple[catalog.Shelf | None, Path]:
    """Return the shelf, if there is a stack here, and the file's path.

    A backup can be opened anywhere: a path needs no stack around it.
    """
    from provision import errors
    from provision.recovery.backup import catalog

    try:
        where = catalog.shelf(called.directory, called.stack)
    except errors.ConfigError:
        if file is None or not Path(file).is_file():
            raise
        return None, Path(file)
    return where, where.find(file)


def open_(
    called: Settings, file: str | None, **options: Any
) -> tuple[catalog.Shelf | None, Path, archive.Bundle]:
    """Return the shelf, the file's path, and the bundle in it."""
    from provision.recovery.backup import catalog

    where, path = find(called, file)
    return where, path, unlock(called, path, catalog.load(path), **options)


def unlock(
    called: Settings,
    path: Path,
    content: bytes,
    identities: tuple[Path, ...],
    passphrase_file: Path | None,
    verify_keys: tuple[str, ...],
) -> archive.Bundle:
    """Return the bundle in the age file `content` of `path`, and what its signature says.

    The signature is checked before anything in the file is read. Raises
    `errors.BundleError`, which names the file, and `errors.ConfigError`.
    """
    from provision.recovery.bundle import archive

    checked = signed(called, path, content, verify_keys)
    with naming(path):
        found = archive.read(content, bundlekeys.keys(called, content, identities, passphrase_file))
    return dataclasses.replace(found, signed=checked)


def signed(
    called: Settings, path: Path, content: bytes, verify_keys: tuple[str, ...]
) -> signature.Checked:
    """Return what the signature beside `path` says of the file's `content`.

    The keys are `verify_keys`, else those of the configuration here. Raises
    `errors.BundleSignatureError`, which names the file, and `errors.ConfigError`.
    """
    from provision.recovery.backup import catalog
    from provision.recovery.bundle import signature

    trust = (
        catalog.given_keys(verify_keys)
        if verify_keys
        else catalog.own_keys(called.directory, called.stack, path.name)
    )
    with naming(path):
        return signature.check(catalog.signature_of(path), content, trust)


def checked(path: Path, found: archive.Bundle) -> None:
    """Check that every part of `found` can be used. Raises `errors.BundleError`, with the file."""
    from provision.recovery.bundle import validation as bundle_validation

    with naming(path):
        bundle_validation.check(found)


@contextlib.contextmanager
def naming(path: Path) -> Generator[None]:
    """Put the name of the backup's file before what is wrong with the backup."""
    from provision import errors

    try:
        yield
    except errors.BundleError as error:
        error.summary = f"{path.name}: {error.summary}"
        raise

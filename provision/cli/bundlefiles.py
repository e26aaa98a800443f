"""Finding a backup's file and opening it, wherever the command is called."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from provision.cli import bundlekeys
from provision.cli.settings import Settings

if TYPE_CHECKING:
    from provision.recovery.backup import catalog
    from provision.recovery.bundle import archive


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
    return where, path, unlock(called, catalog.load(path), **options)


def unlock(
    called: Settings, content: bytes, identities: tuple[Path, ...], passphrase_file: Path | None
) -> archive.Bundle:
    """Return the bundle in an age file. Raises `errors.BundleError` and `errors.ConfigError`."""
    from provision.recovery.bundle import archive

    return archive.read(content, bundlekeys.keys(called, content, identities, passphrase_file))

"""What this machine knows of the backups it made: a small file beside the state.

No secret is in it. It says which backups were verified, where copies are, and
which sealing keys each holds, so that ``status`` need not open one.
"""

from __future__ import annotations

import contextlib
import datetime
import fcntl
import os
from collections.abc import Generator, Iterable
from pathlib import Path
from typing import Final, Literal

import pydantic

from provision import errors
from provision.fileio import atomic
from provision.recovery.bundle import manifest

_KEPT: Final = 200


class Entry(manifest.Model):
    """One backup. `places` are the labels of those that have it, verified."""

    file: str
    created: str
    size: int
    sha256: str
    locked: Literal["passphrase", "recipients"]
    signed: str = ""
    """The fingerprint of the key whose signature was checked; empty where none was."""
    verified: str
    places: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    """The labels of configured places that do not have it."""
    sealing_keys: tuple[str, ...] = ()
    datastore: str = ""
    revision: str = ""

    def age(self, now: datetime.datetime) -> datetime.timedelta:
        """Return how old the backup's data is."""
        made = datetime.datetime.strptime(self.created, manifest.TIME_FORMAT).replace(
            tzinfo=datetime.UTC
        )
        return now - made


class Records(manifest.Model):
    """All that is known, oldest first."""

    backups: tuple[Entry, ...] = ()

    @property
    def newest(self) -> Entry | None:
        """The newest verified backup."""
        return self.backups[-1] if self.backups else None

    def find(self, file: str) -> Entry | None:
        """Return what is known of the file of that name."""
        return next((entry for entry in self.backups if entry.file == file), None)

    def having(self, entry: Entry) -> Records:
        """Return the records with `entry` in the place of an older one of its file."""
        others = [each for each in self.backups if each.file != entry.file]
        ordered = sorted([*others, entry], key=lambda each: each.created)
        return Records(backups=tuple(ordered[-_KEPT:]))

    def without(self, names: Iterable[str], label: str) -> Records:
        """Return the records after the files `names` were removed from the place `label`."""
        gone = set(names)
        kept: list[Entry] = []
        for each in self.backups:
            places = tuple(p for p in each.places if each.file not in gone or p != label)
            if places or not each.places:
                kept.append(each.model_copy(update={"places": places}))
        return Records(backups=tuple(kept))


def path_of(root: Path, cluster: str) -> Path:
    """Return where the records of `cluster` are, in the project's folder `root`."""
    return root / ".elysium" / f"backups-{cluster}.json"


def load(root: Path, cluster: str) -> Records:
    """Return the records; empty ones where there are none, or none that can be read."""
    try:
        text = path_of(root, cluster).read_bytes()
        return Records.model_validate_json(text, by_alias=True, by_name=False)
    except (OSError, pydantic.ValidationError):
        return Records()  # they only speed things up: the bundles themselves are what counts


def save(root: Path, cluster: str, found: Records) -> None:
    """Write the records, whole."""
    text = found.model_dump_json(by_alias=True, indent=1)
    atomic.write(path_of(root, cluster), text.encode() + b"\n")


@contextlib.contextmanager
def only_one(root: Path, cluster: str) -> Generator[None]:
    """Hold the lock of this machine's backups of `cluster`, or raise `errors.ElysiumError`."""
    path = path_of(root, cluster).with_suffix(".lock")
    atomic.folder(path.parent)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise errors.ElysiumError(
                f"another backup of {cluster} is being made on this machine right now",
                hint="wait until it is done",
            ) from error
        yield
    finally:
        os.close(descriptor)

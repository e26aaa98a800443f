"""Making a backup: collected, checked, encrypted, written, read back, copied, old ones removed.

`STEPS` is the whole of it, in order; each may be the last one that ran.
Nothing is anywhere before it is whole: killed at any point, there is either
no file or one that verifies, and running again makes another.
"""

from __future__ import annotations

import contextlib
import datetime
import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

from provision import errors
from provision.progress import Progress, silent
from provision.recovery.backup import (
    catalog,
    collect,
    destinations,
    records,
    retention,
    signing,
)
from provision.recovery.bundle import archive as bundle_archive
from provision.recovery.bundle import encryption, manifest
from provision.recovery.bundle import signature as bundle_signature
from provision.recovery.bundle import validation as bundle_validation

if TYPE_CHECKING:
    from provision.operations.stack import Stack


@dataclass(frozen=True, kw_only=True)
class Made:
    """A backup that was made and verified. `removed` are older ones, as ``place/name``."""

    manifest: manifest.Manifest
    path: Path
    entry: records.Entry
    removed: tuple[str, ...]
    seconds: float


@dataclass(kw_only=True)
class Work:
    """One run. What the steps make is kept in the last fields."""

    stack: Stack
    locks: encryption.Locks
    choice: collect.Choice
    signer: signing.Signer | None = None
    first: destinations.Folder
    others: tuple[destinations.Place, ...]
    keep: int
    days: int
    progress: Progress = silent
    parts: tuple[bundle_archive.Part, ...] = field(default=(), repr=False)
    archive: bytes = field(default=b"", repr=False)
    file: bytes = field(default=b"", repr=False)
    signature: bytes = field(default=b"", repr=False)
    witness: encryption.Keys | None = None
    removed: tuple[str, ...] = ()
    _listed: manifest.Manifest | None = None
    _entry: records.Entry | None = None

    @property
    def listed(self) -> manifest.Manifest:
        """The manifest, once there is one."""
        assert self._listed is not None  # noqa: S101 - the first steps make it
        return self._listed

    @listed.setter
    def listed(self, made: manifest.Manifest) -> None:
        self._listed = made

    @property
    def entry(self) -> records.Entry:
        """The record, once there is one."""
        assert self._entry is not None  # noqa: S101 - `record` makes it
        return self._entry

    @entry.setter
    def entry(self, made: records.Entry) -> None:
        self._entry = made

    @property
    def cluster(self) -> str:
        """The cluster's name."""
        return self.stack.config.cluster

    @property
    def path(self) -> Path:
        """Where the file is."""
        return self.first.path / self.listed.file_name


@dataclass(frozen=True, kw_only=True)
class Step:
    """One step."""

    name: str
    do: Callable[[Work], None]


def make(
    stack: Stack,
    locks: encryption.Locks,
    choice: collect.Choice,
    *,
    keep: int | None = None,
    days: int | None = None,
    progress: Progress = silent,
) -> Made:
    """Make a backup of `stack` that `locks` opens; keep it where the configuration says.

    `keep` and `days` go before the configuration's. When a place does not take
    its copy, the others still get theirs, nothing old is removed, and the
    first failure is raised at the end. Raises `errors.ElysiumError`.
    """
    began = time.monotonic()
    cfg, root = stack.config.backup, stack.directory
    cluster = stack.config.cluster
    if isinstance(locks, encryption.Recipients):
        encryption.check_recipients(locks.lines)
    signer = signing.of(root, cfg)
    if signer is not None:
        signer.check()
    first, others = destinations.of(root, cluster, cfg)
    work = Work(
        stack=stack,
        locks=locks,
        choice=choice,
        signer=signer,
        first=first,
        others=others,
        keep=cfg.keep if keep is None else keep,
        days=cfg.keep_days if days is None else days,
        progress=progress,
    )
    with records.only_one(root, cluster):
        for step in STEPS:
            step.do(work)
    return Made(
        manifest=work.listed,
        path=work.path,
        entry=work.entry,
        removed=work.removed,
        seconds=time.monotonic() - began,
    )


def look(work: Work) -> None:
    """See that every place can take a backup, before anything is made.

    A machine that is down now is none of that: the others get theirs, and it
    is named at the end.
    """
    for place in (work.first, *work.others):
        with contextlib.suppress(errors.RemoteError):
            place.check()


def gather(work: Work) -> None:
    """Collect the parts from folder, cluster and node."""
    described, work.parts = collect.collect(work.stack, work.choice, work.progress)
    work.listed, work.archive = bundle_archive.pack(described, work.parts)


def check(work: Work) -> None:
    """See that what was collected is what a restore needs, before any of it is written."""
    collected = {part.name: part.content for part in work.parts}
    try:
        bundle_validation.check(bundle_archive.Bundle(manifest=work.listed, contents=collected))
    except errors.BundleError as error:
        error.hint = "no backup was made; elysium status says how the cluster is"
        raise
    work.parts = ()


def encrypt(work: Work) -> None:
    """Lock the archive."""
    work.progress("encrypting")
    work.file, work.witness = encryption.encrypt_with_witness(work.archive, work.locks)
    work.archive = b""


def sign(work: Work) -> None:
    """Sign the file, as it is encrypted."""
    if work.signer is not None:
        work.progress(f"signing with {work.signer.key.fingerprint}")
        work.signature = work.signer.of(work.file)


def write(work: Work) -> None:
    """Write the file, whole, and its signature."""
    work.progress(f"writing {work.listed.file_name}")
    destinations.keep(work.first, work.listed.file_name, work.file, work.signature)


def read_back(work: Work) -> None:
    """Open the file as it is on the disk, and compare; remove it when it is not right."""
    work.progress("reading it back")
    path, witness = work.path, work.witness
    assert witness is not None  # noqa: S101 - `encrypt` makes it
    try:
        content = path.read_bytes()
        if work.signer is not None:
            text = catalog.signature_of(path) or b""
            bundle_signature.verify(text, content, [work.signer.key.fingerprint])
        found = bundle_archive.read(content, witness)
        if found.manifest != work.listed:
            raise errors.BundleDamagedError("the backup that was read back is not the one written")
    except (errors.BundleError, OSError) as error:
        work.first.remove(path.name)
        if type(error) is errors.BundleError:
            raise  # this machine cannot open it now; nothing says that the file is damaged
        raise errors.BundleDamagedError(
            f"the backup could not be read back from {path}",
            detail=str(error),
            hint="look at the disk and its file system, then run elysium backup again",
        ) from error


def record(work: Work) -> None:
    """Note that there is one, and what it holds."""
    listed = work.listed
    work.entry = records.Entry(
        file=listed.file_name,
        created=listed.created,
        size=len(work.file),
        sha256=hashlib.sha256(work.file).hexdigest(),
        locked="passphrase" if isinstance(work.locks, encryption.Passphrase) else "recipients",
        signed=work.signer.key.fingerprint if work.signer is not None else "",
        verified=manifest.now(),
        places=(work.first.label,),
        missing=tuple(place.label for place in work.others),
        sealing_keys=listed.sealing_keys,
        datastore=listed.datastore.kind if listed.datastore.part else "",
        revision=listed.git.revision,
    )
    _record(work)


def copy(work: Work) -> None:
    """Put the file into the other places, noting each; raise the first failure at the end."""
    failure: errors.ElysiumError | None = None
    for place in work.others:
        work.progress(f"copying it to {place.label}")
        try:
            destinations.keep(place, work.entry.file, work.file, work.signature)
        except errors.ElysiumError as error:
            failure = failure or error
            continue
        entry = work.entry
        work.entry = entry.model_copy(
            update={
                "places": (*entry.places, place.label),
                "missing": tuple(label for label in entry.missing if label != place.label),
            }
        )
        _record(work)
    if failure is not None:
        raise failure


def prune(work: Work) -> None:
    """Remove what is no longer wanted, everywhere."""
    work.progress("removing old ones")
    removed: list[str] = []
    now = datetime.datetime.now(datetime.UTC)
    root, newest = work.stack.directory, work.listed.file_name
    for place in (work.first, *work.others):
        old = retention.surplus(
            place.names(), keep=work.keep, days=work.days, now=now, spare=newest
        )
        for name in old:
            place.remove(name)
            removed.append(f"{place.label}/{name}")
        if old:
            known = records.load(root, work.cluster).without(old, place.label)
            records.save(root, work.cluster, known)
    work.removed = tuple(removed)


def _record(work: Work) -> None:
    root = work.stack.directory
    records.save(root, work.cluster, records.load(root, work.cluster).having(work.entry))


STEPS: Final = (
    Step(name="look", do=look),
    Step(name="gather", do=gather),
    Step(name="check", do=check),
    Step(name="encrypt", do=encrypt),
    Step(name="sign", do=sign),
    Step(name="write", do=write),
    Step(name="read-back", do=read_back),
    Step(name="record", do=record),
    Step(name="copy", do=copy),
    Step(name="prune", do=prune),
)

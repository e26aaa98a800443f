"""Making a backup: collected, encrypted, written, read back, copied, old ones removed.

Nothing is anywhere before it is whole: killed at any point, there is either
no file or one that verifies, and running again makes another.
"""

from __future__ import annotations

import datetime
import hashlib
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from provision import errors
from provision.progress import Progress, silent
from provision.recovery import (
    bundle,
    collect,
    envelope,
    manifest,
    places,
    records,
    retention,
    soundness,
)

if TYPE_CHECKING:
    from provision.operations import Stack


@dataclass(frozen=True, kw_only=True)
class Made:
    """A backup that was made and verified. `removed` are older ones, as ``place/name``."""

    manifest: manifest.Manifest
    path: Path
    entry: records.Entry
    removed: tuple[str, ...]
    seconds: float


def make(
    stack: Stack,
    locks: envelope.Locks,
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
    if isinstance(locks, envelope.Recipients):
        envelope.check_recipients(locks.lines)
    first, others = places.of(root, cluster, cfg)
    with records.only_one(root, cluster):
        for place in (first, *others):
            place.check()
        described, contents = collect.collect(stack, choice, progress)
        progress("encrypting")
        listed, archive = bundle.pack(described, contents)
        _check(listed, contents)
        file, witness = envelope.encrypt_with_witness(archive, locks)
        del contents, archive
        progress(f"writing {listed.file_name}")
        first.put(listed.file_name, file)
        path = first.path / listed.file_name
        progress("reading it back")
        _read_back(path, witness, listed)
        entry = records.Entry(
            file=listed.file_name,
            created=listed.created,
            size=len(file),
            sha256=hashlib.sha256(file).hexdigest(),
            locked="passphrase" if isinstance(locks, envelope.Passphrase) else "recipients",
            verified=records.now(),
            places=(first.label,),
            missing=tuple(place.label for place in others),
            sealing_keys=listed.sealing_keys,
            datastore=listed.datastore.kind if listed.datastore.part else "",
            revision=listed.git.revision,
        )
        _record(root, cluster, entry)
        entry = _spread(root, cluster, entry, file, others, progress)
        progress("removing old ones")
        limits = (cfg.keep if keep is None else keep, cfg.keep_days if days is None else days)
        removed = _prune(root, cluster, listed.file_name, (first, *others), *limits)
    return Made(
        manifest=listed,
        path=path,
        entry=entry,
        removed=removed,
        seconds=time.monotonic() - began,
    )


def _check(listed: manifest.Manifest, contents: Iterable[bundle.Part]) -> None:
    """See that what was collected is what a restore needs, before any of it is written."""
    collected = {part.name: part.content for part in contents}
    try:
        soundness.check(bundle.Bundle(manifest=listed, contents=collected))
    except errors.BundleError as error:
        error.hint = "no backup was made; elysium status says how the cluster is"
        raise


def _read_back(path: Path, witness: envelope.Keys, listed: manifest.Manifest) -> None:
    """Open the file as it is on the disk, and compare; remove it when it is not right."""
    try:
        found = bundle.read(path.read_bytes(), witness)
        if found.manifest != listed:
            raise errors.BundleDamagedError("the backup that was read back is not the one written")
    except (errors.BundleError, OSError) as error:
        path.unlink(missing_ok=True)
        raise errors.BundleDamagedError(
            f"the backup could not be read back from {path}",
            detail=str(error),
            hint="look at the disk and its file system, then run elysium backup again",
        ) from error


def _spread(
    root: Path,
    cluster: str,
    entry: records.Entry,
    file: bytes,
    others: tuple[places.Place, ...],
    progress: Progress,
) -> records.Entry:
    """Put the file into the other places, recording each; raise the first failure at the end."""
    failure: errors.ElysiumError | None = None
    for place in others:
        progress(f"copying it to {place.label}")
        try:
            place.put(entry.file, file)
        except errors.ElysiumError as error:
            failure = failure or error
            continue
        entry = entry.model_copy(
            update={
                "places": (*entry.places, place.label),
                "missing": tuple(label for label in entry.missing if label != place.label),
            }
        )
        _record(root, cluster, entry)
    if failure is not None:
        raise failure
    return entry


def _prune(
    root: Path,
    cluster: str,
    newest: str,
    everywhere: tuple[places.Place, ...],
    keep: int,
    days: int,
) -> tuple[str, ...]:
    removed: list[str] = []
    now = datetime.datetime.now(datetime.UTC)
    for place in everywhere:
        old = retention.surplus(place.names(), keep=keep, days=days, now=now, spare=newest)
        for name in old:
            place.remove(name)
            removed.append(f"{place.label}/{name}")
        if old:
            known = records.load(root, cluster).without(old, place.label)
            records.save(root, cluster, known)
    return tuple(removed)


def _record(root: Path, cluster: str, entry: records.Entry) -> None:
    records.save(root, cluster, records.load(root, cluster).having(entry))

"""What can be done to a stack's state besides running a program.

For the ``file://`` backend. Whatever writes takes the stack's lock, folds in
the journal of a crashed run first, and keeps the state it replaces as
``.bak``. None of it needs the passphrase, except to show secrets.
"""

from __future__ import annotations

import contextlib
import datetime
import json
import time
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from provision import crypter, errors, safejson
from provision.engine import api
from provision.engine.state import (
    backend,
    checkpoint,
    deployment,
    graph,
    integrity,
    journal,
    lock,
    repair,
)
from provision.fileio import atomic
from provision.secret import Secret


@dataclass(frozen=True, kw_only=True)
class StackInfo:
    """One stack of a backend. `resources` counts without providers and the stack itself."""

    project: str
    stack: str
    resources: int
    updated: datetime.datetime | None
    locked_by: str = ""
    problem: str = ""


@dataclass(frozen=True, kw_only=True)
class HistoryEntry:
    """One run, newest first in `history`."""

    kind: str
    started: datetime.datetime
    seconds: int
    ok: bool
    changes: dict[str, int]
    message: str = ""


def ls(url: str, root: Path) -> list[StackInfo]:
    """Return every stack of the backend `url`; broken ones with what is wrong with them."""
    folder = backend.folder_of(url, root) / ".pulumi" / "stacks"
    found: list[StackInfo] = []
    for path in sorted(folder.glob("*/*.json")):
        project, stack = path.parent.name, path.stem
        place = backend.FileBackend(url, root, project, stack)
        holders = [lock.describe(body) for _, body in lock.held(place.locks)]
        modified = datetime.datetime.fromtimestamp(path.stat().st_mtime, datetime.UTC)
        number, problem = 0, ""
        try:
            document = journal.load(place).document
        except errors.StackError as error:
            problem = error.summary
        else:
            number = len(graph.visible(document)) if document is not None else 0
        found.append(
            StackInfo(
                project=project,
                stack=stack,
                resources=number,
                updated=modified,
                locked_by=", ".join(holders),
                problem=problem,
            )
        )
    return found


def export(ref: api.StackRef, passphrase: Secret | None = None) -> dict[str, Any]:
    """Return the deployment as `pulumi stack export` gives it.

    With a passphrase, secrets are shown: the caller answers for where that
    goes. Raises `errors.StackError` where there is no such stack.
    """
    document = _document(_place(ref), ref)
    latest = dict(checkpoint.latest(document))
    if passphrase is not None:
        opened = crypter.PassphraseCrypter.from_salt(checkpoint.salt(document), passphrase)
        latest = deployment.shown(latest, opened)
    head = {key: document[key] for key in ("version", "features") if key in document}
    return {**head, "deployment": latest}


def check_import(ref: api.StackRef, exported: dict[str, Any]) -> checkpoint.Document:
    """Return the state that `exported` would become.

    Raises `errors.StackError` for one that belongs to another stack, breaks a
    rule, or holds secrets that are not encrypted.
    """
    if not isinstance(exported.get("deployment"), dict):
        raise errors.StackError(
            "this is no exported stack: it has no deployment", operation="import"
        )
    name = f"organization/{ref.project}/{ref.stack}"
    body = {"stack": name, "latest": exported["deployment"]}
    head = {key: exported[key] for key in ("version", "features") if key in exported}
    text = json.dumps({**head, "checkpoint": body})
    document = checkpoint.parse(text, "to be imported", ref.project, ref.stack)
    integrity.require(document, "to be imported")
    plain = sorted(deployment.plaintext(exported["deployment"], ""))
    if plain:
        raise errors.StackError(
            "the deployment holds secrets that are not encrypted",
            operation="import",
            detail="\n".join(plain[:20]),
            hint="export it again without --show-secrets",
        )
    return document


def import_(ref: api.StackRef, exported: dict[str, Any]) -> None:
    """Replace the state by an exported deployment. Raises as `check_import` does."""
    document = check_import(ref, exported)
    with _writing(ref) as place:
        place.keep_previous()
        place.write(document)


def history(ref: api.StackRef) -> list[HistoryEntry]:
    """Return the runs of a stack, newest first. Files that cannot be read are passed over."""
    found: list[HistoryEntry] = []
    for path in sorted(_place(ref).history.glob("*.history.json"), reverse=True):
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError, OverflowError):
            body = safejson.loads(path.read_bytes())
            start = int(body["startTime"])
            found.append(
                HistoryEntry(
                    kind=str(body["kind"]),
                    started=datetime.datetime.fromtimestamp(start, datetime.UTC),
                    seconds=int(body.get("endTime", start)) - start,
                    ok=body.get("result") == "succeeded",
                    changes=dict(body.get("resourceChanges") or {}),
                    message=str(body.get("message", "")),
                )
            )
    return found


def draw(ref: api.StackRef, form: graph.Form) -> str:
    """Return the stack's resources and what they depend on, as text, DOT or SVG."""
    return graph.draw(_document(_place(ref), ref), form)


def resources(ref: api.StackRef) -> tuple[graph.Node, ...]:
    """Return the stack's resources and what they depend on, as data."""
    return graph.nodes(_document(_place(ref), ref))


def exists(ref: api.StackRef) -> bool:
    """Return whether the backend holds a state of this stack, readable or not."""
    return _place(ref).path.exists()


def holders(ref: api.StackRef) -> list[str]:
    """Return who holds locks of the stack."""
    return [lock.describe(body) for _, body in lock.held(_place(ref).locks)]


def unlock(ref: api.StackRef) -> list[str]:
    """Take every lock of the stack away; return who held them."""
    found: list[str] = []
    for path, body in lock.held(_place(ref).locks):
        path.unlink(missing_ok=True)
        found.append(lock.describe(body))
    return found


def mend(ref: api.StackRef, *, write: bool) -> list[repair.Finding]:
    """Return what is wrong with a stack's state and, with `write`, mend it.

    A file that cannot be read at all is replaced by the newest readable one
    before it.
    """
    with _writing(ref) if write else contextlib.nullcontext(_place(ref)) as place:
        try:
            document = place.read()
        except checkpoint.UnsupportedError:
            raise  # the file is intact: an older state must not take its place
        except errors.StackError as error:
            return _restore(place, error, write=write)
        if document is None:
            raise _absent(ref)
        mended, found = repair.mend(document)
        if write and mended is not document:
            place.keep_previous()
            place.write(mended)
    found += [
        repair.Finding(
            message=f"{path} holds what a cut off run had noted and was not used; after "
            "`elysium refresh` it can be deleted",
            blocks=False,
        )
        for path in sorted(place.path.parent.glob(f"{place.journal.name}.*.aside"))
    ]
    return found


def forget(
    ref: api.StackRef, gone: frozenset[str], severed: frozenset[str] = frozenset()
) -> list[str]:
    """Drop the resources of the URNs `gone` from the state, and delete nothing.

    What stays loses its properties named in `severed`: they led to what is gone.
    Returns those that were in it. The state as it was is kept, as ``.bak`` and
    among the backups, which outlast the next run. Raises `errors.StackError` where something
    that stays is served by a provider that would go, with the file as it was.
    """
    with _writing(ref) as place:
        document = _document(place, ref)
        left, found = repair.without(document, gone, severed)
        if found:
            integrity.require(left, "without them")
            place.keep_previous()
            atomic.keep(place.path, place.backups / f"{ref.stack}.{time.time_ns()}.json")
            place.write(left)
    return found


def rename(ref: api.StackRef, name: str) -> None:
    """Give a stack another name: its URNs, its state, its history.

    ``Pulumi.<stack>.yaml`` is the caller's to rename. A Kubernetes provider
    that is named after the stack goes on as the same one.
    """
    target = backend.FileBackend(ref.backend, ref.root, ref.project, name)
    if target.path.exists():
        raise errors.StackError(f"there is a stack '{name}' already", operation="rename")
    with _writing(ref) as place, lock.StackLock(target.locks):
        document = _document(place, ref)
        latest = deployment.renamed(checkpoint.latest(document), ref.project, ref.stack, name)
        full = f"organization/{ref.project}/{name}"
        target.write({**document, "checkpoint": {"stack": full, "latest": latest}})
        for before, after in ((place.history, target.history), (place.backups, target.backups)):
            if before.is_dir() and not after.exists():
                atomic.folder(after.parent)
                before.replace(after)
        _forget(place)


def remove(ref: api.StackRef, *, force: bool = False) -> None:
    """Remove a stack with its history. Refuses one that still has resources, unless `force`."""
    with _writing(ref) as place:
        document = _document(place, ref)
        left = len(graph.visible(document))
        if left and not force:
            raise errors.StackError(
                f"the stack '{ref.stack}' still has {left} resources",
                operation="rm",
                hint="destroy them first; with --force they are forgotten, not deleted",
            )
        for folder in (place.history, place.backups):
            for path in folder.glob("*"):
                path.unlink()
            with contextlib.suppress(OSError):
                folder.rmdir()
        _forget(place)


def _place(ref: api.StackRef) -> backend.FileBackend:
    return backend.FileBackend(ref.backend, ref.root, ref.project, ref.stack)


@contextlib.contextmanager
def _writing(ref: api.StackRef) -> Generator[backend.FileBackend]:
    place = _place(ref)
    with lock.StackLock(place.locks):
        with contextlib.suppress(errors.StackError):
            journal.settle(place, journal.load(place))
        yield place


def _document(place: backend.FileBackend, ref: api.StackRef) -> checkpoint.Document:
    document = journal.load(place).document
    if document is None:
        raise _absent(ref)
    return document


def _absent(ref: api.StackRef) -> errors.StackError:
    return errors.StackError(
        f"there is no stack '{ref.stack}' of project '{ref.project}' in {ref.backend}",
        operation="read state",
        hint="`elysium stack ls` lists the stacks there are",
    )


def _restore(
    place: backend.FileBackend, error: errors.StackError, *, write: bool
) -> list[repair.Finding]:
    """Look for the newest state before this one that can be read."""
    candidates = [place.path.with_name(place.path.name + ".bak")]
    candidates += place.backups.glob("*.json")
    candidates = [path for path in candidates if path.exists()]
    for path in sorted(candidates, key=lambda path: path.stat().st_mtime_ns, reverse=True):
        with contextlib.suppress(errors.StackError, OSError):
            text = path.read_text(encoding="utf-8")
            document = checkpoint.parse(text, str(path), place.project, place.stack)
            integrity.require(document, str(path))
            if write:
                aside = place.path.with_name(f"{place.path.name}.broken")
                atomic.keep(place.path, aside)
                place.write(document)
            remedy = f"{path} takes its place; then run `elysium refresh` and `elysium preview`"
            return [repair.Finding(message=error.summary, remedy=remedy)]
    return [repair.Finding(message=error.summary)]


def _forget(place: backend.FileBackend) -> None:
    for path in place.path.parent.glob(f"{place.path.name}*"):
        path.unlink()
    with contextlib.suppress(OSError):
        place.path.parent.rmdir()

"""Files that elysium wrote and a crash, a disk or a hand may have changed."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Final

from provision.cli import merged_kubeconfigs
from provision.engine.state import backend, checkpoint, graph, integrity, ledger, lock, repair
from provision.engine.state import journal as state_journal
from provision.fileio import transaction
from provision.recovery import journal
from provision.recovery.backup import records
from tests.support import forged, restores
from tests.torture.fuzz.target import Target

_DEPLOYMENT: Final = restores.state(forged.KEY)["deployment"]
_STATE: Final = json.dumps(
    {"version": 3, "checkpoint": {"stack": "organization/elysium/kyrion", "latest": _DEPLOYMENT}}
).encode()
_LEDGER: Final = ledger.Ledger(json.loads(_STATE))
_RESOURCE: Final = _DEPLOYMENT["resources"][2]
_JOURNAL: Final = b"".join(
    state_journal.line(entry)
    for entry in (
        _LEDGER.start(state_journal.digest(_STATE)),
        {"do": "begin", "id": 1, "operation": {"resource": _RESOURCE, "type": "updating"}},
        {"do": "put", "cell": 9, "resource": _RESOURCE, "takes": 2},
        {"do": "edit", "cell": 9, "resource": _RESOURCE},
        {"do": "end", "id": 1},
        {"do": "rename", "old": "urn:a", "new": "urn:b"},
        {"do": "settle", "urn": "urn:a"},
        {"do": "drop", "cell": 9},
    )
)


def _place(folder: Path) -> backend.FileBackend:
    place = backend.FileBackend(f"file://{folder}", folder, "elysium", "kyrion")
    place.path.parent.mkdir(parents=True, exist_ok=True)
    return place


def _read_state(data: bytes, folder: Path) -> None:
    place = _place(folder)
    document = place.parse(data)
    repair.mend(document)
    integrity.require(document, "here")
    for form in ("text", "dot", "svg"):
        graph.draw(document, form)
    checkpoint.dump(document)


def _read_salt(data: bytes, folder: Path) -> None:
    place = _place(folder)
    zipped = place.path.with_name(place.path.name + ".gz")
    place.path.unlink(missing_ok=True)
    zipped.write_bytes(data)
    place.salt()
    zipped.unlink()
    place.path.write_bytes(data)
    place.salt()


def _read_state_journal(data: bytes, folder: Path) -> None:
    place = _place(folder)
    place.path.write_bytes(_STATE)
    place.journal.write_bytes(data)
    state_journal.load(place)


def _read_locks(data: bytes, folder: Path) -> None:
    (folder / "locks").mkdir(exist_ok=True)
    (folder / "locks" / "x.json").write_bytes(data)
    for _, body in lock.held(folder / "locks"):
        lock.describe(body)


def _read_restore(data: bytes, folder: Path) -> None:
    path = journal.path_of(folder, "kyrion")
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(data)
    found = journal.load(folder, "kyrion")
    for run in found.runs:
        run.seconds  # noqa: B018 - read for what it raises


def _read_records(data: bytes, folder: Path) -> None:
    path = records.path_of(folder, "kyrion")
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(data)
    found = records.load(folder, "kyrion")
    found.newest  # noqa: B018


def _read_switch(data: bytes, folder: Path) -> None:
    (folder / "switch.json").write_bytes(data)
    transaction.finish(folder / "switch.json")


def _read_merged(data: bytes, folder: Path) -> None:
    path = merged_kubeconfigs._file(folder, "kyrion")
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(data)
    merged_kubeconfigs._known(folder, "kyrion")


TARGETS: Final = (
    Target(name="state", seeds=(_STATE,), read=_read_state, form="json"),
    Target(name="state-salt", seeds=(_STATE, gzip.compress(_STATE)), read=_read_salt),
    Target(name="state-journal", seeds=(_JOURNAL,), read=_read_state_journal),
    Target(
        name="state-locks",
        seeds=(b'{"pid": 1, "username": "me", "hostname": "h", "timestamp": "2020-01-01"}',),
        read=_read_locks,
        form="json",
    ),
    Target(
        name="restore-journal",
        seeds=(
            b'{"schemaVersion": 1, "runs": [{"cluster": "kyrion", "bundle": "b", "file": "f",'
            b' "created": "2020-01-01T00:00:00Z", "mode": "rebuild", "host": "h", "port": 22,'
            b' "began": "2020-01-01T00:00:00Z", "done": [{"step": "s", "seconds": 1.0}]}]}',
        ),
        read=_read_restore,
        form="json",
    ),
    Target(
        name="backup-records",
        seeds=(
            b'{"backups": [{"file": "f", "created": "2020-01-01T00:00:00Z", "size": 1,'
            b' "sha256": "a", "locked": "recipients", "verified": "2020-01-01T00:00:00Z",'
            b' "places": ["x"], "sealingKeys": ["y"]}]}',
        ),
        read=_read_records,
        form="json",
    ),
    Target(
        name="switch-record",
        seeds=(b'{"state": "committed", "files": []}', b'{"state": "prepared", "files": [{}]}'),
        read=_read_switch,
        form="json",
    ),
    Target(
        name="merged-kubeconfigs",
        seeds=(b'[{"file": "/x", "context": "kyrion"}]',),
        read=_read_merged,
        form="json",
    ),
)

"""The journal of a run, and what becomes of it after a crash.

One line of JSON for each group of `ledger` entries that belong together; a
last line that was cut off does not count. After a crash the next run folds
the journal into the checkpoint before it does anything else. A journal whose
checkpoint has been replaced since (another engine went on) is set aside,
never applied, never thrown away.
"""

from __future__ import annotations

import hashlib
import json
import time
from dataclasses import dataclass
from typing import Literal

from provision import errors, safejson
from provision.engine.state import backend, checkpoint, integrity, ledger, shape


@dataclass(frozen=True, kw_only=True)
class Loaded:
    """The state as a run begins with it.

    `journal` says what a crashed run left: nothing, entries that are folded
    into `document`, or entries for a state that has been replaced since.
    """

    document: checkpoint.Document | None
    journal: Literal["none", "folded", "stale"]

    def tell(self) -> str:
        """Return what to say about the crashed run, or an empty text."""
        return {
            "none": "",
            "folded": "the last run was cut off; what it had noted was taken over",
            "stale": "a run was cut off and the state was written by another engine since; what "
            "the cut off run noted was not used: compare with `elysium refresh`",
        }[self.journal]


def load(place: backend.FileBackend) -> Loaded:
    """Return the state with a crashed run's journal folded in. Writes nothing.

    Raises `errors.StackError` for a file that cannot be used.
    """
    loaded = _recover(place)
    if loaded.document is not None:
        integrity.require(loaded.document, str(place.path))
    return loaded


def settle(place: backend.FileBackend, loaded: Loaded) -> None:
    """Write what `load` recovered. The caller holds the stack's lock."""
    if loaded.journal == "folded" and loaded.document is not None:
        place.write(loaded.document)
        place.journal.unlink(missing_ok=True)
    elif loaded.journal == "stale":
        name = f"{place.journal.name}.{time.time_ns()}.aside"
        place.journal.replace(place.journal.with_name(name))


def _recover(place: backend.FileBackend) -> Loaded:
    data, entries = _snapshot(place)
    document = None if data is None else place.parse(data)
    if data is None or document is None or not entries:
        return Loaded(document=document, journal="none")
    try:
        folded = _folded(document, entries, digest(data))
    except (KeyError, ValueError, TypeError, AttributeError, IndexError) as error:
        raise errors.StackError(
            f"what an interrupted run noted in {place.journal} cannot be read",
            operation="read state",
            detail=f"an entry is not as elysium writes it ({type(error).__name__})",
            hint=f"the state before that run is whole: rename the file to "
            f"{place.journal.name}.1.aside, then run 'elysium refresh', which finds what it did",
        ) from error
    if folded is None:
        return Loaded(document=document, journal="stale")
    return Loaded(document=folded, journal="folded")


def _folded(
    document: checkpoint.Document, entries: list[ledger.Entry], name: str
) -> checkpoint.Document | None:
    """Return `document` with the entries after its base; None where no base is the one `name`.

    Raises `KeyError`, `ValueError`, `TypeError`, `AttributeError` or `IndexError` for entries of
    another form.
    """
    matching = [
        index
        for index, entry in enumerate(entries)
        if entry["do"] == "base" and entry["sha256"] == name
    ]
    if not matching:
        return None
    found = ledger.Ledger(document, entries[matching[-1]])
    for entry in entries[matching[-1] + 1 :]:
        if entry["do"] != "base":
            found.apply(entry)
    folded = found.document()
    if wrong := shape.problem(checkpoint.latest(folded)):
        raise ValueError(wrong)
    return folded


def _snapshot(place: backend.FileBackend) -> tuple[bytes | None, list[ledger.Entry]]:
    """Return the checkpoint's bytes and the journal that belongs to them.

    A preview reads while another run may be writing: it looks again when the
    checkpoint was replaced while it read the journal.
    """
    data = place.read_bytes()
    while True:
        entries = _read_journal(place)
        again = place.read_bytes()
        if again == data:
            return data, entries
        data = again


def _read_journal(place: backend.FileBackend) -> list[ledger.Entry]:
    """Return the journal's entries; a last line that was cut off does not count."""
    found: list[ledger.Entry] = []
    if not place.journal.exists():
        return found
    for line in place.journal.read_bytes().split(b"\n")[:-1]:
        try:
            entries = safejson.loads(line)
        except ValueError:
            break
        found += entries if isinstance(entries, list) else [entries]
    return found


def line(entry: ledger.Entry | list[ledger.Entry]) -> bytes:
    """Return the journal's line for `entry`, or for entries that belong together."""
    return json.dumps(entry, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


def digest(data: bytes) -> str:
    """Return the name by which a ``base`` entry knows a checkpoint."""
    return hashlib.sha256(data).hexdigest()

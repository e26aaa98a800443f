"""Keeps the state on disk true while a run goes on.

Every entry of the `ledger` is appended to a journal beside the checkpoint and
synced before the provider is called and before the next step builds on it.
The checkpoint itself is brought up to date in the background as often as that
costs at most a twentieth of the time: with steps of ordinary length it is
never older than a few dozen milliseconds, and a run of a thousand quick steps
does not write a thousand ever longer files.

What happens to the journal after a crash: `journal`.
"""

from __future__ import annotations

import os
import threading
import time
from typing import IO, Protocol

from provision import errors
from provision.engine.state import backend, checkpoint, journal, ledger
from provision.fileio import atomic

_SHARE = 20
"""Writing the checkpoint may take one part in this many of the time."""


class Keeper(Protocol):
    """What a run needs of a `Store`; `Scratch` is the one that keeps nothing."""

    ledger: ledger.Ledger

    def commit(self, *entries: ledger.Entry, durable: bool = True) -> None:
        """Take `entries`, all or none."""
        ...

    def put(self, raw: ledger.Raw | None, takes: int | None, *others: ledger.Entry) -> int:
        """Record this run's resource and return its cell; `commit` makes that durable."""
        ...

    def abandon(self) -> None:
        """Write no more, and leave what is there as a crash would."""
        ...


class Scratch:
    """The state of a preview: nothing reaches the disk, nothing is recorded."""

    def __init__(self, base: checkpoint.Document) -> None:
        self.ledger = ledger.Ledger(base)
        self._lock = threading.Lock()

    def commit(self, *entries: ledger.Entry, durable: bool = True) -> None:
        """Forget `entries`."""

    def put(self, raw: ledger.Raw | None, takes: int | None, *others: ledger.Entry) -> int:
        """Return a cell for a resource that is not recorded."""
        with self._lock:
            return self.ledger.new_cell()

    def abandon(self) -> None:
        """Do nothing."""


class Store:
    """The state of one run. Safe to use from several threads."""

    def __init__(self, place: backend.FileBackend, base: checkpoint.Document) -> None:
        """Go on from `base`, which `load` returned (or a new document)."""
        self.ledger = ledger.Ledger(base)
        self._place = place
        self._lock = threading.RLock()
        self._sync_lock = threading.Lock()
        self._journal: IO[bytes] | None = None
        self._buffer: list[list[ledger.Entry]] = []
        self._entries = 0
        self._synced = 0
        self._pretty = checkpoint.Writer()
        self._wake = threading.Condition(self._lock)
        self._closing = False
        self._failure: Exception | None = None
        self._flusher: threading.Thread | None = None
        self._written = 0
        self.wrote = False

    def commit(self, *entries: ledger.Entry, durable: bool = True) -> None:
        """Take `entries`, all or none; with `durable`, return only when they are on disk.

        Raises `errors.StackError` when they cannot be written: the caller
        must not go on to a provider then.
        """
        with self._lock:
            for entry in entries:
                self.ledger.apply(entry)
            if entries:
                self._buffer.append(list(entries))
            self._entries += len(entries)
            mine = self._entries
        if durable:
            self._sync(mine)

    def put(self, raw: ledger.Raw | None, takes: int | None, *others: ledger.Entry) -> int:
        """Record this run's resource, with `others` at once, and return its cell.

        `raw` None means: what the cell `takes` holds, unchanged. It is on disk
        after the next `commit`.
        """
        with self._lock:
            cell = self.ledger.new_cell()
            entry: ledger.Entry = {"do": "put", "cell": cell}
            if raw is not None:
                entry["resource"] = raw
            if takes is not None:
                entry["takes"] = takes
            self.commit(entry, *others, durable=False)
        return cell

    def close(self) -> bool:
        """Write the checkpoint if anything changed, end the journal; return whether it did."""
        self._stop_flusher()
        changed = self.ledger.changed
        try:
            if changed:
                self._write_checkpoint()
            if self._journal is not None:
                self._journal.close()
                self._journal = None
            self._place.journal.unlink(missing_ok=True)
        except OSError as error:
            raise _cannot_save(self._place, error) from error
        return changed

    def abandon(self) -> None:
        """Write no more, and leave what is there as a crash would."""
        self._stop_flusher()
        if self._journal is not None:
            self._journal.close()
            self._journal = None

    def _sync(self, upto: int) -> None:
        with self._sync_lock:
            if self._synced >= upto:
                return
            with self._lock:
                self._open_journal()
                batch, self._buffer = self._buffer, []
                count = self._entries
                lines = b"".join(map(journal.line, batch))
                file = self._journal
            if file is None:
                raise errors.StackError("the state is closed", operation="save")
            try:
                file.write(lines)
                file.flush()
                os.fsync(file.fileno())
            except OSError as error:
                raise _cannot_save(self._place, error) from error
            self._synced = count
        with self._lock:
            if self._failure is not None:
                raise _cannot_save(self._place, self._failure) from self._failure
            self._wake.notify()

    def _open_journal(self) -> None:
        if self._journal is not None or self._closing:
            return
        try:
            atomic.folder(self._place.journal.parent)
            if not self._place.path.exists():
                self._place.write(self.ledger.base)
            self._place.keep_previous()
            digest = journal.digest(self._place.path.read_bytes())
            start = ledger.Ledger(self.ledger.base).start(digest)
            atomic.write(self._place.journal, journal.line(start))
            self._journal = self._place.journal.open("ab")
        except OSError as error:
            raise _cannot_save(self._place, error) from error
        self._flusher = threading.Thread(target=self._keep_up, name="checkpoint", daemon=True)
        self._flusher.start()

    def _keep_up(self) -> None:
        """Bring the checkpoint up to date again and again, at most a share of the time."""
        rest = 0.0
        while True:
            with self._lock:
                while self._written >= self._synced and not self._closing:
                    self._wake.wait()
                if self._closing:
                    return
                self._wake.wait_for(lambda: self._closing, timeout=rest)
                if self._closing:
                    return
            began = time.monotonic()
            try:
                self._write_checkpoint()
            except OSError as error:
                with self._lock:
                    self._failure = error
                return
            rest = (time.monotonic() - began) * _SHARE

    def _write_checkpoint(self) -> None:
        with self._sync_lock:
            with self._lock:
                document = self.ledger.document()
                batch, self._buffer = self._buffer, []
                count = self._entries
                data = self._pretty.dump(document)
                start = self.ledger.start(journal.digest(data))
                file = self._journal
            if file is not None:
                file.write(b"".join(map(journal.line, (*batch, start))))
                file.flush()
                os.fsync(file.fileno())
            elif not self.wrote:
                self._place.keep_previous()
            self._place.write_bytes(data)
            self._synced = max(self._synced, count)
            self._written = count
            self.wrote = True

    def _stop_flusher(self) -> None:
        with self._lock:
            self._closing = True
            self._wake.notify_all()
        if self._flusher is not None:
            self._flusher.join()
            self._flusher = None


def _cannot_save(place: backend.FileBackend, error: Exception) -> errors.StackError:
    return errors.StackError(
        f"the state could not be saved at {place.path}",
        operation="save",
        detail=str(error),
        hint="make room or give write access, then run the same command again; "
        f"what was done is noted in {place.journal.name}",
    )

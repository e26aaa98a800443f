"""What a run leaves behind when its process dies, at every moment of it.

A process that dies takes its memory along and leaves what it had written. So
one run gives what every kill in it would leave: at each moment that counts,
`Moments` copies the stack's folder and the world. Moments are before and
after every file written and every sync, before every call of the provider,
and after each that changes something. What was written and not yet synced is
also taken cut in half, as a power cut may leave it.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import threading
from collections.abc import Generator
from typing import Any

import engine_kill
import harness
import pytest

from provision.engine.state import checkpoint, integrity, journal, lock, urns
from provision.fileio import atomic

_UNREAD = re.compile(r"/(history|backups)/|\.bak$|\.tmp$|\.lock$")
"""Files of which no later run depends."""


class Moments:
    """Copies of a runner's folder, one for every moment; equal ones are kept once."""

    def __init__(self, runner: harness.Runner) -> None:
        self.found: list[tuple[str, harness.Saved]] = []
        self.number = 0
        self._runner = runner
        self._seen: set[str] = set()
        self._gate = threading.RLock()

    @contextlib.contextmanager
    def watched(self) -> Generator[None]:
        """Take copies while the block runs."""
        write, sync = atomic.write, os.fsync
        note = self._runner.world.note

        def watched_write(*args: Any, **named: Any) -> None:
            with self._gate:  # no other thread's rename falls between two files of a copy
                self._take("before a write")
                write(*args, **named)
                self._take("after a write")

        def watched_sync(descriptor: int) -> None:
            path = self._runner.place().journal
            torn = path.exists() and os.path.samestat(os.fstat(descriptor), path.stat())
            self._take("before a sync", torn=torn)
            sync(descriptor)
            self._take("after a sync")

        def watched_note(method: str, name: str) -> None:
            if method in engine_kill.CALLS:
                self._take(f"{method} {name}")
            note(method, name)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(atomic, "write", watched_write)
            patch.setattr(os, "fsync", watched_sync)
            patch.setattr(self._runner.world, "note", watched_note)
            yield

    def _take(self, when: str, *, torn: bool = False) -> None:
        with self._gate:
            self.number += 1
            saved = self._runner.save()
            self._keep(when, saved)
            name = next((name for name in saved if name.endswith(".journal")), "")
            if torn and name:
                whole, _, last = saved[name].removesuffix(b"\n").rpartition(b"\n")
                cut = whole + b"\n" * bool(whole) + last[: len(last) // 2]
                self._keep(f"{when}, cut in half", {**saved, name: cut})

    def _keep(self, when: str, saved: harness.Saved) -> None:
        sums = hashlib.sha256()
        for name, data in sorted(saved.items()):
            if not _UNREAD.search(f"/{name}"):
                sums.update(name.encode() + b"\0" + data + b"\0")
        if sums.hexdigest() not in self._seen:
            self._seen.add(sums.hexdigest())
            self.found.append((when, saved))


def bury(runner: harness.Runner) -> None:
    """Make the runner's locks those of a process that is no more."""
    place = runner.place()
    for path, body in lock.held(place.locks):
        body["elysium"]["started"] = "before"
        path.write_text(json.dumps(body))


def require_readable(runner: harness.Runner) -> bytes | None:
    """Require that either engine can go on from what lies there; return the checkpoint."""
    place = runner.place()
    loaded = journal.load(place)
    assert loaded.journal != "stale"
    data = place.read_bytes()
    if data is not None:
        assert integrity.check(place.parse(data)) == []
    return data


def adopt(runner: harness.Runner) -> None:
    """Let creations that were cut off find what they made, as our providers do by its name.

    The test provider numbers what it makes; the number of what no state
    knows is given back, so that making it again is making the same.
    """
    document = journal.load(runner.place()).document
    if document is None:
        return
    known = {each.get("id") for each in checkpoint.resources(document)}
    world = runner.world
    world.load()
    for operation in checkpoint.pending(document):
        name = urns.name_of(operation["resource"]["urn"])
        number = world.counts.get(name, 0)
        id_ = f"{name}-{number}"
        if operation["type"] == "creating" and id_ in world.things and id_ not in known:
            world.counts[name] = number - 1
    world.save()

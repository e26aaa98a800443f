"""Ctrl-C once, twice and three times, and listeners that fail."""

from __future__ import annotations

import os
import signal
import threading
from typing import Any

import pytest
from engine_provider import Memory, Thing

from provision import errors
from provision.engine import api, events
from provision.engine.state import checkpoint, journal, lock


def program() -> None:
    a = Thing("a")
    Thing("b", value=a.echo)


class Keyboard:
    """Presses Ctrl-C, each time when the one before was answered."""

    def __init__(self, bench: Any) -> None:
        self._bench = bench
        self._answers = threading.Semaphore(0)

    def press(self, *, answered: bool = True) -> None:
        os.kill(os.getpid(), signal.SIGINT)
        if answered:
            assert self._answers.acquire(timeout=10)

    def on_event(self, event: events.Event) -> None:
        self._bench.events.append(event)
        if isinstance(event, events.Diagnostic) and "press Ctrl-C again" in event.message:
            self._answers.release()


def test_the_first_finishes_what_is_under_way(bench: Any) -> None:
    keyboard = Keyboard(bench)
    bench.world.on("create", "a", keyboard.press)
    engine = bench.engine()
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(errors.InterruptedByUser) as caught:
        engine.up(program, options=api.Options(), on_event=keyboard.on_event)
    assert signal.getsignal(signal.SIGINT) is before
    assert "while creating a;" in caught.value.summary
    assert "press Ctrl-C again" in bench.said()
    bench.require_valid()
    assert set(bench.resources()) == {"proj-dev", "default", "a"}
    assert lock.held(engine._place.locks) == []
    bench.world.hooks.clear()
    bench.up(program)
    assert bench.ops() == {"a": "same", "b": "create"}


def test_the_second_asks_the_providers_to_stop(bench: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    stop = threading.Event()

    async def cancel(_self: Any) -> None:
        stop.set()

    keyboard = Keyboard(bench)

    def during() -> None:
        keyboard.press()
        keyboard.press()
        assert stop.wait(10)
        raise RuntimeError("cancelled")

    monkeypatch.setattr(Memory, "cancel", cancel)
    bench.world.on("create", "a", during)
    with pytest.raises(errors.InterruptedByUser):
        bench.engine().up(program, options=api.Options(), on_event=keyboard.on_event)
    bench.require_valid()
    assert "a" not in bench.resources()
    bench.world.hooks.clear()
    bench.up(program)


def test_the_third_leaves_at_once_and_the_next_run_knows(bench: Any) -> None:
    keyboard = Keyboard(bench)
    go_on = threading.Event()

    def during() -> None:
        keyboard.press()
        keyboard.press()
        keyboard.press(answered=False)
        go_on.wait(20)

    bench.world.on("create", "a", during)
    engine = bench.engine()
    with pytest.raises(errors.InterruptedByUser):
        engine.up(program, options=api.Options(), on_event=keyboard.on_event)
    assert not go_on.is_set()
    loaded = journal.load(engine._place)
    assert loaded.journal == "folded"
    assert checkpoint.pending(loaded.document or {})[0]["type"] == "creating"
    assert len(lock.held(engine._place.locks)) == 1
    go_on.set()
    for thread in threading.enumerate():
        if thread.name == "engine":
            thread.join(10)


def test_a_listener_that_fails_stops_the_run(bench: Any) -> None:
    def on_event(event: events.Event) -> None:
        if isinstance(event, events.ResourceDone):
            raise BrokenPipeError("nobody listens")

    with pytest.raises(BrokenPipeError):
        bench.engine().up(program, options=api.Options(), on_event=on_event)
    bench.require_valid()
    bench.up(program)


def test_works_outside_the_main_thread(bench: Any) -> None:
    failures: list[BaseException] = []

    def work() -> None:
        try:
            bench.up(program)
        except BaseException as error:  # noqa: BLE001 - for the main thread
            failures.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert failures == []
    assert set(bench.resources()) >= {"a", "b"}


def test_events_come_in_the_callers_thread(bench: Any) -> None:
    seen: set[int] = set()
    bench.engine().up(
        program, options=api.Options(), on_event=lambda _: seen.add(threading.get_ident())
    )
    assert seen == {threading.get_ident()}


def test_providers_can_say_what_they_do(bench: Any) -> None:
    engine = bench.engine()
    bench.world.on("create", "a", lambda: engine.notify("urn:x", "info", "working"))
    bench.world.on("create", "b", lambda: engine.notify("urn:x", "warning", "odd"))
    engine.up(program, options=api.Options(), on_event=bench.events.append)
    assert events.ResourceProgress(urn="urn:x", message="working") in bench.events
    assert events.Diagnostic(severity="warning", message="odd", urn="urn:x") in bench.events
    engine.notify("urn:x", "info", "too late")

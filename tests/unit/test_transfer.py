"""The time that exchanges with other machines have."""

from __future__ import annotations

import threading
import time

import pytest

from provision import transfer
from provision.artifacts import download
from provision.github import transport
from provision.kube import wire


def test_bytes_give_time(monkeypatch: pytest.MonkeyPatch) -> None:
    pace = transfer.Pace(10, size=625_000)
    assert 19 < pace.left <= 20
    pace.moved(62_500)
    assert 20 < pace.left <= 21


def test_what_ends_in_time_is_returned_and_what_it_raised_is_raised() -> None:
    assert transfer.within(5, lambda: "done") == "done"
    with pytest.raises(ZeroDivisionError):
        transfer.within(transfer.Pace(5), lambda: 1 // 0)


def test_what_brings_bytes_goes_on_and_what_does_not_ends() -> None:
    pace = transfer.Pace(0.3)

    def work() -> str:
        for _ in range(5):
            time.sleep(0.15)
            pace.moved(int(transfer.RATE * 0.3))
        return "done"

    assert transfer.within(pace, work) == "done"
    stop = threading.Event()
    late = transfer.Pace(0.2)
    with pytest.raises(TimeoutError, match="not complete after"):
        transfer.within(late, lambda: stop.wait(20))
    assert late.over
    stop.set()


def test_the_waits_are_what_the_documentation_says() -> None:
    """Other tests change them; these are the real ones. `host.limits` has those of SSH."""
    assert transfer.RATE == 62_500
    assert (transport.REQUEST_TIME, transport.READ_TIMEOUT, wire.BODY_TIME) == (60, 20, 60)
    assert (download.TIME, download.SILENCE, download.CONNECT) == (60, 30, 15)

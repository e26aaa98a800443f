"""A server that limits the sessions of a connection, and a lock that is lost."""

from __future__ import annotations

import contextlib
import os
import pathlib
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from provision import errors
from provision.host import facts, lock, preflight, session
from tests.contract.host import conftest


@pytest.fixture
def limited(make_sshd: Callable[..., object]) -> Iterator[Callable[[int], session.NodeSession]]:
    opened: list[session.NodeSession] = []

    def start(limit: int) -> session.NodeSession:
        server = make_sshd(extra=f"MaxSessions {limit}\n")
        opened.append(session.NodeSession(server.node()))  # type: ignore[attr-defined]
        return opened[-1]

    yield start
    for one in opened:
        one.close()


@pytest.mark.parametrize("limit", [2, 3, 10])
def test_commands_wait_for_a_session(
    limit: int, limited: Callable[[int], session.NodeSession]
) -> None:
    node = limited(limit)
    results: list[str] = []
    raised: list[BaseException] = []

    def run(number: int) -> None:
        script = f"sleep 0.3; echo {number}"
        try:
            reads = number % 2 == 0
            done = node.run(script, timeout=30, what="a test", reads_only=reads)
            results.append(done.text.strip())
        except BaseException as error:  # noqa: BLE001 - the test's own thread shows it
            raised.append(error)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not raised and sorted(results) == [str(number) for number in range(6)]
    assert node.transport.connections == 1


def test_one_session_is_told_before_a_change(
    limited: Callable[[int], session.NodeSession],
) -> None:
    node = limited(1)
    node.facts(facts.FactRequest())
    assert node.one_session and node.transport.commands == 1
    with pytest.raises(errors.ConnectError, match="no second session") as caught:
        node.run("echo changed", timeout=20, what="a change")
    assert "MaxSessions 10" in caught.value.hint


@pytest.mark.parametrize("limit", [2, 10])
def test_more_than_one_is_enough(limit: int, limited: Callable[[int], session.NodeSession]) -> None:
    node = limited(limit)
    node.facts(facts.FactRequest())
    assert not node.one_session
    assert (node.transport.connections, node.transport.commands) == (1, 1)


def test_a_lock_whose_holder_was_killed_is_taken_again(
    sshd: conftest.Sshd, node_session: session.NodeSession
) -> None:
    node_session.lock()
    for pid in sshd.holders():
        with contextlib.suppress(ProcessLookupError):  # it ended with another
            os.kill(pid, signal.SIGKILL)
    deadline = time.monotonic() + 10
    while sshd.holders() and time.monotonic() < deadline:
        time.sleep(0.05)
    time.sleep(0.5)  # until its end arrives here
    assert node_session.run("echo on", timeout=20, what="a change").text == "on\n"
    assert sshd.holders()


def test_no_change_is_made_once_the_lock_is_lost(
    sshd: conftest.Sshd, node_session: session.NodeSession, tmp_path: pathlib.Path
) -> None:
    """The file may be removed, or be held by another: the node refuses the change by itself."""
    node_session.lock()
    for lose in (
        lambda: sshd.lock.unlink(),
        lambda: sshd.lock.write_text("somebody else, since today\nmark-0\n"),
    ):
        lose()
        with pytest.raises(errors.RemoteError, match="lock of node kyrion is lost") as caught:
            node_session.run(f"touch {tmp_path}/changed", timeout=20, what="a change")
        assert "was not begun" in caught.value.summary
        assert not list(tmp_path.iterdir())
        assert node_session.run("echo on", timeout=20, what="a change").text == "on\n"


def test_a_lock_without_a_sign_of_life_is_let_go(
    sshd: conftest.Sshd, node_session: session.NodeSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lock, "LEASE", 1)
    node_session.lock()  # a sign of life comes every 7 s only
    # The other one needs more than a second on a busy machine, and must not lose its lock.
    monkeypatch.setattr(lock, "LEASE", 90)
    with session.NodeSession(sshd.node()) as other:
        deadline = 60
        done = subprocess.run(
            ["flock", "-w", str(deadline), str(sshd.lock), "true"], timeout=90, check=False
        )
        assert done.returncode == 0
        assert other.run("echo mine", timeout=20, what="a change").text == "mine\n"


def test_what_preflight_says_of_one_session() -> None:
    from provision import config

    node = config.Node(name="kyrion", host="10.0.0.9")
    cfg = config.Config.model_construct(nodes=(node,))
    assert preflight.sessions(cfg, one=False) == []
    (problem,) = preflight.sessions(cfg, one=True)
    assert problem.kind == "max-sessions"
    assert "MaxSessions" in problem.hint and "10.0.0.9" in problem.hint

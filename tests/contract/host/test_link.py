"""Connections that stall, break and are damaged, to a real sshd: all end in time, and are named."""

from __future__ import annotations

import io
import os
import pathlib
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from provision import errors
from provision.host import channel, limits, session
from tests.support import faultproxy

TIMES = limits.Limits(ping=0.5, silence=5, ask=3, answer=8, stall=5, rate=limits.DEFAULT.rate * 100)
LATE = 25.0
"""Seconds within which everything here ends: silence, one question, and a loaded machine."""


@pytest.fixture
def proxy(sshd) -> Iterator[faultproxy.Proxy]:
    with faultproxy.Proxy(sshd.port) as between:
        yield between


@pytest.fixture
def node(sshd, proxy: faultproxy.Proxy) -> Iterator[session.NodeSession]:
    """A session through the proxy, connected. It holds the lock only once something changes."""
    with session.NodeSession(sshd.node(port=proxy.port), times=TIMES) as opened:
        opened.run("true", timeout=60, what="connecting", reads_only=True)
        yield opened


def read(node: session.NodeSession, script: str, **options: object) -> channel.Completed:
    values: dict[str, object] = {"timeout": 30, "what": "the test", "reads_only": True} | options
    return node.run(script, **values)  # type: ignore[arg-type]


def execute(node: session.NodeSession, proxy: faultproxy.Proxy, mode: faultproxy.Mode) -> None:
    threading.Timer(0.3, setattr, (proxy, "mode", mode)).start()
    read(node, "sleep 60", timeout=60)


def begin(node: session.NodeSession, proxy: faultproxy.Proxy, mode: faultproxy.Mode) -> None:
    proxy.mode = mode
    read(node, "echo hello")


def upload(node: session.NodeSession, proxy: faultproxy.Proxy, mode: faultproxy.Mode) -> None:
    proxy.after(mode, up=3_000_000)
    node.stream(io.BytesIO(os.urandom(20_000_000)), "/run/elysium/test-upload", mode=0o600)


def download(node: session.NodeSession, proxy: faultproxy.Proxy, mode: faultproxy.Mode) -> None:
    proxy.after(mode, down=3_000_000)
    read(node, "head -c 20000000 /dev/urandom", limit=1 << 25, download=True)


Act = Callable[[session.NodeSession, faultproxy.Proxy, faultproxy.Mode], None]


ALL = bool(os.environ.get("ELYSIUM_LINKS"))
"""Whether every act meets every mode (`make links`), or each of them once."""
DEAD = [(execute, "stall"), (begin, "slow"), (upload, "swallow"), (download, "stall")]
BROKEN = [(execute, "reset"), (upload, "close"), (download, "garble")]


def pairs(few: list[tuple[Act, str]]) -> list[tuple[Act, str]]:
    """Return each act with its mode, or with every mode that is among them."""
    modes = dict.fromkeys(mode for _, mode in few)
    return [(act, mode) for act, _ in few for mode in modes] if ALL else few


@pytest.mark.parametrize(("act", "mode"), pairs(DEAD))
def test_a_dead_link_is_found_and_named(
    act: Act, mode: faultproxy.Mode, node: session.NodeSession, proxy: faultproxy.Proxy
) -> None:
    proxy.rate = 3
    began = time.monotonic()
    with pytest.raises(errors.ConnectError, match=r"SSH connection to .* is dead: no answer") as e:
        act(node, proxy, mode)
    assert time.monotonic() - began < LATE + (2 if act in (upload, download) else 0)
    assert f":{proxy.port}" in str(e.value) and "network" in e.value.hint
    assert "load" not in e.value.hint


@pytest.mark.parametrize(("act", "mode"), pairs(BROKEN))
def test_a_broken_connection_is_named(
    act: Act, mode: faultproxy.Mode, node: session.NodeSession, proxy: faultproxy.Proxy
) -> None:
    began = time.monotonic()
    with pytest.raises(errors.ConnectError, match=rf"{proxy.port} (broke during|is dead)"):
        act(node, proxy, mode)
    assert time.monotonic() - began < LATE
    proxy.heal()
    assert read(node, "echo again").text == "again\n"


@pytest.mark.parametrize("mode", ["stall", "swallow", "slow", "reset", "close", "garble"])
def test_a_connection_that_cannot_be_made(
    mode: faultproxy.Mode, sshd, proxy: faultproxy.Proxy
) -> None:
    proxy.mode = mode
    began = time.monotonic()
    opened = session.NodeSession(sshd.node(port=proxy.port), connect_timeout=2, times=TIMES)
    with pytest.raises(errors.ConnectError, match=str(proxy.port)) as caught:
        read(opened, "true")
    assert time.monotonic() - began < LATE and caught.value.hint
    assert not re.fullmatch(r"\w+Error", caught.value.detail), "the name of a class says nothing"


def test_a_slow_node_is_told_from_a_dead_link(node: session.NodeSession) -> None:
    node.transport.times = limits.Limits(ping=0.2, silence=1, ask=1)
    with pytest.raises(errors.RemoteTimeoutError, match="did not end within 3 s") as caught:
        read(node, "sleep 30", timeout=3)
    assert "load" in caught.value.hint


def test_a_node_that_takes_no_byte(node: session.NodeSession) -> None:
    began = time.monotonic()
    with pytest.raises(errors.RemoteTimeoutError, match="takes no byte; its SSH server answers"):
        read(node, "sleep 60", stdin=io.BytesIO(bytes(20_000_000)), timeout=60)
    assert time.monotonic() - began < LATE


def test_a_download_that_pauses(node: session.NodeSession) -> None:
    began = time.monotonic()
    with pytest.raises(errors.RemoteTimeoutError, match="sends no byte; its SSH server answers"):
        read(node, "echo one; sleep 60", download=True, timeout=60)
    assert time.monotonic() - began < LATE
    # It may take its time before it begins, and so may what is no download.
    assert read(node, "sleep 3; echo one", download=True).text == "one\n"
    assert read(node, "echo one; sleep 3; echo two").text == "one\ntwo\n"


def test_a_slow_transfer_gets_the_time_that_it_needs(
    sshd, proxy: faultproxy.Proxy, tmp_path: pathlib.Path
) -> None:
    """2 MB at 500 kB/s need 4 s and more: longer than the command's own limit and all others."""
    times = limits.Limits(ping=1, silence=20, stall=20, rate=250_000)
    content = os.urandom(2_000_000)
    with session.NodeSession(sshd.node(port=proxy.port), times=times) as node:
        read(node, "true")
        proxy.rate = 500_000  # before the mode, which takes it at once
        proxy.mode = "slow"
        read(node, f"cat >{tmp_path}/up", stdin=io.BytesIO(content), timeout=1)
        assert (tmp_path / "up").read_bytes() == content
        done = read(node, f"cat {tmp_path}/up", limit=2_000_000, download=True, timeout=1)
    assert done.stdout == content


def test_a_server_that_never_begins_the_command(
    node: session.NodeSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The request for the command gets lost, and the server answers everything else."""
    import paramiko

    def ask(self: Any, command: str) -> None:
        self._event_pending()
        self._wait_for_event()

    monkeypatch.setattr(paramiko.Channel, "exec_command", ask)
    began = time.monotonic()
    with pytest.raises(errors.RemoteTimeoutError, match=r"the test did not start .* answers"):
        read(node, "true", timeout=600)
    assert time.monotonic() - began < LATE


def test_a_link_that_dies_while_idle_is_made_again(
    node: session.NodeSession, proxy: faultproxy.Proxy
) -> None:
    node.run("true", timeout=60, what="taking the lock")
    assert node.transport.connections == 1
    proxy.mode = "stall"
    deadline = time.monotonic() + LATE
    while node.transport.sessions_standing and time.monotonic() < deadline:
        time.sleep(0.1)
    proxy.heal()
    # The lock was on the dead connection: it is taken again before anything changes.
    assert node.run("echo on", timeout=20, what="going on").text == "on\n"
    assert node.transport.connections == 2


def test_a_short_stall_is_survived(node: session.NodeSession, proxy: faultproxy.Proxy) -> None:
    proxy.mode = "stall"
    threading.Timer(1.2, proxy.heal).start()
    assert read(node, "sleep 2; echo still").text == "still\n"
    assert node.transport.connections == 1


def test_a_stopped_process_does_not_take_the_link_for_dead(sshd, tmp_path: pathlib.Path) -> None:
    """Ctrl-Z and fg: nobody listened, which says nothing of the server."""
    config = sshd.node().model_dump_json()
    script = (
        "import pathlib, sys\nfrom provision import config\n"
        "from provision.host import limits, session\n"
        "times = limits.Limits(ping=0.5, silence=2)\n"
        "node = config.Node.model_validate_json(sys.argv[1])\n"
        "with session.NodeSession(node, times=times) as opened:\n"
        "    done = opened.run('touch ' + sys.argv[2] + '; sleep 6; echo on', timeout=30,"
        " what='x', reads_only=True)\n    print(done.text)\n"
    )
    started = tmp_path / "started"
    process = subprocess.Popen(
        [sys.executable, "-c", script, config, str(started)], stdout=subprocess.PIPE, text=True
    )
    try:
        while not started.exists() and process.poll() is None:
            time.sleep(0.05)
        process.send_signal(signal.SIGSTOP)
        time.sleep(4)
        process.send_signal(signal.SIGCONT)
        assert process.communicate(timeout=30)[0] == "on\n\n"
    finally:
        process.kill()


def test_a_link_behind_a_jump_host_names_the_jump_host(sshd, make_sshd) -> None:
    gate = make_sshd()
    with faultproxy.Proxy(gate.port) as between:
        from provision import config

        jump = config.SshLogin(
            host="127.0.0.1",
            port=between.port,
            host_key=gate.host_keys["ssh-ed25519"],
            identity_file=str(gate.key),
            agent=False,
        )
        with session.NodeSession(sshd.node(jump=jump), times=TIMES) as opened:
            read(opened, "true")
            with pytest.raises(errors.ConnectError, match="is dead") as caught:
                execute(opened, between, "stall")
    assert f"jump host 127.0.0.1:{between.port}" in caught.value.summary


def test_the_waits_are_what_the_documentation_says() -> None:
    """All other tests here change them; these are the real ones."""
    times = limits.Limits()
    assert times == limits.DEFAULT
    assert times.silence + 2 <= 30 and times.ping * 3 <= times.silence
    assert times.stall == 30 and times.rate == 62_500
    assert times.moving(62_500_000) == 1000
    assert (times.connect, times.login, times.ask, times.answer) == (15, 60, 5, 60)

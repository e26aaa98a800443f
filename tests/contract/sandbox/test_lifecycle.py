"""Up and down: side by side, after crashes and interrupts, and nothing left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from provision import errors
from provision.sandbox import files, jobs, lifecycle, network, node, processes

pytestmark = pytest.mark.sandbox
Traces = Callable[[str], list[str]]
_UP = (
    "import sys; from provision.sandbox import lifecycle, node;"
    "lifecycle.up_node(sys.argv[1], node.Options(hostname='crashed'))"
)


@pytest.fixture
def other() -> Iterator[str]:
    chosen = f"o-{os.getpid()}"
    yield chosen
    lifecycle.down(chosen)


def test_a_sandbox_that_was_taken_down_leaves_nothing(name: str, traces: Traces) -> None:
    lifecycle.up_node(name)
    assert len(traces(name)) > 5  # what is looked for is found while it is up
    assert lifecycle.down(name) is True
    assert traces(name) == []
    assert lifecycle.down(name) is False


def test_two_run_side_by_side_and_do_not_reach_each_other(name: str, other: str) -> None:
    one, two = lifecycle.up_node(name), lifecycle.up_node(other)
    assert one.number != two.number
    assert one.node.host_key != two.node.host_key
    ids = {node.run(each.node, "cat /etc/machine-id").stdout for each in (one, two)}
    assert len(ids) == 2
    reach = f"timeout 2 bash -c 'head -c4 </dev/tcp/{two.node.host}/22'"
    assert "SSH" not in node.run(one.node, reach).stdout
    lifecycle.down(name)
    assert node.boot_id(two.node)


def test_the_file_tells_another_process_everything(name: str) -> None:
    made = lifecycle.up_node(name)
    assert lifecycle.load(name) == made
    assert name in lifecycle.names()
    status = lifecycle.status(name)
    assert status is not None and status.healthy
    assert [each.service for each in status.services] == ["node"]
    assert made.real and made.stood_in


def test_status_says_when_the_node_is_gone(name: str) -> None:
    lifecycle.up_node(name)
    processes.Group.of(name).kill()
    status = lifecycle.status(name)
    assert status is not None and not status.healthy
    assert lifecycle.status("never-was") is None


def test_what_a_crash_left_is_cleaned_by_the_next_start(name: str, traces: Traces) -> None:
    _crash_when(name, lambda: _booting(name))
    assert traces(name)
    again = lifecycle.up_node(name)
    assert node.run(again.node, "hostname").stdout.strip() == "kyrion"
    lifecycle.down(name)
    assert traces(name) == []


@pytest.mark.parametrize(
    "moment",
    [
        lambda name: network.namespace_path(name).exists(),
        lambda name: (files.state_root() / name / "node").exists(),
        lambda name: _booting(name),
    ],
    ids=["network", "files", "boot"],
)
def test_a_crash_at_any_moment_can_be_taken_down(
    name: str, traces: Traces, moment: Callable[[str], bool]
) -> None:
    _crash_when(name, lambda: moment(name))
    lifecycle.down(name)
    assert traces(name) == []


def test_an_interrupt_leaves_nothing(name: str, traces: Traces) -> None:
    process = _start(name)
    _await(lambda: _booting(name))
    process.send_signal(signal.SIGINT)
    _, complaint = process.communicate(timeout=60)
    assert process.returncode != 0
    assert "KeyboardInterrupt" in complaint
    assert traces(name) == []


def test_a_node_that_does_not_boot_shows_its_console_and_leaves_nothing(
    name: str, traces: Traces
) -> None:
    missing = node.Options(binds=((Path("/no/such/folder"), "/opt/nothing"),))
    with pytest.raises(errors.WaitError) as caught:
        lifecycle.up_node(name, missing)
    assert "/no/such/folder" in caught.value.detail
    assert traces(name) == []


def test_one_name_is_one_at_a_time(name: str) -> None:
    with files.locked(files.lock_file(name), what="testing"):
        process = _start(name)
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(timeout=1)
        assert not network.namespace_path(name).exists()
    assert process.wait(timeout=60) == 0
    process.communicate()


def test_a_poweroff_of_the_node_is_seen(name: str) -> None:
    box = lifecycle.up_node(name)
    node.run(box.node, "systemctl poweroff")
    _await(lambda: not processes.Group.of(name).pids())
    status = lifecycle.status(name)
    assert status is not None and not status.healthy


def test_folders_are_seen_read_only_in_the_node(name: str, tmp_path: Path) -> None:
    (tmp_path / "tool").write_text("here")
    box = lifecycle.up_node(name, node.Options(binds=((tmp_path, f"{node.OPT}/bin"),), gpu=False))
    assert node.run(box.node, f"cat {node.OPT}/bin/tool").stdout == "here"
    assert "Read-only" in node.run(box.node, f"touch {node.OPT}/bin/tool").stderr
    assert node.run(box.node, "ls /dev/dri").returncode != 0


def _booting(name: str) -> bool:
    """Whether systemd-nspawn has started something in its container."""
    return bool(processes.Group.of(name).only("node/payload").pids())


def _start(name: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", _UP, name], text=True, stderr=subprocess.PIPE, start_new_session=True
    )


def _crash_when(name: str, moment: Callable[[], bool]) -> None:
    process = _start(name)
    try:
        _await(moment)
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def _await(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, "it never came"
        time.sleep(0.001)


def test_where_no_overlay_can_be_mounted_the_tree_is_copied(
    name: str, traces: Traces, monkeypatch: pytest.MonkeyPatch
) -> None:
    really = jobs.run

    def refuse(argv: Sequence[str], **values: Any) -> str:
        if tuple(argv[:3]) == ("mount", "-t", "overlay"):
            raise errors.ElysiumError("wrong fs type")
        return really(argv, **values)

    monkeypatch.setattr(jobs, "run", refuse)
    box = lifecycle.up_node(name)
    assert node.run(box.node, "stat -fc %T /").stdout.strip() != "overlayfs"
    assert node.run(box.node, "systemctl is-system-running --wait").stdout.strip() == "running"
    lifecycle.down(name)
    assert traces(name) == []

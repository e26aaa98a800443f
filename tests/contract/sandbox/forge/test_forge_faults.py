"""Faults on request, and a forge that is stopped, killed, started again."""

from __future__ import annotations

import http.client
import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from provision import errors
from provision.sandbox.forge import control


def test_the_nth_matching_call_fails_and_only_that(forge: Any, raw: Any) -> None:
    headers = {"Retry-After": "2"}
    with forge.faults("respond", method="GET", path="/keys", nth=2, status=503, headers=headers):
        answers = [raw("GET", "~/keys") for _ in range(3)]
        assert raw("GET", "~").status == 200
    assert [answer.status for answer in answers] == [200, 503, 200]
    assert answers[1].headers["retry-after"] == "2"
    failed = [call for call in forge.calls() if call.get("action") == "respond"]
    assert failed[-1]["status"] == 503


@pytest.mark.parametrize("status", [403, 429])
def test_a_secondary_limit_says_so(forge: Any, raw: Any, status: int) -> None:
    forge.fault("respond", status=status, headers={"Retry-After": "60"})
    answer = raw("GET", "~")
    assert answer.status == status
    assert "secondary rate limit" in answer.body["message"]


@pytest.mark.parametrize("action", ["reset", "close", "hang"])
@pytest.mark.parametrize("when", ["before", "after"])
def test_an_answer_never_comes(forge: Any, raw: Any, make_key: Any, action: str, when: str) -> None:
    forge.fault(action, method="POST", path="/keys$", seconds=0.2, when=when)
    with pytest.raises((ConnectionError, http.client.RemoteDisconnected)):
        raw("POST", "~/keys", {"title": "t", "key": make_key().public})
    assert len(forge.deploy_keys()) == (1 if when == "after" else 0)
    call = next(call for call in reversed(forge.calls()) if call["method"] == "POST")
    assert (call["status"], call["action"]) == (0, action)


def test_an_effect_can_happen_behind_a_failure(forge: Any, raw: Any, make_key: Any) -> None:
    forge.fault("respond", method="POST", path="/keys$", status=502, when="after")
    assert raw("POST", "~/keys", {"key": make_key().public}).status == 502
    assert len(forge.deploy_keys()) == 1


def test_an_answer_comes_late(forge: Any, raw: Any) -> None:
    forge.fault("delay", path="/keys", seconds=0.3)
    started = time.monotonic()
    assert raw("GET", "~/keys").status == 200
    assert time.monotonic() - started >= 0.3


def test_a_fault_for_ever_is_cleared(forge: Any, raw: Any) -> None:
    forge.fault("respond", path="/keys", times=0)
    assert [raw("GET", "~/keys").status for _ in range(3)] == [500] * 3
    forge.clear_faults()
    assert raw("GET", "~/keys").status == 200


@pytest.mark.parametrize("values", [{"action": "burn"}, {"path": "("}, {"colour": "red"}])
def test_a_fault_that_makes_no_sense_is_refused(forge: Any, values: dict[str, Any]) -> None:
    with pytest.raises(errors.ElysiumError, match="422"):
        forge.admin("faults/add", **{"action": "hang", **values})


def _sshd(process_id: int) -> list[str]:
    """Return the command lines of a process's descendants."""
    listed = subprocess.run(
        ["ps", "-eo", "pid=,ppid=,args="], capture_output=True, text=True, check=True
    )
    rows = [line.split(None, 2) for line in listed.stdout.splitlines()]
    found, wanted = [], {str(process_id)}
    for _ in range(6):
        children = [row for row in rows if row[1] in wanted]
        wanted = {row[0] for row in children}
        found += [row[2] for row in children]
    return found


def _gone(port: int) -> bool:
    import socket

    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0


def test_state_outlives_a_stop_and_a_kill(tmp_path: Path, helpers: Any, make_key: Any) -> None:
    pair = make_key()
    start = control.Start(root=tmp_path / "root", owner="me", repository="home")
    process, forge = control.launch(start)
    seen = forge.info
    head = forge.seed_repository({"a": "a"})
    key = forge.register_key(pair.public, title="kept")
    token = forge.token()
    assert any("sshd" in line for line in _sshd(process.pid))
    control.stop(process)
    assert process.returncode == 0
    assert control.read_info(start.root) is None
    assert _gone(seen.ssh_port)

    process, forge = control.launch(start)
    assert [k["id"] for k in forge.deploy_keys()] == [key["id"]]
    assert forge.token() == token
    assert forge.info.git_host_keys == seen.git_host_keys
    assert forge.head() == head
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    deadline = time.monotonic() + 10
    while not _gone(forge.info.ssh_port) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert _gone(forge.info.ssh_port)
    assert control.read_info(start.root) is None

    process, forge = control.launch(start)
    working = helpers.Git(forge, tmp_path / "git", pair)
    assert working("ls-remote", forge.ssh_url).returncode == 0
    assert [k["title"] for k in forge.deploy_keys()] == ["kept"]
    with pytest.raises(errors.WaitError, match="another forge runs"):
        control.launch(start)
    assert forge.token() == token
    assert control.read_info(start.root) is not None
    control.stop(process)
    assert process.returncode == 0


def test_a_forge_that_cannot_start_says_why(server: Any, tmp_path: Path) -> None:
    api = server.info.api.removeprefix("http://")
    with pytest.raises(errors.WaitError, match="Address already in use"):
        control.launch(control.Start(root=tmp_path / "a", api=api))
    taken = f"127.0.0.1:{server.info.ssh_port}"
    with pytest.raises(errors.WaitError, match="does not listen"):
        control.launch(control.Start(root=tmp_path / "b", ssh=taken))


def test_nothing_is_left_on_the_machine(forge: Any) -> None:
    assert forge.info.root.exists()
    accounts = Path("/etc/passwd").read_text()
    assert "/run/forge" not in accounts
    assert "/run/forge" not in Path("/proc/self/mountinfo").read_text()

"""Commands that end, and several at once."""

import functools
import os
import queue
import threading
import time
from pathlib import Path

import pytest

from provision import errors
from provision.sandbox import files, jobs, processes


def test_output_and_input_pass() -> None:
    assert jobs.run(("cat",), stdin="hello", what="Echoing") == "hello"


def test_a_failure_says_what_was_meant_and_what_was_said() -> None:
    with pytest.raises(errors.ElysiumError) as caught:
        jobs.run(("sh", "-c", "echo no such luck >&2; exit 3"), what="Trying")
    assert "Trying" in caught.value.summary
    assert "status 3" in caught.value.summary
    assert caught.value.detail == "no such luck"


def test_a_missing_program_is_named() -> None:
    with pytest.raises(errors.ElysiumError, match="no-such-program"):
        jobs.run(("no-such-program",), what="Trying")


def test_every_line_is_passed_on_as_it_comes() -> None:
    lines: list[str] = []
    jobs.run(("sh", "-c", "echo a; echo b >&2"), what="Talking", each_line=lines.append)
    assert lines == ["a", "b"]


@pytest.mark.parametrize("listening", [True, False])
def test_what_takes_too_long_is_ended_with_its_children(tmp_path: Path, listening: bool) -> None:
    pid_file = tmp_path / "pid"
    script = f"sleep 60 & echo $! >{pid_file}; wait"
    with pytest.raises(errors.ElysiumError):
        jobs.run(
            ("sh", "-c", script),
            what="Sleeping",
            timeout=0.3,
            each_line=(lambda _: None) if listening else None,
        )
    _gone(int(pid_file.read_text()))


def test_things_done_together_give_their_results_by_name() -> None:
    barrier = threading.Barrier(2, timeout=5)
    results = jobs.together({"a": lambda: barrier.wait() >= 0, "b": lambda: barrier.wait() >= 0})
    assert results == {"a": True, "b": True}


def test_the_first_failure_ends_the_commands_of_the_others() -> None:
    began = time.monotonic()

    def fail() -> None:
        raise errors.ElysiumError("It broke.")

    with pytest.raises(errors.ElysiumError, match="It broke"):
        jobs.together({"slow": lambda: jobs.run(("sleep", "60"), what="Sleeping"), "fails": fail})
    assert time.monotonic() - began < 10


def test_the_first_failure_ends_what_the_others_do_together() -> None:
    began, running = time.monotonic(), threading.Event()

    def inner() -> None:
        line = {"each_line": lambda _line: running.set()}
        run = functools.partial(jobs.run, ("sh", "-c", "echo; sleep 60"), what="Sleeping", **line)
        jobs.together({"one": run, "other": run})

    def fail() -> None:
        assert running.wait(30)
        raise errors.ElysiumError("It broke.")

    with pytest.raises(errors.ElysiumError, match="It broke"):
        jobs.together({"inner": inner, "fails": fail})
    assert time.monotonic() - began < 30


def test_the_first_failure_ends_the_waits_of_the_others() -> None:
    def fail() -> None:
        raise errors.ElysiumError("It broke.")

    def wait() -> None:
        processes.wait_until(lambda: False, what="Nothing", timeout=60)

    with pytest.raises(errors.ElysiumError, match="It broke"):
        jobs.together({"waits": wait, "fails": fail})


def test_a_lock_is_for_one_at_a_time(tmp_path: Path) -> None:
    path = tmp_path / "locks" / "one"
    said = queue.SimpleQueue[str]()
    got: list[str] = []

    def second() -> None:
        with files.locked(path, what="building", say=said.put):
            got.append("it")

    other = threading.Thread(target=second)
    with files.locked(path, what="building"):
        other.start()
        assert "building" in said.get(timeout=10)
        assert not got
    other.join(10)
    assert got


def test_a_wait_that_is_in_vain_shows_the_log_of_the_process(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("cannot bind: in use\n")
    gone = processes.Process(pid=2**22 - 1, started=1, log=log)
    with pytest.raises(errors.WaitError) as caught:
        processes.wait_until(lambda: False, what="An answer", timeout=5, process=gone)
    assert "in use" in caught.value.detail


def test_a_process_is_told_from_a_later_one_of_the_same_number(tmp_path: Path) -> None:
    started = processes.start_time(os.getpid())
    assert started
    assert processes.Process(pid=os.getpid(), started=started, log=tmp_path).alive()
    assert not processes.Process(pid=os.getpid(), started=started - 1, log=tmp_path).alive()


def test_processes_are_recognised_from_their_file(tmp_path: Path) -> None:
    one = processes.Process(pid=12, started=34, log=tmp_path / "log")
    path = tmp_path / "processes.json"
    processes.save(path, {"node": one, "nothing": None})
    assert processes.load(path) == {"node": one}
    path.write_text("[1")
    assert processes.load(path) == {}
    assert processes.load(tmp_path / "none") == {}


def _gone(pid: int) -> None:
    deadline = time.monotonic() + 5
    while processes.start_time(pid) is not None:
        assert time.monotonic() < deadline, f"{pid} still runs"
        time.sleep(0.02)

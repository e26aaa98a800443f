"""On a real terminal: questions, the moving display, Ctrl-C, secrets that are not echoed."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

CHILD = """\
import importlib.util, pathlib, sys, threading, time
spec = importlib.util.spec_from_file_location("support", {conftest!r})
support = importlib.util.module_from_spec(spec)
sys.modules["support"] = support
spec.loader.exec_module(support)
from provision.cli import main

fake = support.FakeOperations(pathlib.Path())
if {block!r}:
    def up(stack, *, on_event, options):
        for event in support.work()[:-3]:
            on_event(event)
        if {block!r} == "in a thread":
            threading.Thread(target=time.sleep, args=(120,)).start()
        time.sleep(120)
    fake.up = up
support.install(fake, setattr)
sys.argv[1:] = {arguments!r}
sys.exit(main.main())
"""


class Session:
    """A program on a pseudo terminal of 100 by 40 characters."""

    def __init__(self, arguments: list[str], folder: Path, *, block: str = "") -> None:
        self.master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 100, 0, 0))
        conftest = str(Path(__file__).with_name("conftest.py"))
        code = CHILD.format(conftest=conftest, block=block, arguments=arguments)
        # `setsid --ctty` makes this its controlling terminal, so that ^C reaches it.
        self.process = subprocess.Popen(
            ["setsid", "--ctty", "--wait", sys.executable, "-c", code],
            stdin=slave,
            stdout=slave,
            stderr=slave,
            cwd=folder,
            env={**os.environ, "TERM": "xterm-256color"},
        )
        os.close(slave)
        self.text = ""

    def until(self, pattern: str, seconds: float = 60) -> str:
        """Read until `pattern` was printed; return everything printed so far."""
        deadline = time.monotonic() + seconds
        while not re.search(pattern, plain(self.text)):
            if not self._more(deadline):
                raise AssertionError(f"{pattern!r} did not come; there was:\n{plain(self.text)}")
        return self.text

    def until_echo_is_off(self, seconds: float = 60) -> None:
        deadline = time.monotonic() + seconds
        while termios.tcgetattr(self.master)[3] & termios.ECHO:
            if time.monotonic() > deadline:
                raise AssertionError("what is typed is still shown")
            time.sleep(0.01)

    def type(self, text: str) -> None:
        os.write(self.master, text.encode())

    def end(self, seconds: float = 60) -> int:
        deadline = time.monotonic() + seconds
        while self._more(deadline):
            pass
        return self.process.wait(timeout=seconds)

    def _more(self, deadline: float) -> bool:
        """Read what comes before `deadline`; return whether anything did."""
        ready, _, _ = select.select([self.master], [], [], max(0, deadline - time.monotonic()))
        try:
            data = os.read(self.master, 65536) if ready else b""
        except OSError:  # the other side is closed
            return False
        self.text += data.decode(errors="replace")
        return bool(data)

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        os.close(self.master)


def plain(text: str) -> str:
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text).replace("\r\n", "\n")


@pytest.fixture
def session(folder: Path) -> Iterator[object]:
    opened: list[Session] = []

    def start(*arguments: str, block: str = "") -> Session:
        opened.append(Session(list(arguments), folder, block=block))
        return opened[-1]

    yield start
    for each in opened:
        each.close()


def test_up_asks_shows_colours_and_leaves_the_terminal_as_it_was(session):
    up = session("up")
    up.until(r"Do this\? \[y/N\]")
    assert "\x1b[32m" in up.text
    up.type("y\n")
    assert up.end() == 0
    shown = plain(up.text)
    assert "~ k3s kyrion: changed in 12.3s" in shown
    assert "kyrion is up after 13.0s" in shown
    assert up.text.count("\x1b[?25l") == up.text.count("\x1b[?25h"), "the cursor came back"


def test_no_color_means_none(session):
    up = session("up", "--no-color")
    up.until(r"Do this\?")
    up.type("n\n")
    assert up.end() == 0
    assert not re.search(r"\x1b\[[0-9;]*3[0-7]m", up.text)


def test_ctrl_c_names_the_step_and_gives_the_cursor_back(session):
    up = session("up", "--yes", block="here")
    up.until(r"waiting until k3s is Ready")
    up.type("\x03")
    assert up.end() == 130
    shown = plain(up.text)
    assert "error: interrupted during k3s kyrion (waiting until k3s is Ready)" in shown
    assert "run it again" in shown
    assert "Traceback" not in shown
    assert up.text.rindex("\x1b[?25h") > up.text.rindex("\x1b[?25l")


def test_ctrl_c_pressed_many_times_still_ends_in_words(session):
    up = session("up", "--yes", block="here")
    up.until(r"waiting until k3s is Ready")
    up.type("\x03" * 5)
    assert up.end() == 130
    assert "run it again" in plain(up.text)
    assert up.text.rindex("\x1b[?25h") > up.text.rindex("\x1b[?25l")


def test_ctrl_c_after_the_last_word_does_not_wait_for_what_still_runs(session):
    up = session("up", "--yes", block="in a thread")
    up.until(r"waiting until k3s is Ready")
    up.type("\x03")
    up.until(r"run it again.*\n")
    pressed = time.monotonic()
    up.type("\x03")
    assert up.end() == 130
    assert time.monotonic() - pressed < 60
    assert "Traceback" not in up.text


def test_ctrl_c_at_the_question(session):
    up = session("up")
    up.until(r"Do this\?")
    up.type("\x03")
    assert up.end() == 130
    assert "nothing was changed" in plain(up.text)
    assert "Traceback" not in up.text


def test_a_question_is_asked_again_until_the_answer_is_one(session):
    up = session("up")
    up.until(r"Do this\? \[y/N\]")
    up.type("perhaps\n")
    up.until(r"please answer y or n\nDo this\?")
    up.type("\n")
    assert up.end() == 0
    assert "nothing was changed" in plain(up.text)


def test_no_answer_at_the_question(session):
    up = session("up")
    up.until(r"Do this\?")
    up.type("\x04")
    assert up.end() == 130
    assert "nothing was changed" in plain(up.text)


def test_a_secret_is_not_echoed(session, folder, monkeypatch):
    monkeypatch.setenv("PULUMI_CONFIG_PASSPHRASE", "correct horse")
    asked = session("config", "set", "--secret", "github.token")
    asked.until("github.token")
    asked.until_echo_is_off()  # turning it off throws away what was typed before
    asked.type("ghp_canary\n")
    assert asked.end() == 0
    assert "canary" not in asked.text
    assert "secure: v1:" in (folder / "Pulumi.kyrion.yaml").read_text()

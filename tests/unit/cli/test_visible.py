"""No control character of others reaches the terminal, a log or a prompt; JSON loses nothing."""

from __future__ import annotations

import io
import json
import logging
import re
import sys
import unicodedata
from pathlib import Path
from typing import Any

import pytest

from provision import errors
from provision.cli import consoles, failures, redaction, settings, terminal, visible
from provision.cli.render import plan, text
from provision.engine import events
from provision.secret import Secret
from tests.support import import_graph

HIDDEN = [
    *(chr(code) for code in range(0xA0) if code not in (9, 10) and not 0x20 <= code < 0x7F),
    *"\u00ad\u034f\u061c\u200b\u200c\u200d\u200e\u200f\u2028\u2029\u202a\u202b\u202c\u202d\u202e",
    *"\u2060\u2066\u2067\u2068\u2069\ufeff\u3164\U000e0041\udc80",
]
HOSTILE = "good\x1b[2K\x1b]0;title\x07\r\x9b1A\u202eevil\u200b\x7f end"
ALLOWED = re.compile(r"\x1b\[[0-9;]*m")
"""Our own colours."""


def unsafe(written: str) -> list[str]:
    rest = ALLOWED.sub("", written)
    return [
        ascii(char)
        for char in rest
        if char not in "\n\t" and unicodedata.category(char) in ("Cc", "Cf", "Cs", "Zl", "Zp")
    ]


def test_every_character_that_moves_hides_or_reorders_is_visible() -> None:
    for code in range(sys.maxunicode + 1):
        char = chr(code)
        hidden = unicodedata.category(char) in ("Cc", "Cf", "Cs", "Zl", "Zp")
        if hidden and char not in "\n\t":
            shown = visible.visible(char)
            assert shown.isascii() and shown.isprintable(), hex(code)
        if visible.visible(char) != char:
            assert json.loads(visible.in_json(json.dumps(char, ensure_ascii=False))) == char


@pytest.mark.parametrize("char", HIDDEN, ids=ascii)
def test_it_is_shown_as_python_writes_it(char: str) -> None:
    shown = visible.visible(f"a{char}b")
    assert shown.encode("ascii").decode("unicode_escape") == f"a{char}b"


def test_what_is_written_stays() -> None:
    words = "Ünïcode – 日本 ✓ ✗ → ⠋ é\n\tand tabs \\x1b"
    assert visible.visible(words) == words


class Written:
    """What was written to one stream so far."""

    def __init__(self, both: Shown, number: int) -> None:
        self._both = both
        self._number = number

    def getvalue(self) -> str:
        return self._both.read()[self._number]


class Shown:
    """Standard output and standard error."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys
        self._texts = ["", ""]

    def read(self) -> list[str]:
        for number, added in enumerate(self._capsys.readouterr()):
            self._texts[number] += added
        return self._texts

    def __getitem__(self, number: int) -> Written:
        return Written(self, (0, 1)[number])


@pytest.fixture
def shown(capsys: pytest.CaptureFixture[str]) -> Shown:
    return Shown(capsys)


def everything(kind: terminal.Terminal) -> None:
    from rich import table, tree

    kind.result(HOSTILE)
    kind.say(HOSTILE)
    kind.warn(HOSTILE)
    kind.note("error:", HOSTILE, "red")
    kind.out.print(HOSTILE)
    kind.err.print(text.Text(HOSTILE, style="red"))
    kind.out.print(text.Text().append(HOSTILE, style="bold"))
    kind.out.print(text.Text.assemble(("a", "bold"), HOSTILE))
    grid = table.Table(HOSTILE, title=HOSTILE)
    grid.add_row(HOSTILE)
    kind.out.print(grid)
    top = tree.Tree(HOSTILE)
    top.add(HOSTILE)
    kind.out.print(top)
    kind.out.print(plan.diff(f"--- a\n+++ b\n-old\n+{HOSTILE}\n"))


@pytest.mark.parametrize("color", [True, False, None])
def test_a_terminal_shows_no_control_character(shown: Any, color: bool | None) -> None:
    everything(terminal.Terminal(color=color))
    for stream in shown:
        assert unsafe(stream.getvalue()) == []
        assert "\\x1b[2K" in stream.getvalue()
    assert "+good\\x1b[2K" in shown[0].getvalue(), "the diff shows it"
    assert "\\r" in shown[0].getvalue() or "\\x0d" in shown[0].getvalue()


def test_each_layer_shows_them_without_the_others() -> None:
    """Rich drops some characters before a console writes, and draws texts that are not ours."""
    from rich import text as rich_text

    shown = visible.visible(HOSTILE)
    assert text.Text(HOSTILE).plain == shown
    assert text.Text("a").append(HOSTILE).plain == f"a{shown}"
    assert text.Text.assemble(("a", "bold"), HOSTILE).plain == f"a{shown}"
    written = io.StringIO()
    console = consoles.SafeConsole(file=written, width=200)
    assert console.render_str(HOSTILE).plain == shown
    console.print(rich_text.Text("a\x9b1A\u202e\u200bb"))
    assert written.getvalue() == "a\\x9b1A\\u202e\\u200bb\n"


def test_rich_markup_of_others_is_text(shown: Any) -> None:
    terminal.Terminal().out.print("[link=http://evil]click[/link] [bold]x")
    assert shown[0].getvalue() == "[link=http://evil]click[/link] [bold]x\n"


def test_json_escapes_and_loses_nothing(shown: Any) -> None:
    kind = terminal.Terminal(json=True)
    kind.data({"message": HOSTILE, HOSTILE: ["\udc80\U000e0041"]})
    kind.event({"event": "step", "message": HOSTILE})
    first, second = shown[0].getvalue().splitlines()
    assert unsafe(shown[0].getvalue()) == []
    assert json.loads(first) == {"message": HOSTILE, HOSTILE: ["\udc80\U000e0041"]}
    assert json.loads(second)["message"] == HOSTILE


def test_a_question_shows_no_control_character(shown: Any, monkeypatch: Any) -> None:
    kind = terminal.Terminal()
    monkeypatch.setattr(sys, "stdin", io.StringIO("y\nvalue\n"))
    assert kind.confirm(f"delete {HOSTILE}?")
    assert kind.ask(HOSTILE, default=HOSTILE) == "value"
    assert unsafe(shown[1].getvalue()) == []
    assert "\\x1b[2K" in shown[1].getvalue()


@pytest.mark.parametrize("as_json", [True, False])
def test_an_error_shows_no_control_character(shown: Any, as_json: bool) -> None:
    called = settings.Settings()
    called.json = as_json
    called.terminal.json = as_json
    problem = errors.Problem(message=HOSTILE, where=HOSTILE, key=HOSTILE, hint=HOSTILE)
    told = errors.PreflightError(HOSTILE, [problem], hint=HOSTILE)
    assert failures.report(told, called) == 3
    for stream in shown:
        assert unsafe(stream.getvalue()) == []
    assert "\\x1b[2K" in shown[1].getvalue()
    if as_json:
        assert json.loads(shown[0].getvalue())["problems"][0]["message"] == HOSTILE


def test_a_detail_keeps_the_characters_that_python_breaks_lines_at(shown: Any) -> None:
    told = errors.ElysiumError("it failed", detail="a\x0bb\x85c\u2028d\x1ce\r\nf")
    failures.report(told, settings.Settings())
    assert "  a\\x0bb\\x85c\\u2028d\\x1ce\\x0d\n  f\n" in shown[1].getvalue()


def test_the_kept_traceback_and_the_log_show_no_control_character(
    shown: Any, tmp_path: Path, monkeypatch: Any
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))
    called = settings.Settings()
    called.debug = True
    try:
        raise RuntimeError(HOSTILE)
    except RuntimeError as error:
        failures.report(error, called)
    (kept,) = tmp_path.rglob("*.txt")
    assert unsafe(kept.read_text()) == []
    assert unsafe(shown[1].getvalue()) == []
    record = logging.LogRecord("a", logging.INFO, "f", 1, "said %s", (HOSTILE,), None)
    redaction.Filter(called.terminal.hide).filter(record)
    assert unsafe(record.getMessage()) == []


def test_the_moving_display_shows_no_control_character(shown: Any) -> None:
    from provision.cli.render import reporter

    called = settings.Settings()
    urn = f"urn:pulumi:s::p::elysium:node:K3sServer::{HOSTILE}"
    started = events.ResourceStarted(urn=urn, op="create")
    with reporter.Live(called) as listening:
        listening.on_event(started)
        listening.on_event(events.ResourceProgress(urn=urn, message=HOSTILE))
        called.terminal.err.print(listening._moving())
        listening._line(HOSTILE)
        listening.step(HOSTILE)
    written = re.sub(r"\x1b\[\?25[lh]|\x1b\[1A|\x1b\[2K|\r", "", shown[1].getvalue())
    assert "\\x1b[2K" in written
    assert unsafe(written) == []


def test_a_secret_with_a_control_character_is_hidden_too(shown: Any) -> None:
    kind = terminal.Terminal()
    kind.keep_secret([Secret("pass\x1bword\u200b")])
    everything(kind)
    kind.say("pass\x1bword\u200b")
    kind.err.print(text.Text("pass\x1bword\u200b"))
    kind.data("pass\x1bword\u200b")
    assert "word" not in shown[0].getvalue() + shown[1].getvalue()


def test_what_the_user_asked_to_read_is_exact_for_a_program(shown: Any, monkeypatch: Any) -> None:
    kind = terminal.Terminal()
    kind.reveal(HOSTILE)
    assert shown[0].getvalue() == HOSTILE + "\n"
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    kind.reveal(HOSTILE)
    assert unsafe(shown[0].getvalue().removeprefix(HOSTILE)) == []


def test_styled_text_is_made_in_one_module() -> None:
    makers = [
        str(path.relative_to(import_graph.ROOT))
        for path in import_graph.files().values()
        if re.search(
            r"from rich import .*\btext\b|from rich\.(text|console) import (Text|Console)",
            path.read_text(encoding="utf-8"),
        )
        and "    from rich.console import Console" not in path.read_text(encoding="utf-8")
    ]
    assert sorted(makers) == ["provision/cli/consoles.py", "provision/cli/render/text.py"]

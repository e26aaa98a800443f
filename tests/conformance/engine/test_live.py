"""Both engines live, and changed at every position of every sequence. Needs a `pulumi` on PATH."""

from __future__ import annotations

import gc
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import corpus
import harness
import pytest
import recorded
from pulumi import automation

pytestmark = [
    pytest.mark.skipif(
        shutil.which("pulumi") is None, reason="no `pulumi` CLI on PATH to compare with"
    ),
    # The SDK's server for a CLI leaves its event loop open when a run fails in it.
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


@pytest.fixture(scope="module")
def command() -> automation.PulumiCommand:
    return automation.PulumiCommand(skip_version_check=True)


@pytest.fixture(autouse=True)
def fewer_starts(
    command: automation.PulumiCommand, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Start the CLI only for what is compared: its version is known, its history not looked at."""
    monkeypatch.setenv("PULUMI_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(automation, "PulumiCommand", lambda **_: command)
    monkeypatch.setattr(automation.Stack, "info", lambda *_, **__: object())


@pytest.fixture(autouse=True)
def left_by_none() -> Iterator[None]:
    """Collect what the SDK left here and not in a later test."""
    yield
    gc.collect()


@pytest.mark.parametrize("name", list(corpus.BY_NAME))
def test_the_engine_changes_at_every_position(name: str, tmp_path: Path) -> None:
    """Each engine runs the whole sequence; after each of its steps the other one goes on.

    A sequence in which ours is to differ has to come to its end with a state that both read.
    """
    expected = recorded.steps(name)
    with harness.runner(tmp_path, corpus.BY_NAME[name]) as runner:
        start = runner.save()
        for kind, other in (("upstream", "embedded"), ("embedded", "upstream")):
            runner.restore(start)
            saved: list[harness.Saved] = []
            found = runner.run([kind] * len(expected), saved=saved)
            _require(name, found, expected, compared=kind == "upstream")
            for position in range(1, len(expected)):
                runner.restore(saved[position - 1])
                rest = expected[position:]
                _require(name, runner.run([other] * len(rest), begin=position), rest)


def _require(
    name: str,
    found: list[dict[str, Any]],
    expected: list[dict[str, Any]],
    *,
    compared: bool = False,
) -> None:
    if compared or name not in recorded.WANTED:
        recorded.require_same(json.loads(json.dumps(found)), expected)

"""Both engines live, and changed at every position of every sequence. Needs a `pulumi` on PATH."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import corpus
import harness
import pytest
import recorded

pytestmark = pytest.mark.skipif(
    shutil.which("pulumi") is None, reason="no `pulumi` CLI on PATH to compare with"
)
everything = pytest.mark.parametrize("name", list(corpus.BY_NAME))


@pytest.fixture(autouse=True)
def pulumi_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PULUMI_HOME", str(tmp_path / "home"))


def require_recorded(root: Path, name: str, kinds: list[harness.Kind]) -> None:
    found = harness.run(root, corpus.BY_NAME[name], kinds)
    if name in recorded.WANTED | recorded.OPEN and "embedded" in kinds:
        return  # each step ended, in a state that both engines read
    recorded.require_same(json.loads(json.dumps(found)), recorded.steps(name))


@everything
def test_upstream_still_gives_what_is_recorded(name: str, tmp_path: Path) -> None:
    require_recorded(tmp_path, name, ["upstream"] * len(corpus.BY_NAME[name].steps))


@everything
def test_the_engine_changes_at_every_position(name: str, tmp_path: Path) -> None:
    number = len(corpus.BY_NAME[name].steps)
    turns: tuple[tuple[harness.Kind, harness.Kind], ...] = (
        ("embedded", "upstream"),
        ("upstream", "embedded"),
    )
    for before, after in turns:
        for position in range(1, number):
            kinds = [before] * position + [after] * (number - position)
            require_recorded(tmp_path / f"{before}{position}", name, kinds)

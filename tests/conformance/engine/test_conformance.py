"""Both engines, sequence by sequence: against recordings always, live where there is a CLI.

``ELYSIUM_CONFORMANCE_SWAPS=1`` also changes the engine at every position of
every sequence, which takes most of an hour.
"""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import corpus
import harness
import pytest

RECORDINGS = Path(__file__).parent / "recordings"
BY_NAME = {each.name: each for each in corpus.SEQUENCES}
live = pytest.mark.skipif(
    shutil.which("pulumi") is None, reason="no `pulumi` CLI on PATH to compare with"
)
swaps = pytest.mark.skipif(
    not os.environ.get("ELYSIUM_CONFORMANCE_SWAPS"),
    reason="ELYSIUM_CONFORMANCE_SWAPS is not set; changing the engine everywhere takes long",
)
everything = pytest.mark.parametrize("name", list(BY_NAME))


def recorded(name: str) -> list[dict[str, Any]]:
    body = json.loads((RECORDINGS / f"{name}.json").read_text())
    return body["steps"]


def require_same(found: list[dict[str, Any]], expected: list[dict[str, Any]]) -> None:
    for index, (ours, theirs) in enumerate(zip(found, expected, strict=True)):
        for key, value in theirs.items():
            assert ours[key] == value, f"step {index}: {key}"


def test_the_corpus_is_recorded() -> None:
    assert len(BY_NAME) == len(corpus.SEQUENCES) >= 40
    assert {path.stem for path in RECORDINGS.glob("*.json")} == set(BY_NAME)


@everything
def test_embedded_gives_what_upstream_gave(name: str, tmp_path: Path) -> None:
    sequence = BY_NAME[name]
    found = harness.run(tmp_path, sequence, ["embedded"] * len(sequence.steps))
    require_same(json.loads(json.dumps(found)), recorded(name))


@live
@everything
def test_upstream_still_gives_that(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PULUMI_HOME", str(tmp_path / "home"))
    sequence = BY_NAME[name]
    found = harness.run(tmp_path, sequence, ["upstream"] * len(sequence.steps))
    require_same(json.loads(json.dumps(found)), recorded(name))


@live
@swaps
@everything
def test_the_engine_changes_at_every_position(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PULUMI_HOME", str(tmp_path / "home"))
    sequence = BY_NAME[name]
    number = len(sequence.steps)
    first: tuple[harness.Kind, harness.Kind] = ("embedded", "upstream")
    for before, after in (first, (first[1], first[0])):
        for position in range(1, number):
            kinds = [before] * position + [after] * (number - position)
            found = harness.run(tmp_path / f"{before}{position}", sequence, kinds)
            require_same(json.loads(json.dumps(found)), recorded(name))

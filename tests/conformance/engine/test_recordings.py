"""The embedded engine against recordings of what upstream's did, sequence by sequence.

A sequence of `recorded.WANTED` must differ: one that agrees is to be taken out.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import corpus
import harness
import pytest
import recorded

from provision import crypter


def _sequences() -> list[Any]:
    return [
        pytest.param(name, marks=pytest.mark.xfail(reason=reason, strict=True)) if reason else name
        for name in corpus.BY_NAME
        for reason in [recorded.WANTED.get(name, "")]
    ]


@pytest.fixture(autouse=True)
def quick_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    """Derive keys with few rounds: no other engine reads these states."""
    monkeypatch.setattr(crypter, "_ROUNDS", 1000)


def test_the_corpus_is_recorded() -> None:
    assert len(corpus.BY_NAME) == len(corpus.SEQUENCES) >= 40
    assert recorded.names() == set(corpus.BY_NAME)
    assert set(recorded.WANTED) <= set(corpus.BY_NAME)


def test_every_wanted_difference_is_documented() -> None:
    page = (Path(__file__).parents[3] / "docs" / "engine.md").read_text(encoding="utf-8")
    assert [name for name in recorded.WANTED if f"`{name}`" not in page] == []


@pytest.mark.parametrize("name", _sequences())
def test_embedded_gives_what_upstream_gave(name: str, tmp_path: Path) -> None:
    sequence = corpus.BY_NAME[name]
    found = harness.run(tmp_path, sequence, ["embedded"] * len(sequence.steps))
    recorded.require_same(json.loads(json.dumps(found)), recorded.steps(name))

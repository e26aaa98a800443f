"""The part of the torture that `make test` runs: the corpus, and one case of each attack."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.torture import answers, areas, fuzz, run
from tests.torture.answers import kinds
from tests.torture.fuzz import area, targets
from tests.torture.fuzz.target import Target, attempt

SEED = 1
"""Long runs take new seeds; here a failure is one of the change that is tested."""


@pytest.mark.parametrize(
    ("target", "path"), area.kept(), ids=lambda value: getattr(value, "name", "")
)
def test_what_once_failed(tmp_path: Path, target: Target, path: Path) -> None:
    failure = attempt(target, path.read_bytes(), tmp_path)
    assert failure is None, failure and failure.text


@pytest.mark.slice
@pytest.mark.timeout(300)
@pytest.mark.parametrize("number", range(len(targets.ALL)))
def test_a_parser(number: int) -> None:
    outcome = run.one(fuzz.AREA, SEED, number)
    assert [run.told(fuzz.AREA, SEED, number, each) for each in outcome.failures] == []
    assert outcome.tries > 10


@pytest.mark.slice
@pytest.mark.timeout(300)
@pytest.mark.parametrize("number", range(len(kinds.KINDS)))
def test_a_kind_of_wrong_answer(number: int) -> None:
    outcome = run.one(answers.AREA, SEED, number)
    assert [run.told(answers.AREA, SEED, number, each) for each in outcome.failures] == []


def test_each_area_has_its_name() -> None:
    assert {name: area.name for name, area in areas.AREAS.items()} == {
        name: name for name in areas.AREAS
    }

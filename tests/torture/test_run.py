"""The runner: it prints its seed, goes on after a failure, and replays one case."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.torture import __main__ as command
from tests.torture import areas, cases, run


@dataclass(frozen=True)
class Case:
    number: int
    chance: int
    title: str = "a case of the test"

    def run(self, folder: Path) -> cases.Outcome:
        assert list(folder.iterdir()) == []
        (folder / "left").touch()
        if self.number == 1:
            raise RuntimeError("the harness")
        wrong = cases.Failure(kind="odd", text=f"it was {self.chance}")
        return cases.Outcome(tries=10, failures=(wrong,) if self.number % 2 else ())


@dataclass(frozen=True)
class Area:
    name: str = "sample"
    counts: str = "tries"

    def case(self, seed: int, number: int) -> Case:
        return Case(number, cases.chance(seed, self.name, number).getrandbits(32))


def test_it_goes_on_until_the_time_is_up_and_tells_each_kind_once() -> None:
    told: list[str] = []
    ticks = itertools.count()
    rows = run.until([Area()], 7, seconds=18, tell=told.append, clock=lambda: float(next(ticks)))
    (row,) = rows
    assert row.cases > 4 and row.failures == row.cases // 2
    assert row.kinds == {"the case itself ended with RuntimeError": 1, "odd": row.failures - 1}
    assert len(told) == 2
    assert "--seed 7 --case sample/1\nTraceback" in told[0].replace("\n\n", "\n")
    assert "--seed 7 --case sample/3\n" in told[1]
    assert f"| sample | {row.cases} |" in run.table(rows)


def test_the_area_with_the_least_time_is_next_and_each_has_one_case() -> None:
    areas_ = [Area("first"), Area("second")]
    ticks = itertools.count()
    rows = run.until(areas_, 7, seconds=0, tell=lambda _: None, clock=lambda: float(next(ticks)))
    assert [row.cases for row in rows] == [1, 1]


def test_a_case_is_the_same_again(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(areas, "AREAS", {"sample": Area()})
    assert command.main(["--seed", "7", "--case", "sample/3"]) == 1
    first = capsys.readouterr().out
    assert first.startswith("seed 7\n")
    assert command.main(["--seed", "7", "--case", "sample/3"]) == 1
    assert capsys.readouterr().out == first
    assert command.main(["--seed", "8", "--case", "sample/3"]) == 1
    assert capsys.readouterr().out != first
    assert command.main(["--seed", "7", "--case", "sample/2"]) == 0


def test_without_a_seed_it_makes_one_and_says_it_first(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(areas, "AREAS", {"sample": Area()})
    assert command.main(["--minutes", "0"]) == 0
    assert capsys.readouterr().out.startswith("seed ")


@pytest.mark.parametrize("words", [["--case", "sample"], ["--case", "other/1"], ["--area", "x"]])
def test_wrong_words(monkeypatch: pytest.MonkeyPatch, words: list[str]) -> None:
    monkeypatch.setattr(areas, "AREAS", {"sample": Area()})
    with pytest.raises(SystemExit) as caught:
        command.main(words)
    assert caught.value.code == 2

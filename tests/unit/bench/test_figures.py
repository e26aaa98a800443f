"""The arithmetic and the table of the benchmark."""

from __future__ import annotations

import pytest

from tests.bench import figures


def filled(table: figures.Table, what: str, tool: str, *values: float | None) -> figures.Series:
    series = table.series(what, tool)
    for value in values:
        if value is None:
            series.lost("it broke")
        else:
            series.add(value)
    return series


def test_ratios_are_taken_within_a_round() -> None:
    table = figures.Table()
    filled(table, "no-op", figures.ELYSIUM, 1.0, 10.0, 2.0)
    peer = filled(table, "no-op", "peer", 2.0, 20.0, 1.0)
    # The quotient of the medians would be 1.
    assert table.ratios(peer) == [0.5, 0.5, 2.0]
    assert table.rows()[1][3] == "0.5 (0.5–2)"


def test_a_lost_round_is_left_out_of_both() -> None:
    table = figures.Table()
    filled(table, "no-op", figures.ELYSIUM, 1.0, 9.0, 3.0)
    peer = filled(table, "no-op", "peer", 2.0, None, 3.0)
    assert table.ratios(peer) == [0.5, 1.0]
    assert table.rows()[1][2] == "2.50 s (2–3), 1 failed"


def test_what_could_not_be_measured_says_why() -> None:
    table = figures.Table()
    filled(table, "no-op", figures.ELYSIUM, 1.0)
    series = table.series(
        "no-op", "peer", aims=(figures.Aim(comparison="<=", limit=1, of="ratio"),)
    )
    series.lost("it cannot\n be installed")
    row = table.rows()[1]
    assert row[2] == "not measured"
    assert series.note == "it cannot be installed"
    assert row[-2:] == ("≤ 1×", "?")
    assert table.missed() == []


@pytest.mark.parametrize(
    ("comparison", "value", "met"),
    [("<=", 3.0, True), ("<=", 3.01, False), ("<", 3.0, False), ("==", 3.0, True)],
)
def test_aims(comparison: figures.Comparison, value: float, met: bool) -> None:
    table = figures.Table()
    series = table.series(
        "up", figures.ELYSIUM, aims=(figures.Aim(comparison=comparison, limit=3, unit="s"),)
    )
    series.add(value)
    assert [verdict.met for verdict in table.verdicts(series)] == [met]
    assert bool(table.missed()) is not met


def test_aims_look_at_the_median_and_at_the_largest_memory() -> None:
    table = figures.Table()
    aims = (
        figures.Aim(comparison="<=", limit=3, unit="s"),
        figures.Aim(comparison="<", limit=250, of="memory", unit="MB"),
    )
    series = table.series("up", figures.ELYSIUM, aims=aims)
    for value, memory in ((2.0, 100.0), (2.5, 260.0), (9.0, 110.0)):
        series.add(value, memory)
    assert table.rows()[0][-3:] == ("260", "≤ 3 s, < 250 MB", "yes, **no**")
    assert table.missed() == ["up, elysium: 260, aim < 250 MB"]


def test_the_table_is_aligned_and_complete() -> None:
    table = figures.Table()
    filled(table, "upload", figures.ELYSIUM, 0.5)
    filled(table, "upload", "scp", 1.0)
    lines = table.render().splitlines()
    assert len(lines) == 4
    assert len({len(line) for line in lines}) == 1
    assert all(name in lines[0] for name in figures.HEADER)


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0"), (1.0, "1"), (0.1234, "0.123"), (1.234, "1.23"), (12.34, "12.3"), (249.6, "250")],
)
def test_numbers(value: float, text: str) -> None:
    assert figures.number(value) == text

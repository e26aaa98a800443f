"""Versions that satisfy a constraint on a chart's version."""

from __future__ import annotations

import pytest

from provision.sandbox.charts import versions


@pytest.mark.parametrize("text", ["1.2.3", "v1.2.3", "=1.2.3", " 1.2.3-rc.1+build.7"])
def test_an_exact_version_is_the_only_one(text: str) -> None:
    assert versions.satisfying(text) == (text.strip(" ="),)


@pytest.mark.parametrize(
    ("constraint", "one"),
    [
        ("*", "1.0.0"),
        ("", "1.0.0"),
        ("x.x.x", "1.0.0"),
        ("1.x", "1.0.0"),
        ("v1.18.x", "v1.18.0"),
        ("2.5.*", "2.5.0"),
        ("^1.2.3", "1.2.3"),
        ("~2", "2.0.0"),
        (">1.2.3", "1.2.4"),
        ("<2.0.0", "1.0.0"),
        ("<1.3.0 >=1.2.0", "1.2.0"),
        (">=1.2.3-0", "1.2.3-0"),
        ("1.2 - 1.4.9", "1.2.0"),
        ("<0.1.0 || >= 3.1.4", "3.1.4"),
    ],
)
def test_of_a_range_one_fits(constraint: str, one: str) -> None:
    assert one in versions.satisfying(constraint)

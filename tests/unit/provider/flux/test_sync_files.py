"""The words of Flux' sync files: durations."""

from __future__ import annotations

import pytest

from provision.provider.flux import sync_files


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1m", 60),
        ("1m0s", 60),
        ("90s", 90),
        ("1h30m", 5400),
        ("1.5s", 1.5),
        ("x", None),
        ("", None),
    ],
)
def test_durations(text, value):
    assert sync_files.seconds(text) == value

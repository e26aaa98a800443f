"""The words of Flux' sync files: durations and addresses."""

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


@pytest.mark.parametrize(
    ("one", "two"),
    [
        ("ssh://git@github.com/a/b.git", "ssh://git@github.com/a/b"),
        ("ssh://git@github.com:22/a/b", "ssh://git@github.com/a/b.git"),
    ],
)
def test_urls_that_are_the_same(one, two):
    assert sync_files.normal_url(one) == sync_files.normal_url(two)
    assert sync_files.normal_url(one) != sync_files.normal_url("ssh://git@github.com:2222/a/b")

"""Addresses of repositories: which are the same repository, and which the same way to it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provision import giturls

HOME = [
    "https://github.com/me/home",
    "https://github.com/Me/Home.git",
    "https://x:secret@github.com/me/home/",
    "https://x:sec@ret@github.com/me/home/",
    "HTTPS://GitHub.com:443/me/home.git/",
    "ssh://git@github.com/me/home.git",
    "ssh://git@github.com:22/me/home",
    "ssh://git@ssh.github.com:443/me/home",
    "git@github.com:me/home.git",
    "git@github.com:/me/home",
    "github.com/me/home",
    " https://github.com/me/home?ref=main ",
]


@pytest.mark.parametrize("url", HOME)
def test_one_repository_in_all_spellings(url: str) -> None:
    assert giturls.parse(url).repository == "github.com/me/home"
    assert giturls.parse(url).slug == "me/home"


@pytest.mark.parametrize(
    "url",
    [
        *("https://gitlab.com/me/home", "https://github.com/me/home2", "https://github.com/home"),
        *("ssh://git@github.com/me/home/x", "", "https://github.com"),
    ],
)
def test_another_repository(url: str) -> None:
    assert giturls.parse(url).repository != "github.com/me/home"


@pytest.mark.parametrize("url", ["https://example.org", "https://example.org/one", "", "x"])
def test_what_has_no_owner_and_name(url: str) -> None:
    assert giturls.parse(url).slug == ""


@pytest.mark.parametrize(
    ("one", "two", "same"),
    [
        ("ssh://git@github.com/a/b.git", "ssh://git@github.com/a/b", True),
        ("ssh://git@github.com:22/a/b", "ssh://git@github.com/a/b.git/", True),
        ("ssh://git@GITHUB.com/a/b", "ssh://git@github.com/a/b", True),
        ("https://github.com:443/a/b", "https://github.com/a/b", True),
        ("git@github.com:a/b", "ssh://git@github.com/a/b", True),
        ("ssh://git@github.com:2222/a/b", "ssh://git@github.com/a/b", False),
        ("https://github.com:22/a/b", "https://github.com/a/b", False),
        ("https://github.com/a/b", "ssh://git@github.com/a/b", False),
        ("ssh://me@github.com/a/b", "ssh://git@github.com/a/b", False),
        ("ssh://git@github.com/a/B", "ssh://git@github.com/a/b", False),
    ],
)
def test_one_way_to_a_repository(one: str, two: str, same: bool) -> None:
    assert (giturls.parse(one).spelled == giturls.parse(two).spelled) is same


def test_a_password_is_kept_nowhere() -> None:
    assert "hunter2" not in repr(giturls.parse("https://me:hunter2@github.com/me/home"))


@pytest.mark.parametrize(
    "url", ["ssh://git@[::1", "ssh://git@host:port/a/b", "ssh://h:" + "9" * 5000 + "/a", "://", "@"]
)
def test_an_address_that_is_none_is_no_error(url: str) -> None:
    giturls.parse(url)


@given(st.text())
def test_any_text_has_parts(url: str) -> None:
    giturls.parse(url).spelled  # noqa: B018 - nothing is raised


def test_an_address_with_brackets() -> None:
    found = giturls.parse("ssh://git@[fd00::1]:2222/me/home")
    assert (found.host, found.port) == ("fd00::1", 2222)
    assert found.spelled == "ssh://git@[fd00::1]:2222/me/home"

"""Paths in a repository: one form, and what no setting may hold."""

from __future__ import annotations

import pytest

from provision import gitpaths


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        *(("./a/b/", "a/b"), ("", ""), (".", ""), ("./", ""), ("/", ""), ("/a", "a")),
        *(("../../a", "a"), ("a/../b", "b"), ("a//b/./c///", "a/b/c")),
    ],
)
def test_a_path_has_one_form_and_stays_in_the_repository(path: str, expected: str) -> None:
    assert gitpaths.normal(path) == expected


@pytest.mark.parametrize(
    "path",
    ["", "./", ".", "/", "a", "./a//b/", "/a/b", "...", "a b", "ä", "con", ".github", "a.git"],
)
def test_what_a_setting_may_hold(path: str) -> None:
    assert gitpaths.unusable(path) == ""


UNUSABLE = {
    "backslash": ("clusters\\home", "backslash"),
    "up": ("clusters/../../x", "'..'"),
    "up-inside": ("clusters/../clusters/home", "'..'"),
    "up-alone": ("..", "'..'"),
    "line-break": ("clusters/ho\nme", "control character"),
    "tab": ("clusters/\thome", "control character"),
    "nul": ("clusters/ho\0me", "control character"),
    "delete": ("clusters/home\x7f", "control character"),
    "line-separator": ("clusters/\u2028home", "control character"),
    "git": ("clusters/.git/home", ".git"),
    "git-case": (".GIT", ".git"),
    "git-dot": ("a/.git./b", ".git"),
    "git-short": ("a/git~1/b", ".git"),
    "long-name": ("a/" + "n" * 256, "255"),
    "long-name-bytes": ("ä" * 128, "255"),
    "long-path": ("/".join(["n" * 200] * 20), "3500"),
    "space-before": (" clusters/home", "space"),
    "space-after": ("clusters /home", "space"),
    "surrogate": ("clusters/\udcff", "Unicode"),
}


@pytest.mark.parametrize(("path", "reason"), UNUSABLE.values(), ids=UNUSABLE)
def test_what_no_setting_may_hold(path: str, reason: str) -> None:
    assert reason in gitpaths.unusable(path)

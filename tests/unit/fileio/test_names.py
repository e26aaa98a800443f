"""Names that others chose for files."""

from __future__ import annotations

import pytest

from provision.fileio import names


@pytest.mark.parametrize(
    "path",
    [
        "",
        "/etc/passwd",
        "..",
        "../../.ssh/authorized_keys",
        "a/../../b",
        "a/..",
        "./a",
        "a/./b",
        "a//b",
        "a/",
        "a\0b",
        ".git/config",
        ".GIT/hooks/post-checkout",
        "a/.gIt/b",
        ".git",
        ".git./config",
        ".git /config",
        ".git::$INDEX_ALLOCATION/config",
        "git~1/config",
        "GIT~1",
        ".g\u200cit/config",
        "\ufeff.git/config",
        "..\\..\\x",
        "a\\..\\..\\x",
        "\\x",
        ".git\\config",
    ],
)
def test_what_git_refuses(path: str) -> None:
    assert names.refusal(path)


@pytest.mark.parametrize(
    "path",
    [
        "a",
        "a/b.yaml",
        ".gitignore",
        ".gitmodules",
        ".github/workflows/a.yaml",
        "a.git/b",
        "x/.gitkeep",
        "...",
        "a..b/c",
        "mnt-a\\x2db.mount",
        "-a",
        "ä ö/ü.yaml",
        "a b",
        "git~10",
    ],
)
def test_what_git_takes(path: str) -> None:
    assert names.refusal(path) == ""
    assert names.too_long(path) == ""


@pytest.mark.parametrize("path", ["a" * 256, "ä" * 128, "/".join("a" * 200 for _ in range(20))])
def test_what_linux_cannot_hold(path: str) -> None:
    assert names.too_long(path)


def test_half_a_character_is_no_name() -> None:
    assert "Unicode" in names.too_long("a/\ud800")

"""Planted secrets are found nowhere: not in output, state, arguments, journals or Git."""

from __future__ import annotations

import pytest

from tests.support import canaries
from tests.support import lab as labs


@pytest.fixture(scope="module")
def planted(lab: labs.Lab, up: labs.Done) -> dict[str, str]:
    """What must not be seen."""
    return canaries.of(lab)


def test_nothing_is_printed_or_given_as_an_argument(lab: labs.Lab, planted: dict[str, str]) -> None:
    with canaries.watching(planted) as watched:
        for args in (
            ("-v", "--debug", "up", "--yes"),
            ("--json", "up", "--yes"),
            ("preview", "--diff"),
            ("status",),
            ("output",),
            ("config", "show"),
        ):
            assert canaries.in_output(lab.elysium(*args).ok(), planted) == []
    assert any("elysium -v --debug up" in command for command in watched.commands)
    assert watched.found == []


def test_nothing_is_in_the_users_folder(lab: labs.Lab, planted: dict[str, str]) -> None:
    assert canaries.in_folders(lab, planted) == []


def test_nothing_is_in_the_journal_or_a_command_line(
    lab: labs.Lab, planted: dict[str, str]
) -> None:
    assert canaries.on_node(lab, planted) == []


def test_nothing_is_in_git(lab: labs.Lab, planted: dict[str, str]) -> None:
    assert canaries.in_git(lab, planted) == []

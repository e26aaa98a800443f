"""``docs/github-calls.md`` is what its recording and the code say, and names every command."""

from __future__ import annotations

import pytest

from tests.support import github_calls

TEXT = github_calls.PAGE.read_text()
CALLS = github_calls.parse(TEXT)


def test_the_page_is_what_its_recording_makes():
    assert github_calls.render(CALLS) == TEXT


def test_every_command_is_recorded_or_silent():
    assert not set(CALLS) & set(github_calls.SILENT)
    assert {*CALLS, *github_calls.SILENT} == set(github_calls.leaves())


@pytest.mark.parametrize(
    ("args", "name"),
    [
        (("up", "--yes"), "up"),
        (("--stack", "other", "rotate", "deploy-key"), "rotate deploy-key"),
        (("backup",), "backup"),
        (("backup", "list"), "backup list"),
        (("rotate",), ""),
    ],
)
def test_a_command_is_known_by_its_words(args, name):
    assert github_calls.command_of(args) == name


def test_a_call_that_github_does_not_have_is_refused():
    with pytest.raises(AssertionError, match="no such call"):
        github_calls.of_records([{"method": "GET", "path": "/repos/a/b/nothing"}])

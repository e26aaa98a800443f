"""What the tests before called of GitHub is what ``docs/github-calls.md`` lists.

With ``ELYSIUM_RECORD_CALLS`` the page is written instead (`github_calls.unlisted`).
"""

from __future__ import annotations

from tests.support import github_calls
from tests.support import lab as labs


def test_every_call_is_listed(lab: labs.Lab) -> None:
    assert lab.called
    assert github_calls.unlisted(lab.called) == {}, "make github-calls records them"

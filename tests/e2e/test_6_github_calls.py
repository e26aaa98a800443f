"""What the tests before called of GitHub is what ``docs/github-calls.md`` lists.

With ``ELYSIUM_RECORD_CALLS`` the page is written instead: what these commands call, and of those
that were not called here what it listed before.
"""

from __future__ import annotations

import os

from tests.support import github_calls
from tests.support import lab as labs


def test_every_call_is_listed(lab: labs.Lab, up: labs.Done) -> None:
    seen = {name: calls for name, calls in lab.called.items() if calls}
    listed = github_calls.parse(github_calls.PAGE.read_text())
    if os.environ.get("ELYSIUM_RECORD_CALLS"):
        github_calls.PAGE.write_text(github_calls.render(listed | seen))
        return
    besides = frozenset[github_calls.Call]().union(*github_calls.BESIDES.values())
    missing = {
        name: left
        for name, calls in seen.items()
        if (left := calls - listed.get(name, frozenset()) - besides)
    }
    assert missing == {}, "make github-calls records them"

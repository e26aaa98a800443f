"""The README lists exactly the calls that there are, with what each needs."""

from __future__ import annotations

import re
from pathlib import Path

from provision import sandbox
from provision.sandbox.forge.routes import TABLE


def test_the_readme_lists_every_call() -> None:
    text = (Path(str(sandbox.__path__[0])) / "README.md").read_text()
    listed = dict(
        re.findall(r"^\| `([A-Z]+ /[^`]*|[A-Z]+ …[^`]*)` \| (.*) \|$", text, re.MULTILINE)
    )
    listed = {k.replace("…", "/repos/{owner}/{repo}"): v for k, v in listed.items()}
    routes = {f"{r.method} {r.pattern}".replace("+}", "}"): r for r, _ in TABLE.routes}
    assert listed.keys() == routes.keys()
    for call, route in routes.items():
        assert not route.permission or listed[call] == route.permission

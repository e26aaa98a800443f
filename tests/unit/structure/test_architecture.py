"""``docs/architecture.md`` names every package, and its picture is drawn from today's imports."""

from __future__ import annotations

import re

from tests.support import architecture, import_graph

PAGE = (import_graph.ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")


def test_the_picture_is_what_the_imports_say() -> None:
    drawn = architecture.PICTURE.read_text(encoding="utf-8")
    assert drawn == architecture.draw(), "run: make architecture"


def test_the_page_has_a_row_for_every_package_and_no_other() -> None:
    rows = {
        name.removeprefix("provision/").removesuffix(".py")
        for name in re.findall(r"^\| `([\w/.]+)` \|", PAGE, re.MULTILINE)
    }
    assert rows == {*architecture.packages(), "templates"}


def test_every_package_says_what_belongs_in_it() -> None:
    silent = [
        path
        for path in import_graph.files().values()
        if path.name == "__init__.py" and not path.read_text(encoding="utf-8").startswith('"""')
    ]
    assert silent == []

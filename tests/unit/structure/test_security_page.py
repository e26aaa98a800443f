"""``docs/security.md`` names tests that exist."""

from __future__ import annotations

import re

from tests.support import import_graph

PAGE = (import_graph.ROOT / "docs" / "security.md").read_text(encoding="utf-8")


def test_every_test_that_the_page_names_exists() -> None:
    named = set(re.findall(r"`((?:unit|contract|integration|e2e|e2e_variants)/[\w/]+\.py)`", PAGE))
    assert len(named) > 15
    assert [name for name in named if not (import_graph.ROOT / "tests" / name).is_file()] == []


def test_every_row_names_a_test() -> None:
    rows = [line for line in PAGE.splitlines() if line.startswith("| ") and "---" not in line]
    bare = [row for row in rows if ".py`" not in row and not row.startswith("| an attacker wants")]
    assert bare == []

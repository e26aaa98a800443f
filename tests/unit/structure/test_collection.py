"""Every test file is collected."""

from __future__ import annotations

import fnmatch

import pytest

from tests.support import import_graph

TESTS = import_graph.ROOT / "tests"


def test_no_folder_of_tests_is_left_out(request: pytest.FixtureRequest) -> None:
    left_out = request.config.getini("norecursedirs")
    folders = {
        part for path in TESTS.rglob("test_*.py") for part in path.relative_to(TESTS).parent.parts
    }
    assert "build" in folders
    assert [f for f in folders for pattern in left_out if fnmatch.fnmatch(f, pattern)] == []

"""Property paths and differences."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provision import errors
from provision.engine.state import property_paths, values

S = values.Sealed


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("a", ("a",)),
        ("a.b[0].c", ("a", "b", 0, "c")),
        ('a["b.c"]', ("a", "b.c")),
        ('["a \\"b\\""][1][2]', ('a "b"', 1, 2)),
        ("a[*].b", ("a", "*", "b")),
        ("files./etc/x.yaml", ("files", "/etc/x", "yaml")),
    ],
)
def test_parse(text: str, path: property_paths.Path) -> None:
    assert property_paths.parse(text) == path


@pytest.mark.parametrize("text", ["a[", "a[x]", 'a["x]', "a]", ".", "a..b"])
def test_parse_refuses(text: str) -> None:
    with pytest.raises(errors.StackError):
        property_paths.parse(text)


@given(st.lists(st.integers(0, 99) | st.text(min_size=1).filter(lambda t: "\\" not in t)))
def test_show_and_parse_agree(steps: list[Any]) -> None:
    path = tuple(steps)
    assert property_paths.parse(property_paths.show(path)) == path


def test_contains() -> None:
    assert property_paths.contains(("a",), ("a", "b"))
    assert property_paths.contains(("a", "*", "c"), ("a", 0, "c", "d"))
    assert not property_paths.contains(("a", "b"), ("a",))
    assert not property_paths.contains(("b",), ("a",))


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ({"a": 1}, {"a": 1}, []),
        ({"a": 1}, {"a": 2}, [(("a",), "update")]),
        ({"a": 1}, {"a": True}, [(("a",), "update")]),
        ({"a": 1}, {"a": 1.0}, []),
        ({}, {"a": None}, [(("a",), "add")]),
        ({"a": 1}, {}, [(("a",), "delete")]),
        ({"a": [1, 2]}, {"a": [1, 3, 4]}, [(("a", 1), "update"), (("a", 2), "add")]),
        ({"a": {"b": [1]}}, {"a": {"b": []}}, [(("a", "b", 0), "delete")]),
        ({"a": S("x")}, {"a": "x"}, []),
        ({"a": S("x")}, {"a": S("y")}, [(("a",), "update")]),
        ({"a": "x"}, {"a": values.UNKNOWN}, [(("a",), "update")]),
        ({"a": values.UNKNOWN}, {"a": values.UNKNOWN}, [(("a",), "update")]),
        ({"a": [1]}, {"a": {"b": 1}}, [(("a",), "update")]),
    ],
)
def test_differences(old: Any, new: Any, expected: Any) -> None:
    assert [(path, kind) for path, kind, _, _ in property_paths.differences(old, new)] == expected


def test_nothing_inside_a_secret_is_shown() -> None:
    found = property_paths.describe({"a": S({"b": "one"})}, {"a": S({"b": "two"})})
    assert [each.path for each in found] == ["a.b"]
    assert "one" not in repr(found)
    assert "two" not in repr(found)
    assert property_paths.at({"a": S({"b": "one"})}, ("a", "b")) == S("one")


@pytest.mark.parametrize(
    ("ignored", "old", "new", "expected", "failed"),
    [
        (("a",), {"a": 1}, {"a": 2, "b": 2}, {"a": 1, "b": 2}, []),
        (("a",), {}, {"a": 2}, {}, []),
        (("a",), {"a": 1}, {}, {"a": 1}, []),
        (("a.b",), {"a": {"b": 1}}, {"a": {"b": 2, "c": 3}}, {"a": {"b": 1, "c": 3}}, []),
        (("a.b",), {}, {"a": {"b": 2}}, {"a": {"b": 2}}, ["a.b"]),
        (("a[1]",), {"a": [1, 2]}, {"a": [3, 4]}, {"a": [3, 2]}, []),
        (("a[1]",), {"a": [1]}, {"a": [3, 4]}, {"a": [3, 4]}, ["a[1]"]),
        (("a[*].b",), {"a": [{"b": 1}]}, {"a": [{"b": 2, "c": 1}]}, {"a": [{"b": 1, "c": 1}]}, []),
        (("*",), {"a": 1, "c": 3}, {"a": 2, "b": 2}, {"a": 1, "c": 3}, []),
        (("a.b",), {"a": S({"b": 1})}, {"a": {"b": 2}}, {"a": {"b": S(1)}}, []),
    ],
)
def test_ignore(ignored: Any, old: Any, new: Any, expected: Any, failed: Any) -> None:
    before = repr(new)
    assert property_paths.ignore(ignored, old, new) == (expected, failed)
    assert repr(new) == before

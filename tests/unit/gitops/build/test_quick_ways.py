"""The quick ways give what the long ways give."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from provision import errors
from provision.gitops import documents
from provision.gitops.build import flux, workspace


class Plain(documents._BASE):
    """PyYAML's own constructor with our rules for plain scalars."""

    yaml_implicit_resolvers = documents.Loader.yaml_implicit_resolvers


def both(text: str) -> tuple[Any, Any]:
    return documents.load_all(text), list(yaml.load_all(text, Loader=Plain))


@pytest.mark.parametrize(
    "text",
    [
        "a: &x {b: 1}\nc: *x\nd: {<<: *x, e: 2}\n",
        "=: 1\n? [a]\n: b\n",
        "1: a\ntrue: b\nnull: c\n1.5: d\n",
        "a: !!str 1\nb: !!binary aGk=\nc: !!set {a, b}\n",
        "a: !custom b\n",
        "---\n---\na\n---\n- b\n",
        "a: 1\na: 2\n",
        "",
    ],
)
def test_what_is_unusual_is_read_as_pyyaml_reads_it(text: str) -> None:
    try:
        expected = list(yaml.load_all(text, Loader=Plain))
    except yaml.YAMLError as error:
        with pytest.raises(type(error)):
            documents.load_all(text)
        return
    assert repr(documents.load_all(text)) == repr(expected)


def test_an_alias_is_the_same_object_and_not_a_copy() -> None:
    (found,) = documents.load_all("a: &x {b: 1}\nc: *x\n")
    assert found["a"] is found["c"]


WORDS = """\
1 01 0x1f 1_0 1.5 .inf 1e3 yes Off ~ null NULL 2024-01-01 12:30 = << 'q' 0b1 +1 - ? é a#b
"""
SCALARS = st.sampled_from([*WORDS.split(), "a b", "- a", "a: b", "", "a #b"]) | st.text(max_size=12)
VALUES = st.recursive(
    SCALARS | st.integers() | st.booleans() | st.none() | st.floats(allow_nan=False),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(SCALARS, inner, max_size=4),
    max_leaves=20,
)


@given(value=VALUES)
def test_what_was_dumped_is_read_as_pyyaml_reads_it(value: object) -> None:
    quick, slow = both(documents.dump(value))
    assert repr(quick) == repr(slow)


@given(text=SCALARS)
def test_a_plain_scalar_is_read_as_pyyaml_reads_it(text: str) -> None:
    try:
        slow = list(yaml.load_all(f"a: {text}\n", Loader=Plain))
    except (yaml.YAMLError, ValueError):
        return
    assert repr(documents.load_all(f"a: {text}\n")) == repr(slow)


VARIABLES = {
    "NAME": "kyrion",
    "NUMBER": "12",
    "OCTAL": "010",
    "YES": "yes",
    "NULL": "null",
    "EMPTY": "",
    "URL": "https://a.b:80/c",
    "COLON": "a:",
    "DASH": "-",
    "MARK": "? x",
    "HASH": "a #b",
    "QUOTE": 'it\'s "so"',
    "BRACE": "{a: b}",
    "DATE": "2024-01-01",
    "FLOAT": "1e3",
    "TAB": "a\tb",
}
LEAVES = st.lists(
    st.sampled_from([f"${{{name}}}" for name in VARIABLES] + ["${MISSING}", "$${NAME}", "$", "${"])
    | st.sampled_from(
        ["a", ".", "/", ":", "-", "@", " ", "\n", "#", "}", "://", "x_1", "é", "'", "0"]
    ),
    max_size=5,
).map("".join)
OBJECTS = st.recursive(
    LEAVES | st.integers() | st.booleans(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(LEAVES, inner, max_size=3),
    max_leaves=12,
).map(lambda data: {"kind": "ConfigMap", "metadata": {"name": "a"}, "data": data})


@given(obj=OBJECTS)
@settings(max_examples=400, suppress_health_check=[HealthCheck.too_slow])
def test_substituted_text_by_text_or_not_at_all(obj: dict[str, Any]) -> None:
    try:
        quick = flux._by_leaf(obj, flux._Values(VARIABLES, strict=False))
    except flux._EntangledError:
        return
    one = flux.Kustomization(name="a", namespace="b", overlay=workspace.Overlay(path=""))
    problems: list[errors.Problem] = []
    doc = documents.Document(obj=obj, file="a.yaml", line=1)
    slow = flux._as_text(one, doc, flux._Values(VARIABLES, strict=False), problems)
    assert problems == []
    assert repr(_sorted(quick)) == repr(_sorted(slow.obj))


def _sorted(value: Any) -> Any:
    if isinstance(value, dict):
        return sorted((repr(key), _sorted(item)) for key, item in value.items())
    return [_sorted(item) for item in value] if isinstance(value, list) else value


@pytest.mark.parametrize("leaf", ["https://a.${NAME}:80/x", "${NUMBER}", "a-${OCTAL}", "${YES}"])
def test_the_quick_way_is_taken(leaf: str) -> None:
    flux._by_leaf({"a": [{"b": leaf}]}, flux._Values(VARIABLES, strict=False))

"""Keys and templates of other forms than they have are refused by name."""

from __future__ import annotations

import json
from typing import Any

import pytest

from provision import errors
from provision.gitops.sealing import gotemplate, keys
from tests.support import forged

SECRET: dict[str, Any] = keys.key_secret(forged.KEY, namespace="flux-system", name="k")
DATA: dict[str, Any] = SECRET["data"]


@pytest.mark.parametrize("value", [True, 1, [], ["x"], {"a": "b"}], ids=json.dumps)
@pytest.mark.parametrize("key", ["tls.key", "tls.crt"])
def test_a_key_that_is_no_text(key: str, value: Any) -> None:
    text = json.dumps(SECRET | {"data": DATA | {key: value}})
    with pytest.raises(errors.GitOpsError, match="sealing keys cannot be read"):
        keys.read_keys(text, where="f")


@pytest.mark.parametrize("part", ["metadata", "data"])
@pytest.mark.parametrize("value", ["x", 1, ["tls.key"]], ids=json.dumps)
def test_a_part_that_is_no_map(part: str, value: Any) -> None:
    text = json.dumps(SECRET | {part: value})
    if part == "metadata":
        assert [key.name for key in keys.read_keys(text)] == [""]
        return
    with pytest.raises(errors.GitOpsError, match="no sealing key"):
        keys.read_keys(text)


@pytest.mark.parametrize("items", [5, "x", [1, "x", None], {"a": 1}], ids=json.dumps)
def test_a_list_of_other_things(items: Any) -> None:
    with pytest.raises(errors.GitOpsError, match="no sealing key"):
        keys.read_keys(json.dumps({"kind": "List", "items": items}))


def test_a_template_that_is_nested_too_deeply() -> None:
    assert gotemplate.render("{{ " + "(" * 40 + ".a" + ")" * 40 + " }}", {"a": "x"}) == "x"
    with pytest.raises(gotemplate.TemplateError, match="nested more than 50 deep"):
        gotemplate.render("{{ " + "(" * 5000 + ".a" + ")" * 5000 + " }}", {"a": "x"})


def test_labels_that_are_no_map() -> None:
    text = json.dumps(SECRET | {"metadata": {"name": "k", "labels": ["x"]}})
    assert [key.use for key in keys.read_keys(text)] == ["active"]

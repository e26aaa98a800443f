"""Components files and files of the repository whose values have other types."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml

from provision import errors
from provision.gitops import scalars, yamltext
from provision.provider.flux import manifests

RIGHT: dict[str, Any] = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {"name": "source-controller"},
}


@pytest.mark.parametrize(
    "changes",
    [
        {"metadata": True},
        {"metadata": ["x"]},
        {"metadata": {"name": 5}},
        {"metadata": {"name": ["x"]}},
        {"kind": ["Deployment"]},
        {"apiVersion": None},
    ],
    ids=json.dumps,
)
def test_an_object_of_another_form_is_named(changes: dict[str, Any]) -> None:
    with pytest.raises(errors.GitOpsError, match="f:1: no Kubernetes object"):
        manifests.objects(json.dumps(RIGHT | changes), "f")


@pytest.mark.parametrize("labels", [True, ["x"], "x"], ids=json.dumps)
def test_labels_of_another_form_have_no_version(labels: Any) -> None:
    found = RIGHT | {"metadata": {"name": "a", "labels": labels}}
    assert manifests.read_header(json.dumps(found)).version == ""


def test_a_file_whose_name_is_none() -> None:
    with pytest.raises(errors.ConfigError, match="cannot be read"):
        manifests.from_file("a\0b")


def test_an_alias_of_nothing_is_no_yaml() -> None:
    for text in ("*0", "a: *b", "- &a x\n---\n- *a"):
        with pytest.raises(yaml.YAMLError):
            yamltext.compose(text)


@pytest.mark.parametrize("value", [True, 5, "x", [1]], ids=json.dumps)
def test_a_value_below_what_is_no_map_is_not_set(value: Any) -> None:
    text = json.dumps({"metadata": value}) + "\n"
    with pytest.raises(scalars.CannotSetError):
        scalars.set_values(text, 0, {("metadata", "labels", "z"): "1"})

"""Objects whose fields have other types do not end the analysis: the API server refuses them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from provision.gitops import tree
from provision.gitops.coldstart import analysis

OBJECTS: dict[str, dict[str, Any]] = {
    "HelmRelease": {"apiVersion": "helm.toolkit.fluxcd.io/v2"},
    "HelmChart": {"apiVersion": "helm.cattle.io/v1"},
    "CustomResourceDefinition": {"apiVersion": "apiextensions.k8s.io/v1"},
    "DaemonSet": {"apiVersion": "apps/v1"},
}
SPECS: list[Any] = [
    True,
    ["x"],
    "x",
    {"chart": True},
    {"chart": {"spec": "x"}},
    {"chartRef": "x"},
    {"names": ["x"]},
    {"template": "x"},
    {"template": {"spec": ["x"]}},
    {"template": {"spec": {"containers": [True]}}},
]


@pytest.mark.parametrize("spec", SPECS, ids=json.dumps)
@pytest.mark.parametrize("kind", OBJECTS)
def test_a_spec_of_another_form(kind: str, spec: Any) -> None:
    obj = {**OBJECTS[kind], "kind": kind, "metadata": {"name": "a", "namespace": "b"}, "spec": spec}
    analysis.analyse(tree.Tree.of({"a.yaml": json.dumps(obj)}), ".")

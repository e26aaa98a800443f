"""Waiting for the GPU as the cluster offers it."""

from __future__ import annotations

from typing import Any

import pytest

from provision import errors
from provision.provider import resource
from provision.provider.gpu import capacity as gpu_capacity

INPUTS: dict[str, Any] = {
    "kubeconfig": "text",
    "nodeName": "kyrion",
    "resourceName": "gpu.intel.com/i915",
    "timeout": 5,
}


def node(**allocatable: str) -> dict[str, Any]:
    return {"status": {"allocatable": {"cpu": "4", **allocatable}}}


OFFERED = node(**{"gpu.intel.com/i915": "10"})
POD = {
    "metadata": {"namespace": "gpu", "name": "plugin-x"},
    "spec": {
        "nodeName": "kyrion",
        "containers": [{"image": "docker.io/intel/intel-gpu-plugin:1"}],
    },
    "status": {
        "phase": "Pending",
        "containerStatuses": [{"state": {"waiting": {"reason": "ImagePullBackOff"}}}],
    },
}


def test_an_offered_gpu_is_not_waited_for(make_context: Any, make_cluster: Any) -> None:
    kind, ctx = gpu_capacity.GpuCapacity(), make_context(kube=make_cluster(OFFERED))
    found, _ = resource.converge(kind, ctx, INPUTS, {})
    assert kind.plan(found.facts, INPUTS, {}) == ()
    assert kind.outputs(found.facts, INPUTS, {}) == {"allocatable": 10}


@pytest.mark.parametrize("before", [None, node(), node(**{"gpu.intel.com/i915": "0"})])
def test_it_is_waited_for(make_context: Any, make_cluster: Any, before: Any) -> None:
    kind = gpu_capacity.GpuCapacity()
    ctx = make_context(kube=make_cluster(before, before, OFFERED))
    seen = kind.observe(ctx, INPUTS, {})
    assert seen.exists is (before is not None)
    (change,) = kind.plan(seen.facts, INPUTS, {})
    assert change.action == "run"
    found, _ = resource.converge(kind, ctx, INPUTS, {})
    assert found.facts.allocatable == 10


@pytest.mark.parametrize(
    ("pods", "words"),
    [
        ((), "there is no pod of an Intel GPU device plugin"),
        ((POD,), "Pod gpu/plugin-x: Pending, ImagePullBackOff"),
    ],
)
def test_it_does_not_come(make_context: Any, make_cluster: Any, pods: Any, words: str) -> None:
    kind = gpu_capacity.GpuCapacity()
    ctx = make_context(kube=make_cluster(node(), pods=pods))
    with pytest.raises(errors.WaitError, match=r"did not offer gpu\.intel\.com/i915") as caught:
        resource.converge(kind, ctx, INPUTS | {"timeout": 0.05}, {})
    assert words in caught.value.detail
    assert "0 gpu.intel.com/i915 allocatable" in caught.value.detail


def test_inputs() -> None:
    checked, problems = gpu_capacity.GpuCapacity().check({"resourceName": "gpu"})
    assert checked["timeout"] == 300
    assert [problem.key for problem in problems] == ["resourceName"]

"""The GPU as a node's own sysfs and /dev show it."""

from __future__ import annotations

from typing import Any

import pytest

from provision.provider import resource
from provision.provider.gpu import device as gpu_device

pytestmark = pytest.mark.sandbox
INPUTS = {"node": "kyrion", "driver": "auto"}


def test_the_gpu_of_the_node_is_found(world: Any) -> None:
    kind = gpu_device.IntelGpu()
    found, _ = resource.converge(kind, world, INPUTS, {})
    assert kind.outputs(found.facts, INPUTS, {}) == {
        "driver": "auto",
        "devices": [
            {
                "path": "/dev/dri/card0",
                "renderNode": "/dev/dri/renderD128",
                "driver": "i915",
                "pciId": "8086:46d1",
            }
        ],
        "resourceName": "gpu.intel.com/i915",
        "warnings": [],
    }


def test_what_is_missing_is_seen(box: Any, world: Any) -> None:
    kind = gpu_device.IntelGpu()
    box.on("mv /usr/lib/firmware/i915 /root/; chmod 600 /dev/dri/renderD128")
    try:
        world.session.invalidate()
        facts = kind.observe(world, INPUTS, {}).facts
        said = kind.outputs(facts, INPUTS, {})["warnings"]
        assert ["firmware" in said[0], "0600" in said[1]] == [True, True]
    finally:
        box.on("mv /root/i915 /usr/lib/firmware/; chmod 660 /dev/dri/renderD128")
        world.session.invalidate()

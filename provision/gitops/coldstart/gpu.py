"""Whether a repository installs Intel's GPU device plugin itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from provision.gitops import documents
from provision.gitops.build import discovery
from provision.gitops.coldstart import releases

_CHARTS: Final = ("intel-device-plugins-gpu",)


def in_units(units: Sequence[discovery.Unit]) -> bool:
    """Return whether one of the objects that `units` apply is, or brings, the GPU plugin.

    As a DaemonSet with Intel's image, as the operator's GpuDevicePlugin, or as
    its Helm chart.
    """
    objects = {documents.place_of(doc.obj): doc for unit in units for doc in unit.objects}
    return any(_brings_it(doc.obj, objects) for unit in units for doc in unit.objects)


def _brings_it(obj: Mapping[str, Any], objects: releases.Objects) -> bool:
    kind = obj.get("kind")
    if kind == "GpuDevicePlugin":
        return True
    if releases.is_release(obj):
        return releases.chart_of(obj, objects) in _CHARTS
    if kind != "DaemonSet":
        return False
    mapping = documents.mapping
    template = mapping(mapping(obj.get("spec")).get("template"))
    containers = documents.mappings(mapping(template.get("spec")).get("containers"))
    return any("intel-gpu-plugin" in str(one.get("image")) for one in containers)

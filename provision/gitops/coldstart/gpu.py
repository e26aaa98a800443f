"""Whether a repository installs Intel's GPU device plugin itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from provision.gitops.build import discovery
from provision.gitops.coldstart import charts, releases

_CHARTS: Final = ("intel-device-plugins-gpu",)


def in_units(units: Sequence[discovery.Unit]) -> bool:
    """Return whether one of the objects that `units` apply is, or brings, the GPU plugin.

    As a DaemonSet with Intel's image, as the operator's GpuDevicePlugin, or as
    its Helm chart.
    """
    return any(_brings_it(doc.obj) for unit in units for doc in unit.objects)


def _brings_it(obj: Mapping[str, Any]) -> bool:
    kind = obj.get("kind")
    if kind == "GpuDevicePlugin":
        return True
    if releases.is_release(obj):
        return charts.chart_of(obj, {}) in _CHARTS
    if kind != "DaemonSet":
        return False
    template = (obj.get("spec") or {}).get("template") or {}
    containers = (template.get("spec") or {}).get("containers") or ()
    return any("intel-gpu-plugin" in str(one.get("image")) for one in containers)

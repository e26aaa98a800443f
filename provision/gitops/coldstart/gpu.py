"""Whether a repository installs Intel's GPU device plugin itself."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from provision.gitops.build import discovery
from provision.gitops.coldstart import charts, simulation
from provision.gitops.tree import Tree

_HINT: Final = re.compile(r"intel-gpu-plugin|intel-device-plugins-gpu|GpuDevicePlugin")
_CHARTS: Final = ("intel-device-plugins-gpu",)


def installs_plugin(
    files: Mapping[str, str] | Tree, path: str, *, cache: Path | None = None
) -> bool:
    """Return whether what Flux applies for the cluster folder `path` brings the GPU plugin.

    As a DaemonSet with Intel's image, as the operator's GpuDevicePlugin, or as
    its Helm chart. A repository that does not name it anywhere is not built.
    Where a Kustomization does not build, what the others hold decides.
    """
    tree = files if isinstance(files, Tree) else Tree.of(files)
    if not any(_HINT.search(content) for content in tree.files.values()):
        return False
    return in_units(discovery.discover(tree, path, cache=cache).units)


def in_units(units: Sequence[discovery.Unit]) -> bool:
    """Return whether one of the objects that `units` apply is, or brings, the GPU plugin."""
    return any(_brings_it(doc.obj) for unit in units for doc in unit.objects)


def _brings_it(obj: Mapping[str, Any]) -> bool:
    kind = obj.get("kind")
    if kind == "GpuDevicePlugin":
        return True
    if simulation.is_release(obj):
        return charts.chart_of(obj, {}) in _CHARTS
    if kind != "DaemonSet":
        return False
    template = (obj.get("spec") or {}).get("template") or {}
    containers = (template.get("spec") or {}).get("containers") or ()
    return any("intel-gpu-plugin" in str(one.get("image")) for one in containers)

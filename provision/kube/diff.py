"""What differs between an object as it is and as the program wants it.

Only paths leave this module, never values, so nothing secret can.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any, Final, Literal

from provision.kube import normal, tokens

Path = tuple[str | int, ...]
Action = Literal["add", "delete", "update"]

_NAMES: Final = ("metadata.name", "metadata.namespace")
_VOLUME_SOURCES: Final = (
    "awsElasticBlockStore azureDisk azureFile cephfs cinder csi fc flexVolume flocker "
    "gcePersistentDisk glusterfs hostPath iscsi local nfs photonPersistentDisk portworxVolume "
    "quobyte rbd scaleIO storageos vsphereVolume"
)
# What the API refuses to change on an existing object, by kind. A Secret's or
# ConfigMap's data is changed in place unless the object is marked immutable.
_FIXED: Final[Mapping[tuple[str, str], tuple[str, ...]]] = {
    ("apps/v1", "DaemonSet"): ("spec.selector",),
    ("apps/v1", "Deployment"): ("spec.selector",),
    ("apps/v1", "StatefulSet"): (
        "spec.podManagementPolicy",
        "spec.revisionHistoryLimit",
        "spec.selector",
        "spec.serviceName",
        "spec.volumeClaimTemplates",
    ),
    ("batch/v1", "Job"): (
        "spec.completions",
        "spec.parallelism",
        "spec.selector",
        "spec.template",
    ),
    ("rbac.authorization.k8s.io/v1", "ClusterRoleBinding"): ("roleRef",),
    ("rbac.authorization.k8s.io/v1", "RoleBinding"): ("roleRef",),
    ("storage.k8s.io/v1", "StorageClass"): (
        "parameters",
        "provisioner",
        "reclaimPolicy",
        "volumeBindingMode",
    ),
    ("v1", "PersistentVolume"): tuple(f"spec.{name}" for name in _VOLUME_SOURCES.split()),
    # Not what it requests: the API lets that grow, and refuses what it does not let.
    ("v1", "PersistentVolumeClaim"): (
        "spec.accessModes",
        "spec.dataSource",
        "spec.dataSourceRef",
        "spec.selector",
        "spec.storageClassName",
        "spec.volumeMode",
        "spec.volumeName",
    ),
    ("v1", "Pod"): ("spec",),
    ("v1", "ResourceQuota"): ("spec.scopes",),
    ("v1", "Secret"): ("type",),
    ("v1", "Service"): ("spec.clusterIP",),
    ("scheduling.k8s.io/v1", "PriorityClass"): ("value", "preemptionPolicy"),
    ("apiextensions.k8s.io/v1", "CustomResourceDefinition"): ("spec.group", "spec.scope"),
}
# Not kept by the API when they have their zero value (Go's omitempty on a
# plain, not a pointer, field): absent there is what the program asked for.
_ZERO_IS_ABSENT: Final = (
    "hostNetwork",
    "hostPID",
    "hostIPC",
    "readOnly",
    "stdin",
    "stdinOnce",
    "tty",
    "paused",
    "publishNotReadyAddresses",
    "minReadySeconds",
)
_MEANINGFUL_EMPTY: Final = ("storageClassName",)
_QUANTITY: Final = re.compile(r"([+-]?[0-9.]+)([eE][+-]?[0-9]+|[numkMGTPE]|[KMGTPE]i)?")
_UNITS: Final = {
    **{unit: Decimal(10) ** (3 * power) for power, unit in enumerate("kMGTPE", 1)},
    **{f"{unit}i": Decimal(1024) ** power for power, unit in enumerate("KMGTPE", 1)},
    **{unit: Decimal(10) ** (-3 * power) for power, unit in enumerate("mun", 1)},
}
_QUANTITY_PARENTS: Final = frozenset(("limits", "requests", "capacity", "hard"))


@dataclass(frozen=True, kw_only=True)
class Difference:
    """One property that differs. `replace`: an existing object cannot be changed so."""

    path: Path
    action: Action
    replace: bool = False

    @property
    def text(self) -> str:
        """Return the path as Pulumi writes it: ``spec.template.spec.containers[0].image``."""
        return render(self.path)


def render(path: Path) -> str:
    """Return `path` in Pulumi's notation."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        elif re.search(r'[."\[\]]', part):
            text += '["' + part.replace('"', '\\"') + '"]'
        else:
            text += f".{part}" if text else part
    return text


def compare(
    kind: tokens.Kind, live: Mapping[str, Any], old: Mapping[str, Any], new: Mapping[str, Any]
) -> list[Difference]:
    """Return what `new` (inputs) would change about `live`, of which we own what `old` shows."""
    old, new = normal.normalise(old), normal.normalise(new)
    base = normal.prune(live, old)
    if live.get("metadata", {}).get("namespace"):
        # The API fills in "default"; a program need not say it.
        for side in (base, new):
            if isinstance(side.get("metadata"), dict):
                side["metadata"].setdefault("namespace", "default")
    fixed = [*_NAMES, *_FIXED.get((kind.api_version, kind.kind), ())]
    if live.get("immutable") is True:
        fixed += ["data", "binaryData", "stringData", "immutable"]
    found: list[Difference] = []
    for path, action in _walk((), base, new, kind.builtin):
        text = re.sub(r"\[\d+\]", "", render(path))
        # What is below a fixed field, and a whole parent that comes or goes with one.
        replace = any(
            text == f or text.startswith((f"{f}.", f"{f}[")) or f.startswith(f"{text}.")
            for f in fixed
        )
        found.append(Difference(path=path, action=action, replace=replace))
    return found


def _walk(path: Path, base: Any, new: Any, builtin: bool) -> Iterator[tuple[Path, Action]]:
    if isinstance(base, Mapping) and isinstance(new, Mapping):
        for key in sorted({*base, *new}):
            here = (*path, key)
            if key not in base:
                if not _absent_is_same(key, new[key], builtin):
                    yield here, "add"
            elif key not in new:
                yield here, "delete"
            else:
                yield from _walk(here, base[key], new[key], builtin)
    elif isinstance(base, list) and isinstance(new, list):
        for index in range(max(len(base), len(new))):
            here = (*path, index)
            if index >= len(base):
                yield here, "add"
            elif index >= len(new):
                yield here, "delete"
            else:
                yield from _walk(here, base[index], new[index], builtin)
    elif not _same(path, base, new):
        yield path, "update"


def _absent_is_same(key: str, value: Any, builtin: bool) -> bool:
    """Return whether the API leaves such a value out, so that absence is no difference."""
    if value in ({}, []):
        return True
    if not builtin:
        return False
    if value == "":
        return key not in _MEANINGFUL_EMPTY
    return value in (False, 0) and key in _ZERO_IS_ABSENT


def _same(path: Path, one: Any, other: Any) -> bool:
    if one is normal.UNKNOWN or other is normal.UNKNOWN:
        return False
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if one == other:
        return True
    if len(path) > 1 and path[-2] in _QUANTITY_PARENTS:
        first = _quantity(one)
        return first is not None and first == _quantity(other)
    return False


def _quantity(value: Any) -> Decimal | None:
    """Return what a Kubernetes quantity (``500m``, ``1Gi``, ``1e3``) amounts to."""
    match = _QUANTITY.fullmatch(str(value))
    if not match:
        return None
    number, unit = match.groups()
    try:
        if unit and unit[0] in "eE" and len(unit) > 1 and unit[1] != "i":
            return Decimal(number + unit)
        return Decimal(number) * (_UNITS[unit] if unit else 1)
    except (InvalidOperation, KeyError):
        return None

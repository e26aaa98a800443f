"""Objects whose operator defines further kinds, which no repository holds.

From each operator's documentation. To add a kind, add a row to `_DEFINED`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from provision.gitops import documents
from provision.gitops.coldstart import charts
from provision.gitops.documents import Document, mapping, mappings

_ANY: Final = "*"
_WORKLOADS: Final = frozenset(["Deployment", "DaemonSet", "StatefulSet", "Job", "CronJob"])
_BRING: Final = ("HelmRelease", "Kustomization")


@dataclass(frozen=True, kw_only=True)
class _Defined:
    """The kinds that an operator defines.

    `group` is the API group, or ``*`` for any, or ``*.x`` for those that end in ``.x``; where it
    is a path of the object, `by_path` says so. `kinds` are paths to the kinds; none for any.
    """

    group: str = _ANY
    by_path: bool = False
    fallback: str = ""
    kinds: tuple[str, ...] = ()


_PACKAGE: Final = _Defined()
_CLUSTER_API: Final = _Defined(group="*.cluster.x-k8s.io")
_DEFINED: Final[Mapping[str, _Defined]] = {
    "Provider.pkg.crossplane.io": _PACKAGE,
    "Configuration.pkg.crossplane.io": _PACKAGE,
    "Function.pkg.crossplane.io": _PACKAGE,
    "CompositeResourceDefinition.apiextensions.crossplane.io": _Defined(
        group="spec.group", by_path=True, kinds=("spec.names.kind", "spec.claimNames.kind")
    ),
    "ConstraintTemplate.templates.gatekeeper.sh": _Defined(
        group="constraints.gatekeeper.sh", kinds=("spec.crd.spec.names.kind",)
    ),
    "ResourceGraphDefinition.kro.run": _Defined(
        group="spec.schema.group", by_path=True, fallback="kro.run", kinds=("spec.schema.kind",)
    ),
    "Subscription.operators.coreos.com": _PACKAGE,
    "ClusterExtension.olm.operatorframework.io": _PACKAGE,
    "KnativeServing.operator.knative.dev": _Defined(group="*.knative.dev"),
    "KnativeEventing.operator.knative.dev": _Defined(group="*.knative.dev"),
    "Istio.sailoperator.io": _Defined(group="*.istio.io"),
    "IstioOperator.install.istio.io": _Defined(group="*.istio.io"),
    "Installation.operator.tigera.io": _Defined(group="*.projectcalico.org"),
    **{
        f"{kind}Provider.operator.cluster.x-k8s.io": _CLUSTER_API
        for kind in ("Core", "Bootstrap", "ControlPlane", "Infrastructure", "Addon", "IPAM")
    },
}
"""Kind and group of an object to what its operator defines."""
_RESOURCE_SET: Final = "ResourceSet.fluxcd.controlplane.io"


def can_define(doc: Document, group: str, kind: str) -> bool:
    """Return whether what acts on `doc` may define `kind` in `group`."""
    obj = doc.obj
    own = f"{obj.get('kind')}.{documents.group_of(obj)}"
    if own == _RESOURCE_SET:
        return _in_set(obj, group, kind)
    if obj.get("kind") in _WORKLOADS:
        return charts.resembles(_names(obj), group, kind)
    made = _DEFINED.get(own)
    if made is None:
        return False
    wanted = (_text(obj, made.group) or made.fallback) if made.by_path else made.group
    if wanted not in (_ANY, group) and not (
        wanted.startswith("*.") and f".{group}".endswith(wanted[1:])
    ):
        return False
    return not made.kinds or kind in {_text(obj, path) for path in made.kinds}


def _in_set(obj: Mapping[str, Any], group: str, kind: str) -> bool:
    """Return whether Flux Operator may bring a definition with what the ResourceSet holds."""
    spec = mapping(obj.get("spec"))
    if spec.get("resourcesTemplate"):
        return True
    for one in mappings(spec.get("resources")):
        made = str(one.get("kind"))
        names = mapping(mapping(one.get("spec")).get("names"))
        if "<<" in made or made in _BRING:
            return True
        if made == "CustomResourceDefinition" and names.get("kind") == kind:
            return mapping(one.get("spec")).get("group") == group
    return False


def _names(obj: Mapping[str, Any]) -> list[str]:
    """Return the name of a workload and the images that it runs."""
    spec = mapping(obj.get("spec"))
    spec = mapping(mapping(spec.get("jobTemplate")).get("spec")) or spec
    pod = mapping(mapping(spec.get("template")).get("spec"))
    containers = [*mappings(pod.get("containers")), *mappings(pod.get("initContainers"))]
    return [documents.place_of(obj)[2], *(str(one.get("image") or "") for one in containers)]


def _text(obj: Mapping[str, Any], path: str) -> str:
    value: Any = obj
    for part in path.split("."):
        value = mapping(value).get(part)
    return str(value or "")

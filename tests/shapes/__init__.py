"""Repository shapes: small repositories as they are found in public, each with its verdict.

One module a shape, with a `SHAPE`. What a real kustomize-controller makes of each is in
`recorded.json`; ``make coldstart-truth`` records it again (`tests.shapes.recording`).
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Mapping
from dataclasses import dataclass, field

from provision.gitops.coldstart import simulation
from provision.gitops.coldstart.needs import Verdict
from tests.support.gitopsdocs import many, obj

HOME = "clusters/home"


@dataclass(frozen=True, kw_only=True)
class Shape:
    """One repository.

    `about` says where such a repository is found, `expect` is the verdict, `reason` why, and
    `names` are the objects (``Kind namespace/name``) that the findings name, all of them.
    The rest is for the recording: `brings` is what a Helm release (``namespace/name``) brings when
    it is installed, `makes` what an operator makes of an object (``Kind namespace/name``),
    `sources` are the files of other sources (``Kind/name``), `remote` those of a base by its URL.
    `provides` are objects that elysium puts there besides the seeds: the keys for SOPS.
    """

    about: str
    files: Mapping[str, str]
    expect: Verdict
    reason: str
    names: tuple[str, ...] = ()
    path: str = HOME
    cluster: simulation.Cluster = field(default_factory=simulation.Cluster)
    brings: Mapping[str, str] = field(default_factory=dict[str, str])
    makes: Mapping[str, str] = field(default_factory=dict[str, str])
    sources: Mapping[str, Mapping[str, str]] = field(default_factory=dict[str, Mapping[str, str]])
    remote: Mapping[str, str] = field(default_factory=dict[str, str])
    provides: str = ""


def load() -> dict[str, Shape]:
    """Return every shape by the name of its module."""
    found: dict[str, Shape] = {}
    for module in pkgutil.iter_modules(__path__):
        shape = getattr(importlib.import_module(f"{__name__}.{module.name}"), "SHAPE", None)
        if shape is not None:
            found[module.name] = shape
    return found


def crd(*kinds: str, cluster: bool = False) -> str:
    """Return the definitions of `kinds`, each ``group/version:Kind``."""
    return many(*(_crd(kind, cluster=cluster) for kind in kinds))


def _crd(text: str, *, cluster: bool) -> str:
    version, _, kind = text.partition(":")
    group, _, number = version.rpartition("/")
    plural = f"{kind.lower()}s"
    schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    served = {
        "name": number,
        "served": True,
        "storage": True,
        "schema": {"openAPIV3Schema": schema},
    }
    return obj(
        "apiextensions.k8s.io/v1:CustomResourceDefinition",
        f"{plural}.{group}",
        metadata={"annotations": {"api-approved.kubernetes.io": "unapproved, for a recording"}},
        spec={
            "group": group,
            "scope": "Cluster" if cluster else "Namespaced",
            "names": {"kind": kind, "plural": plural, "singular": kind.lower()},
            "versions": [served],
        },
    )


def namespace(*names: str) -> str:
    """Return Namespaces."""
    return many(*(obj("v1:Namespace", name) for name in names))


def secret(name: str, where: str, **data: str) -> str:
    """Return a Secret."""
    return obj("v1:Secret", name, where, stringData=data)


def helm_repository(name: str, where: str = "flux-system", **spec: object) -> str:
    """Return a HelmRepository."""
    body = {"interval": "1h", "url": f"https://charts.example.org/{name}", **spec}
    return obj("source.toolkit.fluxcd.io/v1:HelmRepository", name, where, spec=body)


def helm_release(
    name: str, where: str, *after: str, chart: str | dict[str, object] = "", **spec: object
) -> str:
    """Return a HelmRelease, of a HelmRepository in flux-system, that depends on those in `after`.

    A dependency is a name or ``namespace/name``. `chart` is a name, or all of `spec.chart`.
    """
    ref = {"kind": "HelmRepository", "name": "charts", "namespace": "flux-system"}
    body: dict[str, object] = {"interval": "1h", **spec}
    if isinstance(chart, dict):
        body["chart"] = chart
    elif "chartRef" not in body:
        body["chart"] = {"spec": {"chart": chart or name, "version": "1.x", "sourceRef": ref}}
    if after:
        body["dependsOn"] = [_dependency(one) for one in after]
    return obj("helm.toolkit.fluxcd.io/v2:HelmRelease", name, where, spec=body)


def _dependency(text: str) -> dict[str, str]:
    space, _, name = text.rpartition("/")
    return {"name": name, "namespace": space} if space else {"name": name}


def account(name: str, where: str, *, everywhere: bool = False, role: str = "cluster-admin") -> str:
    """Return a ServiceAccount that may do what `role` says, in its namespace or `everywhere`."""
    binding = "ClusterRoleBinding" if everywhere else "RoleBinding"
    return many(
        obj("v1:ServiceAccount", name, where),
        obj(
            f"rbac.authorization.k8s.io/v1:{binding}",
            f"{where}-{name}",
            "" if everywhere else where,
            roleRef={
                "apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role
            },
            subjects=[{"kind": "ServiceAccount", "name": name, "namespace": where}],
        ),
    )  # fmt: skip

"""A Helm release in a repository: what it waits for, and what its chart may bring."""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import yaml

from provision import errors
from provision.gitops import documents
from provision.gitops.build import sops, sources
from provision.gitops.build.values import UNKNOWN
from provision.gitops.coldstart import authority, charts, localcharts
from provision.gitops.documents import Place, mapping, mappings
from provision.gitops.tree import Tree

Objects = Mapping[Place, documents.Document]


@dataclass(frozen=True, kw_only=True)
class Release:
    """A HelmRelease, or a HelmChart of k3s.

    `source` is the object that its chart comes from, None where it needs none.
    `values` are those that can be read, and `values_known` says whether these are all.
    `elsewhere`: it installs into another cluster. `account` is who helm-controller acts as.
    `local` is the chart, where it lies in the repository. `problems` say why it is never
    installed.
    """

    doc: documents.Document
    chart: str
    target: str
    creates_namespace: bool
    source: Place | None = None
    secrets: tuple[Place, ...] = ()
    values_from: tuple[Place, ...] = ()
    depends_on: tuple[Place, ...] = ()
    values: Mapping[str, Any] = field(default_factory=dict[str, Any])
    values_known: bool = True
    skips_folder: bool = False
    suspended: bool = False
    elsewhere: bool = False
    names: tuple[str, ...] = ()
    account: str = ""
    local: localcharts.Chart | None = None
    problems: tuple[errors.Problem, ...] = ()

    @property
    def place(self) -> Place:
        """Return kind, namespace and name."""
        return documents.place_of(self.doc.obj)

    def groups(self) -> tuple[str, ...]:
        """Return the API groups that its chart defines, as far as the table knows the chart."""
        if self.chart not in charts.CHARTS or self.elsewhere or self.local is not None:
            return ()
        return charts.defines(self.chart, self.values, skips_folder=self.skips_folder)

    def can_define(self, group: str, kind: str) -> bool:
        """Return whether the chart, which is not seen, may define `kind`."""
        if self.elsewhere or (self.skips_folder and self.local is None):
            return False
        if self.local is not None:
            return self.local.may_define(group, kind) or any(
                name not in charts.CHARTS or group in charts.CHARTS[name].groups
                for name in self.local.elsewhere
            )
        if self.chart not in charts.CHARTS:
            return True
        if group in self.groups():
            return True  # of another version than the one that is known
        return not self.values_known and group in charts.CHARTS[self.chart].groups

    def resembles(self, group: str, kind: str) -> bool:
        """Return whether its names have a word in common with `kind`."""
        return charts.resembles(self.names, group, kind)

    def can_make(self, place: Place) -> bool:
        """Return whether the chart may make the Secret, ConfigMap or binding `place`.

        Charts name what they make after the release, or as a value says.
        """
        _, namespace, name = place
        if namespace not in ("", self.target) or self.elsewhere:
            return False
        if self.local is not None and not self.local.elsewhere:
            return self.local.may_make(place)
        own = documents.mapping(self.doc.obj.get("spec")).get("releaseName") or self.place[2]
        return str(own) in name or name in _texts(self.values)


def is_release(obj: Mapping[str, Any]) -> bool:
    """Return whether `obj` installs a Helm chart."""
    return (obj.get("kind"), documents.group_of(obj)) in (
        ("HelmRelease", "helm.toolkit.fluxcd.io"),
        ("HelmChart", "helm.cattle.io"),
    )


def chart_of(obj: Mapping[str, Any], objects: Objects) -> str:
    """Return the name of the chart of the release `obj`; `objects` hold its source."""
    return charts.chart_of(obj, functools.partial(_url, objects))


def brings_unsealing(obj: Mapping[str, Any], objects: Objects | None = None) -> bool:
    """Return whether `obj` runs the Sealed Secrets controller, itself or through a chart."""
    if is_release(obj):
        return chart_of(obj, objects or {}) == charts.SEALED_SECRETS
    if obj.get("kind") != "Deployment":
        return False
    pod = mapping(mapping(mapping(obj.get("spec")).get("template")).get("spec"))
    images = (str(one.get("image")) for one in mappings(pod.get("containers")))
    return any("sealed-secrets" in image for image in images)


def read(
    doc: documents.Document,
    objects: Objects | None = None,
    trees: Mapping[Place, Tree] | None = None,
) -> Release:
    """Return what the release `doc` needs and brings.

    `objects` are all that are known by place, `trees` the files of the sources that are seen.
    """
    objects = objects or {}
    kind, namespace, name = documents.place_of(doc.obj)
    spec = mapping(doc.obj.get("spec"))
    install = mapping(spec.get("install"))
    creates = spec.get("createNamespace") if kind == "HelmChart" else install.get("createNamespace")
    references = mappings(spec.get("valuesFrom"))
    values, known = _values(doc, references, objects)
    chart = chart_of(doc.obj, objects)
    wanted, source = _source(spec, namespace, objects)
    tree = (trees or {}).get(source) if source else None
    path = str(wanted.get("chart") or "")
    is_seen = tree is not None and path and not UNKNOWN.search(path)
    local = localcharts.read(tree, wanted, doc, values) if tree and is_seen else None
    problems = [*(local.problems if local else ()), *_keyless(doc, references, objects)]
    return Release(
        doc=doc,
        chart=chart,
        target=str(spec.get("targetNamespace") or namespace),
        creates_namespace=bool(creates),
        source=source,
        secrets=(*secrets_of(spec, namespace), *_proofs(wanted, source)),
        values_from=tuple(
            (str(ref.get("kind")), namespace, str(ref.get("name")))
            for ref in references
            if not ref.get("optional")
        ),
        depends_on=tuple(
            (kind, str(ref.get("namespace") or namespace), str(ref.get("name")))
            for ref in mappings(spec.get("dependsOn"))
        ),
        values=values,
        values_known=known,
        skips_folder=install.get("crds") == "Skip" or bool(install.get("skipCRDs")),
        suspended=bool(spec.get("suspend")),
        elsewhere=bool(spec.get("kubeConfig")),
        names=(chart, name, _url(objects, source) if source else ""),
        account=authority.account_of(doc.obj) if kind == "HelmRelease" else "",
        local=local,
        problems=tuple(problems),
    )


def _proofs(chart: Mapping[str, Any], source: Place | None) -> list[Place]:
    """Return the Secret with the keys that a chart is verified with; it is beside the source."""
    name = mapping(mapping(chart.get("verify")).get("secretRef")).get("name")
    return [("Secret", source[1], str(name))] if name and source else []


def source_secrets(doc: documents.Document) -> list[Place]:
    """Return the Secrets that the Flux source `doc` reads."""
    namespace = documents.place_of(doc.obj)[1]
    spec = mapping(doc.obj.get("spec"))
    return secrets_of(spec, namespace)


_REFERENCES: Final = ("secretRef", "certSecretRef", "proxySecretRef", "trustedRootSecretRef")
_PARTS: Final = ("kubeConfig", "verify", "sts")
"""Parts of a `spec` with references to Secrets."""


def secrets_of(spec: Mapping[str, Any], namespace: str) -> list[Place]:
    """Return the Secrets that `spec` names, and the ConfigMap of a kubeConfig."""
    parts = [spec, *(mapping(spec.get(key)) for key in _PARTS)]
    named = [mapping(part.get(key)).get("name") for part in parts for key in _REFERENCES]
    found: list[Place] = [("Secret", namespace, str(name)) for name in named if name]
    config = mapping(mapping(spec.get("kubeConfig")).get("configMapRef")).get("name")
    return [*found, ("ConfigMap", namespace, str(config))] if config else found


def _source(
    spec: Mapping[str, Any], namespace: str, objects: Objects
) -> tuple[Mapping[str, Any], Place | None]:
    """Return the chart's part of a HelmRelease, and the source that the chart comes from.

    A HelmChart that `chartRef` names stands for its own source, where it is in the repository.
    """
    chart = mapping(mapping(spec.get("chart")).get("spec"))
    ref = mapping(spec.get("chartRef"))
    if ref:
        place = _named(ref, namespace)
        made = objects.get(place)
        if place[0] != "HelmChart" or made is None or documents.group_of(made.obj) != sources.GROUP:
            return {}, place
        chart = mapping(made.obj.get("spec"))
        namespace = place[1]
    ref = mapping(chart.get("sourceRef"))
    return chart, _named(ref, namespace) if ref else None


def _named(ref: Mapping[str, Any], namespace: str) -> Place:
    return str(ref.get("kind")), str(ref.get("namespace") or namespace), str(ref.get("name"))


def _url(objects: Objects, source: Place) -> str:
    """Return where `source` fetches from; empty when it is not one of `objects`."""
    doc = objects.get(source)
    if doc is None or documents.group_of(doc.obj) != sources.GROUP:
        return ""
    spec = mapping(doc.obj.get("spec"))
    return str(spec.get("url") or spec.get("chart") or "")


_FILLED: Final = re.compile(r"inject|kustomize\.toolkit\.fluxcd\.io/ssa|reflects|replicate-from")
"""In an annotation or label: something else than Flux fills the object."""


def _keyless(
    doc: documents.Document, references: list[Mapping[str, Any]], objects: Objects
) -> list[errors.Problem]:
    """Return the references of `valuesFrom` to a key that the object in the repository lacks.

    helm-controller stops at a missing key also where the reference is optional (its
    documentation, "Values references").
    """
    namespace = documents.place_of(doc.obj)[1]
    found: list[errors.Problem] = []
    for ref in references:
        place = (str(ref.get("kind")), namespace, str(ref.get("name")))
        key = str(ref.get("valuesKey") or "values.yaml")
        keys = _keys(place, objects)
        if keys is None or key in keys:
            continue
        made = objects.get(place) or objects[("SealedSecret", *place[1:])]
        listed = ", ".join(sorted(keys)) or "none"
        which = f"{documents.ref_of(place)} ({made.where})"
        found.append(
            errors.Problem(
                where=doc.where,
                key=f"{documents.ref(doc.obj)} spec.valuesFrom",
                message=f"{which} has no key {key}; its keys: {listed}",
                hint="name one of its keys: valuesKey",
            )
        )
    return found


def _keys(place: Place, objects: Objects) -> set[str] | None:
    """Return the keys of a Secret or ConfigMap in the repository; None for what is not known."""
    made = objects.get(place)
    if made is None and place[0] == "Secret":
        made = objects.get(("SealedSecret", *place[1:]))
    if made is None:
        return None
    metadata = mapping(made.obj.get("metadata"))
    marks = [*mapping(metadata.get("annotations")), *mapping(metadata.get("labels"))]
    if any(_FILLED.search(str(mark)) for mark in marks):
        return None
    if made.obj.get("kind") == "SealedSecret":
        spec = mapping(made.obj.get("spec"))
        parts = [spec.get("encryptedData"), mapping(spec.get("template")).get("data")]
    else:
        parts = [made.obj.get(part) for part in ("data", "stringData", "binaryData")]
    return {str(key) for part in parts for key in mapping(part)}


def _values(
    doc: documents.Document, references: list[Mapping[str, Any]], objects: Objects
) -> tuple[Mapping[str, Any], bool]:
    """Return the values that can be read, and whether these are all."""
    namespace = documents.place_of(doc.obj)[1]
    merged: dict[str, Any] = {}
    known = True
    for ref in references:
        found = objects.get((str(ref.get("kind")), namespace, str(ref.get("name"))))
        text = None
        is_clear = found is not None and not sops.holds_encrypted(found.obj)
        if found is not None and is_clear and found.obj.get("kind") == "ConfigMap":
            key = str(ref.get("valuesKey") or "values.yaml")
            text = mapping(found.obj.get("data")).get(key)
        if not isinstance(text, str) or ref.get("targetPath"):
            known = False
            continue
        try:
            loaded = documents.load_all(text)
        except yaml.YAMLError:
            known = False
            continue
        _merge(merged, mapping(loaded[0]) if loaded else {})
    _merge(merged, mapping(mapping(doc.obj.get("spec")).get("values")))
    return merged, known


def _merge(into: dict[str, Any], more: Mapping[str, Any]) -> None:
    for key, value in more.items():
        old = into.get(key)
        if isinstance(old, dict) and isinstance(value, Mapping):
            _merge(old, value)
        else:
            into[key] = _copy(value)


def _copy(value: Any) -> Any:
    return {k: _copy(v) for k, v in value.items()} if isinstance(value, Mapping) else value


def _texts(value: Any) -> set[str]:
    """Return every text in `value`."""
    if isinstance(value, str):
        return {value}
    items = mapping(value).values() if isinstance(value, Mapping) else documents.sequence(value)
    return {text for item in items for text in _texts(item)}

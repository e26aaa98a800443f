"""Flux Kustomizations: read from objects, ordered, and their objects substituted."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import yaml

from provision import errors, gitpaths
from provision.gitops import documents
from provision.gitops.build import substitute, workspace
from provision.gitops.documents import mapping, mappings, sequence

GROUP: Final = "kustomize.toolkit.fluxcd.io"
NAMESPACE: Final = "flux-system"
SUBSTITUTE: Final = f"{GROUP}/substitute"

Key = tuple[str, str]
"""Namespace and name of a Kustomization."""
Source = documents.Place
"""Kind, namespace and name of what a Kustomization takes its files from."""


@dataclass(frozen=True, kw_only=True)
class Reference:
    """A ConfigMap or Secret that values are taken from; `kind` is either."""

    kind: str
    name: str
    optional: bool = False


@dataclass(frozen=True, kw_only=True)
class Root:
    """The names of the root Kustomization and of its GitRepository."""

    namespace: str = NAMESPACE
    name: str = NAMESPACE
    source: str = NAMESPACE


BOOTSTRAPPED: Final = Root()
"""The names that `flux bootstrap` gives by default."""


@dataclass(frozen=True, kw_only=True)
class Kustomization:
    """A Flux Kustomization, with the place it was written at.

    `source` is kind, namespace and name of its source. `health_checks` are the objects it
    waits for besides `wait`, as kind, namespace and name. `decryption` and `kube_config` are the
    names of the Secrets that it takes keys and another cluster's kubeconfig from, `kube_address`
    that of the ConfigMap with the cluster's address; all are empty where it needs none.
    `decrypts`: it says how SOPS files are decrypted. `account` is the
    ServiceAccount that the controller acts as, if it is not to act as itself.
    """

    name: str
    namespace: str
    overlay: workspace.Overlay
    source: Source = ("GitRepository", NAMESPACE, NAMESPACE)
    depends_on: tuple[Key, ...] = ()
    wait: bool = False
    health_checks: tuple[tuple[str, str, str], ...] = ()
    suspended: bool = False
    always_substitute: bool = False
    has_post_build: bool = False
    substitute: Mapping[str, str] = field(default_factory=dict[str, str])
    substitute_from: tuple[Reference, ...] = ()
    decrypts: bool = False
    decryption: str = ""
    remote_cluster: bool = False
    kube_config: str = ""
    kube_address: str = ""
    account: str = ""
    target_namespace: str = ""
    file: str = ""
    line: int = 1

    @property
    def key(self) -> Key:
        """Return namespace and name."""
        return self.namespace, self.name

    @property
    def path(self) -> str:
        """Return the folder it applies, normalised."""
        return self.overlay.path

    @property
    def where(self) -> str:
        """Return ``file:line`` of its object, or the folder of an assumed root."""
        return f"{self.file}:{self.line}" if self.line else self.file

    def __str__(self) -> str:
        return self.name if self.namespace == NAMESPACE else f"{self.namespace}/{self.name}"


def is_kustomization(obj: Mapping[str, Any]) -> bool:
    """Return whether `obj` is a Flux Kustomization (not a kustomize file)."""
    group = str(obj.get("apiVersion", "")).partition("/")[0]
    return obj.get("kind") == "Kustomization" and group == GROUP


def root(path: str, names: Root = BOOTSTRAPPED) -> Kustomization:
    """Return the Kustomization that bootstrap makes for the cluster folder `path`."""
    overlay = workspace.Overlay(path=gitpaths.normal(path))
    return Kustomization(
        name=names.name,
        namespace=names.namespace,
        overlay=overlay,
        source=("GitRepository", names.namespace, names.source),
        file=overlay.path,
        line=0,
    )


def read(doc: documents.Document) -> Kustomization:
    """Return the Kustomization of `doc`."""
    metadata, spec = mapping(doc.obj.get("metadata")), mapping(doc.obj.get("spec"))
    namespace = str(metadata.get("namespace") or NAMESPACE)
    source = mapping(spec.get("sourceRef"))
    build = spec.get("postBuild")
    build_map = mapping(build)
    return Kustomization(
        name=str(metadata.get("name")),
        namespace=namespace,
        overlay=workspace.Overlay(
            path=gitpaths.normal(str(spec.get("path") or "")),
            target_namespace=str(spec.get("targetNamespace") or ""),
            name_prefix=str(spec.get("namePrefix") or ""),
            name_suffix=str(spec.get("nameSuffix") or ""),
            patches=tuple(mappings(spec.get("patches"))),
            images=tuple(mappings(spec.get("images"))),
            components=tuple(map(str, sequence(spec.get("components")))),
            ignore_missing_components=bool(spec.get("ignoreMissingComponents")),
            build_metadata=tuple(map(str, sequence(spec.get("buildMetadata")))),
        ),
        source=(
            str(source.get("kind") or ""),
            str(source.get("namespace") or namespace),
            str(source.get("name") or ""),
        ),
        depends_on=tuple(
            (str(one.get("namespace") or namespace), str(one.get("name")))
            for one in mappings(spec.get("dependsOn"))
        ),
        wait=bool(spec.get("wait")),
        health_checks=tuple(
            (str(one.get("kind")), str(one.get("namespace") or namespace), str(one.get("name")))
            for one in mappings(spec.get("healthChecks"))
        ),
        suspended=bool(spec.get("suspend")),
        always_substitute=build_map.get("substituteStrategy") == "Always",
        has_post_build=isinstance(build, Mapping),
        substitute=_texts(build_map.get("substitute")),
        substitute_from=tuple(
            Reference(
                kind=str(one.get("kind")),
                name=str(one.get("name")),
                optional=bool(one.get("optional")),
            )
            for one in mappings(build_map.get("substituteFrom"))
        ),
        decrypts=bool(spec.get("decryption")),
        decryption=_secret(spec.get("decryption")),
        remote_cluster=bool(spec.get("kubeConfig")),
        kube_config=_secret(spec.get("kubeConfig")),
        kube_address=_named(spec.get("kubeConfig"), "configMapRef"),
        account=str(spec.get("serviceAccountName") or ""),
        target_namespace=str(spec.get("targetNamespace") or ""),
        file=doc.file,
        line=doc.line,
    )


def _secret(value: Any) -> str:
    """Return the name in the `secretRef` of a decryption or kubeConfig, if there is one."""
    return _named(value, "secretRef")


def _named(value: Any, reference: str) -> str:
    return str(mapping(mapping(value).get(reference)).get("name") or "")


def _texts(value: Any) -> dict[str, str]:
    """Return the texts in a map; `validity` names the values that are none."""
    return {
        str(key): item if isinstance(item, str) else json.dumps(item, default=str)
        for key, item in mapping(value).items()
    }


def cycles(found: Iterable[Kustomization]) -> list[list[Kustomization]]:
    """Return every cycle of `dependsOn`, each from one of its members round to it."""
    known = {one.key: one for one in found}
    state: dict[Key, int] = {}
    result: list[list[Kustomization]] = []

    def visit(key: Key, trail: list[Key]) -> None:
        state[key] = 1
        for other in known[key].depends_on:
            if other not in known:
                continue
            if state.get(other) == 1:
                ring = [*trail, key]
                ring = ring[ring.index(other) :]
                result.append([known[k] for k in ring])
            elif other not in state:
                visit(other, [*trail, key])
        state[key] = 2

    for key in known:
        if key not in state:
            visit(key, [])
    return result


def ordered(found: Sequence[Kustomization]) -> list[Kustomization]:
    """Return `found` with dependencies first, otherwise in their order. Cycles stay as they are."""
    known = {one.key: one for one in found}
    done: dict[Key, Kustomization] = {}

    def visit(one: Kustomization, above: frozenset[Key]) -> None:
        if one.key in done or one.key in above:
            return
        for other in one.depends_on:
            if other in known:
                visit(known[other], above | {one.key})
        done[one.key] = one

    for one in found:
        visit(one, frozenset())
    return list(done.values())


def substituted(
    one: Kustomization,
    docs: Sequence[documents.Document],
    values: Mapping[str, str],
    problems: list[errors.Problem],
    *,
    strict: bool = False,
) -> list[documents.Document]:
    """Return `docs` as the controller would apply them, given the values of `substituteFrom`.

    Inline values win. Objects that opt out stay as they are. What cannot be
    substituted goes to `problems`, and is returned unchanged. `strict`: a
    variable that is not set is an error, as since kustomize-controller 1.9.
    """
    if not one.has_post_build:
        return list(docs)
    both = {**substitute.clean(values), **substitute.clean(one.substitute)}
    if not both and not one.always_substitute:
        return list(docs)
    bad = sorted(name for name in both if not substitute.NAME.fullmatch(name))
    if bad:
        message = f"Flux refuses the variable names {', '.join(bad)}: letters, digits and _ only"
        problems.append(errors.Problem(where=one.where, key=str(one), message=message))
        return list(docs)
    return [_substituted(one, doc, _Values(both, strict), problems) for doc in docs]


def _substituted(
    one: Kustomization,
    doc: documents.Document,
    values: _Values,
    problems: list[errors.Problem],
) -> documents.Document:
    metadata = mapping(doc.obj.get("metadata"))
    for part in ("annotations", "labels"):
        if mapping(metadata.get(part)).get(SUBSTITUTE) == "disabled":
            return doc
    if not _has_dollar(doc.obj):
        return doc
    try:
        obj = _by_leaf(doc.obj, values)
    except _EntangledError:
        return _as_text(one, doc, values, problems)
    return documents.Document(obj=obj, file=doc.file, line=doc.line)


class _EntangledError(Exception):
    """An expression whose result depends on more than the text it is in."""


@dataclass(frozen=True)
class _Values:
    known: Mapping[str, str]
    strict: bool

    def simple(self, name: str) -> str:
        """Return the value of ``${name}``. Raises `_EntangledError` where that is an error."""
        value = self.known.get(name)
        if value is None and self.strict:
            raise _EntangledError
        return value or ""


_SIMPLE: Final = re.compile(r"(?:[\w./:@-]|\$\{[A-Za-z_]\w*\})+", re.ASCII)
_NAME: Final = re.compile(r"\$\{([A-Za-z_]\w*)\}", re.ASCII)
_HARMLESS: Final = re.compile(r"[A-Za-z0-9](?:[\w./:@-]*[\w./@-])?", re.ASCII)


def _by_leaf(value: Any, values: _Values) -> Any:
    """Return `value` substituted text by text: what `_as_text` returns, where that is certain.

    A text of such characters is a plain scalar, before and after, and no
    expression goes beyond it. Raises `_EntangledError` for anything else.
    """
    if isinstance(value, str):
        if "$" not in value:
            return value
        if not _SIMPLE.fullmatch(value) or value[0] in "-:@" or value[-1] == ":":
            raise _EntangledError
        made = _NAME.sub(lambda found: values.simple(found.group(1)), value)
        if not _HARMLESS.fullmatch(made):
            raise _EntangledError
        return documents.plain(made)
    if isinstance(value, dict):
        found: dict[Any, Any] = {}
        for key, item in value.items():
            if isinstance(key, str) and "$" in key:
                raise _EntangledError
            found[key] = _by_leaf(item, values)
        return found
    if isinstance(value, list):
        return [_by_leaf(item, values) for item in value]
    return value


def _as_text(
    one: Kustomization,
    doc: documents.Document,
    values: _Values,
    problems: list[errors.Problem],
) -> documents.Document:
    """Return `doc` substituted as Flux does it: in its YAML, whatever that makes of it."""
    text = documents.dump_plain(doc.obj)
    try:
        loaded = documents.load_all(
            substitute.evaluate(text, values.known.get, strict=values.strict)
        )
    except substitute.SubstitutionError as error:
        problems.append(_problem(one, doc, f"{error}{_quoted(doc, text, error.position)}"))
        return doc
    except yaml.YAMLError:
        problems.append(_problem(one, doc, "it is no YAML any more after substitution"))
        return doc
    if len(loaded) != 1 or not isinstance(loaded[0], dict):
        problems.append(_problem(one, doc, "it is no object any more after substitution"))
        return doc
    return documents.Document(obj=loaded[0], file=doc.file, line=doc.line)


def _quoted(doc: documents.Document, text: str, position: int) -> str:
    """Return the line of `text` at `position`, behind a colon. No line of a Secret is quoted."""
    if doc.obj.get("kind") == "Secret":
        return ""
    line = text[:position].count("\n")
    return f": {text.splitlines()[line].strip()[:120]}"


def _problem(one: Kustomization, doc: documents.Document, message: str) -> errors.Problem:
    return errors.Problem(where=doc.where, key=documents.ref(doc.obj), message=message)


def _has_dollar(value: Any) -> bool:
    if isinstance(value, str):
        return "$" in value
    if isinstance(value, Mapping):
        return any(_has_dollar(key) or _has_dollar(item) for key, item in value.items())
    if isinstance(value, list):
        return any(_has_dollar(item) for item in value)
    return False

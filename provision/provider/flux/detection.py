"""Flux in a cluster, wherever it is: its controllers, what it follows, and who applies it.

One cluster has room for one Flux: the definitions and the roles of its controllers exist once,
and two controllers that reconcile the same objects undo each other's work.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from provision import config, errors, gitpaths, giturls
from provision.kube.client import KubeClient

CRD: Final = "gitrepositories.source.toolkit.fluxcd.io"
NEEDED: Final = ("source-controller", "kustomize-controller")
_ALL: Final = (*config.DEFAULT_COMPONENTS, *config.IMAGE_COMPONENTS)
"""The controllers without which Flux does not work."""
_SOURCE: Final = "source.toolkit.fluxcd.io"
_KUSTOMIZE: Final = "kustomize.toolkit.fluxcd.io"
_VERSIONS: Final = ("v1", "v1beta2", "v1beta1")
_PART_OF: Final = "app.kubernetes.io/part-of"
_MANAGED_BY: Final = "app.kubernetes.io/managed-by"
_INSTANCE: Final = "app.kubernetes.io/instance"
_HELM_NAMESPACE: Final = "meta.helm.sh/release-namespace"
_ONE_NAMESPACE: Final = re.compile(r"--?watch-all-namespaces=(0|[fF]|false|False|FALSE)")
_COMPONENTS: Final = re.compile(
    r"""^ *name: *["']?gitrepositories\.source\.toolkit\.fluxcd\.io"""
    r"""|^ *- .*\bfluxcd/flux2(?://?manifests/|/releases/.*/install\.yaml)""",
    re.MULTILINE,
)

Key = tuple[str, str]
"""Namespace and name."""


@dataclass(frozen=True, kw_only=True)
class Controllers:
    """The controllers of Flux in one namespace. `everywhere`: they watch all namespaces."""

    namespace: str
    names: tuple[str, ...]
    everywhere: bool = True


@dataclass(frozen=True, kw_only=True)
class Follower:
    """A GitRepository, and a Kustomization that applies a folder of it.

    `kustomization` is None for a GitRepository that no Kustomization follows. `origin` is the
    Kustomization that brought it into the cluster: itself where nothing else did. `path` has no
    ``./``, and is empty for the root.
    """

    source: Key
    kustomization: Key | None
    origin: Key
    url: str
    path: str = ""

    @property
    def ref(self) -> str:
        """Return how the object is named to people."""
        kind = "GitRepository" if self.kustomization is None else "Kustomization"
        return f"{kind} {'/'.join(self.kustomization or self.source)}"


@dataclass(frozen=True, kw_only=True)
class Survey:
    """Flux in a cluster. `namespaces` are those that the labels of its CRDs name.

    `applier` is the Kustomization that applies the CRDs, or that brought the one that does; None
    where there is none (any more). `owner` is who manages the CRDs by their label.
    """

    controllers: tuple[Controllers, ...] = ()
    followers: tuple[Follower, ...] = ()
    namespaces: tuple[str, ...] = ()
    applier: Key | None = None
    owner: str = ""

    def roots(self) -> tuple[Follower, ...]:
        """Return the Kustomizations that no other one brought."""
        return tuple(
            one
            for one in self.followers
            if one.kustomization is not None and one.origin == one.kustomization
        )


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """Where the configuration has Flux, and which repository (``owner/name``) it follows."""

    namespace: str
    source: str
    root: str
    repository: str
    path: str


def survey(kube: KubeClient) -> Survey:
    """Look for Flux in all namespaces. Changes nothing."""
    definition = kube.get("apiextensions.k8s.io/v1", "CustomResourceDefinition", CRD)
    if definition is None:
        return Survey()
    sources = {_key(obj): obj for obj in _listed(kube, _SOURCE, "GitRepository")}
    kustomizations = {_key(obj): obj for obj in _listed(kube, _KUSTOMIZE, "Kustomization")}
    applier = _label_key(definition)
    if applier is not None:
        brought = kustomizations.get(applier)
        applier = _origin(applier, brought, kustomizations) if brought is not None else None
    return Survey(
        controllers=tuple(_controllers(kube.list("apps/v1", "Deployment"))),
        followers=tuple(_followers(sources, kustomizations)),
        namespaces=tuple(
            name
            for name in sorted(_named(definition))
            if kube.get("v1", "Namespace", name) is not None
        ),
        applier=applier,
        owner=str((definition["metadata"].get("labels") or {}).get(_MANAGED_BY) or ""),
    )


def elsewhere(found: Survey, wanted: Wanted) -> Iterator[errors.Problem]:
    """Yield each sign of a Flux that is not where the configuration has it. Pure."""
    home = wanted.namespace
    ours: Key = (home, wanted.root)
    here = any(one.namespace == home for one in found.controllers)
    for one in found.controllers:
        if one.namespace != home:
            message = f"{' and '.join(one.names)} run there, and {home} is configured"
            if not one.everywhere:
                message += (
                    "; they watch only that namespace (--watch-all-namespaces=false), and a"
                    " second Flux would reconcile its objects too"
                )
            yield errors.Problem(
                message=message, where=f"namespace {one.namespace}", key="flux.namespace"
            )
    if found.applier not in (None, ours):
        yield errors.Problem(
            message="it applies Flux' CRDs",
            where=f"Kustomization {'/'.join(found.applier or ())}",
            key="flux.kustomization",
        )
    elif not here and found.namespaces and home not in found.namespaces:
        yield errors.Problem(
            message=f"its labels name the namespace {' and '.join(found.namespaces)},"
            f" and {home} is configured",
            where=f"CustomResourceDefinition {CRD}",
            key="flux.namespace",
        )
    for one in found.followers:
        if _competes(one, wanted):
            yield errors.Problem(
                message=f"it follows {shown(one.url)}"
                + ("" if one.kustomization is None else f", ./{one.path}"),
                where=one.ref,
                key="flux.kustomization" if one.kustomization else "flux.source",
            )


def refuse(kube: KubeClient, wanted: Wanted) -> None:
    """Raise `errors.PreflightError` when the cluster has a Flux somewhere else."""
    problems = list(elsewhere(survey(kube), wanted))
    if problems:
        raise errors.PreflightError(
            "this cluster has a Flux, and it is not where the configuration has it",
            problems,
            hint="elysium adopt takes it over where it is; a second Flux would stop both",
        )


def refuse_other_repository(source: Mapping[str, Any] | None, wanted: str, ref: str) -> None:
    """Raise `errors.PreflightError` when the GitRepository `ref` follows another one than `wanted`.

    Pointed at another repository, Flux would remove all that it applied from the first.
    """
    url = _url(source or {})
    if giturls.parse(url).slug in ("", wanted.lower()):
        return
    raise errors.PreflightError(
        "Flux in this cluster follows another repository",
        [
            errors.Problem(
                message=f"it follows {shown(url)}, and {wanted} is configured",
                where=f"GitRepository {ref}",
                key="github.repository",
            )
        ],
        hint="elysium adopt takes over a cluster of the configured repository only; to move this"
        " one to another repository, change spec.url in Git and in the cluster first",
    )


def refuse_twice_in_git(files: Mapping[str, str], cluster: str, components: str) -> tuple[str, ...]:
    """Refuse to commit the file `components` where another file below `cluster` has the same.

    Flux would find each object twice, and apply nothing any more. Returns warnings about files
    elsewhere in the repository, of which it is not known who applies them.

    Raises `errors.PreflightError` that names the files.
    """
    found = [
        path
        for path, text in files.items()
        if path.endswith((".yaml", ".yml")) and path != components and _COMPONENTS.search(text)
    ]
    prefix = f"{cluster}/" if cluster else ""
    own = components.rpartition("/")[2]
    below = [path for path in found if path.startswith(prefix)]
    if below:
        raise errors.PreflightError(
            "the repository has Flux' components in another file",
            [
                errors.Problem(
                    message=f"{components} would bring the same objects again",
                    where=path,
                    key="flux.commit",
                )
                for path in below
            ],
            hint=f"move it to {components}; or keep it, and elysium config set flux.commit none",
        )
    return tuple(
        f"{path} has Flux' components; if this cluster applies it, set flux.commit to none"
        for path in found
        if path.rpartition("/")[2] != own  # else it is another cluster's
    )


def shown(url: str) -> str:
    """Return `url` without user and password."""
    return re.sub(r"//[^/]*@", "//", url)


def _competes(one: Follower, wanted: Wanted) -> bool:
    """Return whether `one` is a Flux that follows the wanted repository beside ours."""
    ours: Key = (wanted.namespace, wanted.root)
    if ours in (one.kustomization, one.origin) or giturls.parse(one.url).slug != wanted.repository:
        return False
    if one.source != (wanted.namespace, wanted.source):
        return True
    # Others may follow our source too, as long as they do not apply our folder.
    return one.kustomization is not None and one.path == wanted.path


def _followers(
    sources: Mapping[Key, Mapping[str, Any]], kustomizations: Mapping[Key, Mapping[str, Any]]
) -> Iterator[Follower]:
    followed: set[Key] = set()
    for key, obj in kustomizations.items():
        spec: Mapping[str, Any] = obj.get("spec") or {}
        reference: Mapping[str, Any] = spec.get("sourceRef") or {}
        source = (str(reference.get("namespace") or key[0]), str(reference.get("name") or ""))
        if reference.get("kind") != "GitRepository" or source not in sources:
            continue
        followed.add(source)
        yield Follower(
            source=source,
            kustomization=key,
            origin=_origin(key, obj, kustomizations),
            url=_url(sources[source]),
            path=gitpaths.normal(str(spec.get("path") or "")),
        )
    for key, obj in sources.items():
        if key not in followed:
            origin = _origin(("", ""), obj, kustomizations)
            yield Follower(source=key, kustomization=None, origin=origin, url=_url(obj))


def _origin(
    key: Key, obj: Mapping[str, Any], kustomizations: Mapping[Key, Mapping[str, Any]]
) -> Key:
    """Return the Kustomization at the top of those that brought `obj`; `key` where none did."""
    seen = {key}
    while (owner := _label_key(obj)) is not None and owner not in seen:
        seen.add(owner)
        key = owner
        if owner not in kustomizations:
            break
        obj = kustomizations[owner]
    return key


def _controllers(deployments: Sequence[Mapping[str, Any]]) -> Iterator[Controllers]:
    by_namespace: dict[str, list[tuple[str, bool]]] = {}
    for obj in deployments:
        spec = (((obj.get("spec") or {}).get("template") or {}).get("spec")) or {}
        containers: list[Mapping[str, Any]] = list(spec.get("containers") or ())
        labels: Mapping[str, Any] = obj["metadata"].get("labels") or {}
        name = str(obj["metadata"]["name"])
        images = [str(one.get("image") or "") for one in containers]
        named = {_program(image) for image in images} & {*NEEDED}
        # Other projects have a helm-controller, too.
        named |= {_program(image) for image in images if "fluxcd/" in image} & {*_ALL}
        if not named and not (name in _ALL and labels.get(_PART_OF) == "flux"):
            continue
        arguments = [str(word) for one in containers for word in one.get("args") or ()]
        narrow = any(_ONE_NAMESPACE.fullmatch(word) for word in arguments)
        by_namespace.setdefault(_key(obj)[0], []).append((name, not narrow))
    for namespace, found in sorted(by_namespace.items()):
        yield Controllers(
            namespace=namespace,
            names=tuple(sorted(name for name, _ in found)),
            everywhere=all(wide for _, wide in found),
        )


def _named(definition: Mapping[str, Any]) -> set[str]:
    """Return the namespaces that labels and annotations of a CRD name as Flux'."""
    metadata: Mapping[str, Any] = definition["metadata"]
    labels: Mapping[str, Any] = metadata.get("labels") or {}
    annotations: Mapping[str, Any] = metadata.get("annotations") or {}
    found = {str(annotations.get(_HELM_NAMESPACE) or "")}
    if labels.get(_PART_OF) == "flux":
        # Of Helm and of flux alike: the namespace, or the name of the release.
        found.add(str(labels.get(_INSTANCE) or ""))
    if (applier := _label_key(definition)) is not None:
        found.add(applier[0])
    return found - {""}


def _listed(kube: KubeClient, group: str, kind: str) -> list[dict[str, Any]]:
    """Return all objects of a kind in the newest version that is served and has some."""
    for version in _VERSIONS:
        if found := kube.list(f"{group}/{version}", kind):
            return found
    return []


def _label_key(obj: Mapping[str, Any]) -> Key | None:
    labels: Mapping[str, Any] = obj["metadata"].get("labels") or {}
    name, namespace = labels.get(f"{_KUSTOMIZE}/name"), labels.get(f"{_KUSTOMIZE}/namespace")
    return (str(namespace), str(name)) if name and namespace else None


def _key(obj: Mapping[str, Any]) -> Key:
    return str(obj["metadata"].get("namespace") or ""), str(obj["metadata"]["name"])


def _url(source: Mapping[str, Any]) -> str:
    return str((source.get("spec") or {}).get("url") or "")


def _program(image: str) -> str:
    """Return the last part of an image's name, without tag and digest."""
    return image.partition("@")[0].rpartition("/")[2].partition(":")[0]

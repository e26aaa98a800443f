"""Flux in the cluster: what is there, who owns it, and applying its components.

Like ``flux bootstrap``: namespaces and CRDs first and awaited, then the rest,
server-side with field manager ``flux``; a folder with a kustomization of the
user's is built, so that patches count.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from provision import errors, gitpaths
from provision.gitops import tree
from provision.gitops.build import kustomize, workspace
from provision.kube import wait
from provision.kube.client import KubeClient
from provision.provider.context import Context
from provision.provider.flux import manifests, objects, repository

FIELD_MANAGER = "flux"
_DEFINITIONS_TIMEOUT = 60.0
_CRD = "gitrepositories.source.toolkit.fluxcd.io"


@dataclass(frozen=True, kw_only=True)
class Cluster:
    """Flux as the cluster has it.

    `known` is False while there is no cluster to ask. `present`: it has Flux'
    CRDs. `reconciled`: the root Kustomization has applied something, so Flux
    looks after itself. `path` is that Kustomization's, without ``./``, None
    where there is none. `owner` is who manages the CRDs by their label.
    """

    known: bool = True
    present: bool = False
    reconciled: bool = False
    path: str | None = None
    deployments: frozenset[str] = frozenset()
    owner: str = ""


NO_CLUSTER = Cluster(known=False)


def look(kube: KubeClient, namespace: str, name: str) -> Cluster:
    """Ask the cluster for Flux in `namespace` with the root Kustomization `name`."""
    definition = kube.get("apiextensions.k8s.io/v1", "CustomResourceDefinition", _CRD)
    if definition is None:
        return Cluster()
    labels: Mapping[str, Any] = (definition.get("metadata") or {}).get("labels") or {}
    root = kube.get(objects.KUSTOMIZE, "Kustomization", name, namespace)
    found = kube.list("apps/v1", "Deployment", namespace)
    return Cluster(
        present=True,
        reconciled=bool(((root or {}).get("status") or {}).get("lastAppliedRevision")),
        path=None if root is None else gitpaths.normal(str(root["spec"].get("path") or "")),
        deployments=frozenset(str(one["metadata"]["name"]) for one in found),
        owner=str(labels.get("app.kubernetes.io/managed-by") or ""),
    )


def value_at(obj: Mapping[str, Any] | None, *path: str | int) -> Any:
    """Return the value at `path`, None where it is missing."""
    value: Any = obj
    for part in path:
        value = value.get(part) if isinstance(value, Mapping) else None
    return value


def refuse_other_path(cluster: Cluster, path: str, root: str) -> None:
    """Raise `errors.PreflightError` when the Kustomization `root` follows another folder."""
    wanted = gitpaths.normal(path)
    if cluster.path is not None and cluster.path != wanted:
        raise errors.PreflightError(
            "Flux in this cluster follows another path",
            [
                errors.Problem(
                    message=f"it follows ./{cluster.path}, and ./{wanted} is configured",
                    where=f"Kustomization {root}",
                    key="flux.path",
                )
            ],
            hint=f"set flux.path to {cluster.path or './'}, or uninstall Flux first",
        )


def refuse_other_owner(cluster: Cluster, *, in_git: bool) -> None:
    """Raise `errors.PreflightError` when something else installed Flux' CRDs.

    A label that says so may be old, where Flux reconciles its own components, which are `in_git`.
    """
    operated = cluster.owner == "flux-operator"
    settled = cluster.reconciled and in_git
    if cluster.owner not in ("", "flux") and (operated or not settled):
        raise errors.PreflightError(
            "Flux in this cluster belongs to something else",
            [
                errors.Problem(
                    message=f"its CRDs are managed by {cluster.owner}",
                    where=f"CustomResourceDefinition {_CRD}",
                    key="flux.commit",
                )
            ],
            hint="to leave it in charge, set flux.commit to none; else remove the other one first",
        )


def desired_objects(
    ctx: Context, paths: repository.Paths, commit: str, text: str
) -> list[dict[str, Any]]:
    """Return what to apply: the folder as Git has it with the user's patches, or `text`.

    `commit` is empty where Git's files do not count. Raises
    `errors.GitOpsError` when the folder does not build.
    """
    repo = ctx.github()
    entries = repo.snapshot(commit).entries if commit else {}
    if not repository.kustomization_of(paths.folder, entries):
        return manifests.without_sync(manifests.objects(text, paths.components))
    files = repo.read_tree(commit, paths.folder)
    files[paths.components] = text
    files.setdefault(paths.sync, "")
    return manifests.without_sync(build(ctx, paths, commit, files))


def build(
    ctx: Context, paths: repository.Paths, commit: str, files: dict[str, str]
) -> list[dict[str, Any]]:
    """Return the objects of Flux' folder, which holds `files`, as kustomize builds it.

    Raises `errors.GitOpsError` when it does not build.
    """
    repo = ctx.github()
    own = repository.kustomization_of(paths.folder, files)
    if own and "../" in files[own]:
        files = repo.read_tree(commit) | files
    with kustomize.Builder(tree.Tree(files=files), jobs=1) as builder:
        (built,) = builder.build([workspace.Overlay(path=paths.folder)])
    if built.problems:
        raise errors.GitOpsError(
            f"{paths.folder} in the repository does not build", list(built.problems)
        )
    if built.remote:
        ctx.warn(
            f"{', '.join(built.remote)} is elsewhere, and elysium fetches nothing: Flux itself"
            " applies it when it reconciles"
        )
    return [doc.obj for doc in built.objects]


def install(ctx: Context, kube: KubeClient, found: Sequence[Mapping[str, Any]]) -> None:
    """Apply Flux' components; return when their kinds are served."""
    first, rest = manifests.in_stages(found)
    ctx.progress(f"applying Flux' {len(first) + len(rest)} objects")
    for obj in first:
        kube.apply(obj, field_manager=FIELD_MANAGER, force=True)
    refs = [wait.Ref.of(obj) for obj in first]
    wait.wait_ready(kube, refs, timeout=_DEFINITIONS_TIMEOUT, progress=ctx.progress)
    for obj in rest:
        kube.apply(obj, field_manager=FIELD_MANAGER, force=True)

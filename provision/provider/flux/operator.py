"""Flux Operator: whether a FluxInstance manages Flux, in the cluster or by the repository.

Flux Operator installs Flux itself. Components that elysium commits or applies
beside it would fight with it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from provision import errors, gitpaths
from provision.gitops import documents
from provision.kube.client import KubeClient
from provision.provider.flux import install

KIND = "FluxInstance"
_GROUP = "fluxcd.controlplane.io"
_VERSION = f"{_GROUP}/v1"
_CHART = "flux-instance"


@dataclass(frozen=True, kw_only=True)
class Instance:
    """A FluxInstance: `ref` names it, `where` says its file and line, empty in a cluster.

    `path` is the folder that it has Flux follow, None where it does not say.
    """

    ref: str
    where: str = ""
    path: str | None = None


def in_cluster(kube: KubeClient) -> tuple[Instance, ...]:
    """Return the FluxInstances of the cluster. Changes nothing."""
    return tuple(_instance(obj, "") for obj in kube.list(_VERSION, KIND))


def in_repository(files: Mapping[str, str]) -> tuple[Instance, ...]:
    """Return the FluxInstances that `files` hold, also by Flux Operator's chart of one."""
    found: list[Instance] = []
    for file, text in files.items():
        if not file.endswith((".yaml", ".yml")) or not (KIND in text or _CHART in text):
            continue
        # A file that is not YAML is the build's to name.
        for document in documents.read_text(text, file, []):
            found += [_instance(obj, document.where) for obj in _managing(document.obj)]
    return tuple(found)


def refuse(instances: tuple[Instance, ...], path: str) -> tuple[str, ...]:
    """Refuse to commit Flux' components where an instance manages the cluster at `path`.

    Returns warnings about instances of which that is not known: no cluster is named, and the
    file stands in no cluster's folder.

    Raises `errors.PreflightError` that says what to set.
    """
    wanted = gitpaths.normal(path)
    ours: list[Instance] = []
    unsure: list[Instance] = []
    for each in instances:
        below = not wanted or each.where.startswith(f"{wanted}/")
        if not each.where or each.path == wanted or below:
            ours.append(each)
        elif each.path is None:
            unsure.append(each)
    if ours:
        raise errors.PreflightError(
            "Flux Operator manages Flux in this cluster",
            [
                errors.Problem(
                    message="elysium would install Flux' components beside it",
                    where=" ".join(filter(None, (each.where, each.ref))),
                    key="flux.commit",
                )
                for each in ours
            ],
            hint="elysium config set flux.commit none; to have elysium manage Flux, remove the"
            " FluxInstance first",
        )
    return tuple(
        f"{each.where} {each.ref} may manage Flux in this cluster; if so, set flux.commit to none"
        for each in unsure
    )


def _managing(obj: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Yield `obj`, or the items of a list, where it makes Flux Operator manage Flux."""
    items = obj.get("items")
    if str(obj.get("kind")).endswith("List") and isinstance(items, list):
        for item in items:
            if isinstance(item, dict):
                yield from _managing(item)
    elif obj.get("kind") == KIND and str(obj.get("apiVersion")).startswith(f"{_GROUP}/"):
        yield obj
    elif obj.get("kind") == "HelmRelease":
        if install.value_at(obj, "spec", "chart", "spec", "chart") == _CHART:
            yield obj
    elif obj.get("kind") == "OCIRepository":
        url = str(install.value_at(obj, "spec", "url") or "")
        if url.rstrip("/").endswith(f"/{_CHART}"):
            yield obj


def _instance(obj: Mapping[str, Any], where: str) -> Instance:
    path = install.value_at(obj, "spec", "sync", "path")
    if path is None:
        path = install.value_at(obj, "spec", "values", "instance", "sync", "path")
    return Instance(
        ref=documents.ref(obj),
        where=where,
        path=None if path is None else gitpaths.normal(str(path)),
    )

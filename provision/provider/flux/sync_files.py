"""Flux' sync: the GitRepository and the root Kustomization, as objects and as the file in Git.

Pure. What counts when comparing is what decides which commit of which folder
Flux applies, and as whom; anything else in the file is the user's to change.
"""

from __future__ import annotations

import contextlib
import json
import posixpath
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, cast

import yaml

from provision import errors, gitpaths, giturls
from provision.gitops import documents, scalars, tree
from provision.gitops.build import layout
from provision.provider.flux import install, objects, repository
from provision.provider.resource import Values

ROOT_INTERVAL = "10m0s"
KUSTOMIZATION = """\
apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization
resources:
- gotk-components.yaml
- gotk-sync.yaml
"""
_HEADER = "# Which commit of which folder Flux applies to this cluster.\n---\n"
_PATHS: dict[str, tuple[tuple[str, tuple[str, ...]], ...]] = {
    "GitRepository": (
        ("url", ("spec", "url")),
        ("branch", ("spec", "ref", "branch")),
        ("secret", ("spec", "secretRef", "name")),
        ("provider", ("spec", "provider")),
        ("interval", ("spec", "interval")),
    ),
    "Kustomization": (
        ("path", ("spec", "path")),
        ("source", ("spec", "sourceRef", "kind")),
        ("source", ("spec", "sourceRef", "name")),
    ),
}
"""Where the fields of `Essence` stand in each object."""
_NO_PROVIDER = "generic"
"""What `spec.provider` is where it is not set: the Secret holds the login itself."""
_PLAIN = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_./-]*")
_UNITS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}


@dataclass(frozen=True, kw_only=True)
class Essence:
    """What must be right. `interval` in seconds (None: not told)."""

    url: str
    branch: str
    secret: str
    provider: str
    path: str
    source: str
    interval: float | None


def root_name(inputs: Values) -> str:
    """Return the root Kustomization's name; mostly it is the source's."""
    return str(inputs.get("rootName") or inputs["name"])


def sync_objects(inputs: Values) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the GitRepository and the Kustomization."""
    namespace = inputs["namespace"]
    source: dict[str, Any] = {
        "apiVersion": objects.SOURCE,
        "kind": "GitRepository",
        "metadata": {"name": inputs["name"], "namespace": namespace},
        "spec": {
            "interval": inputs["interval"],
            "ref": {"branch": inputs["branch"]},
            "secretRef": {"name": inputs["secretName"]},
            "url": inputs["gitUrl"],
        },
    }
    if inputs.get("provider"):
        source["spec"]["provider"] = inputs["provider"]
    root = {
        "apiVersion": objects.KUSTOMIZE,
        "kind": "Kustomization",
        "metadata": {"name": root_name(inputs), "namespace": namespace},
        "spec": {
            "interval": ROOT_INTERVAL,
            "path": f"./{gitpaths.normal(inputs['path'])}",
            "prune": True,
            "sourceRef": {"kind": "GitRepository", "name": inputs["name"]},
        },
    }
    return source, root


def render(inputs: Values) -> str:
    """Return ``gotk-sync.yaml`` for a repository that has none."""
    return _HEADER + "---\n".join(documents.dump(obj) for obj in sync_objects(inputs))


def kustomization(files: Mapping[str, str], paths: repository.Paths) -> str:
    """Return the kustomization of Flux' folder for a repository of `files`, which has none there.

    Where the cluster's folder has none either, kustomize-controller generates one of all that is
    below it. A kustomization in Flux' folder then stands for all that is in that one: it lists what
    the controller would have listed, so that nothing of the user's is pruned.
    """
    read = tree.Tree.of({**files, paths.components: "", paths.sync: ""})
    if read.kustomization(paths.cluster):
        return KUSTOMIZATION
    own = (paths.components, paths.sync)
    others = [path for path in layout.scan(read, paths.folder) if path not in own]
    names = [posixpath.relpath(path, paths.folder) for path in others]
    listed = (name if _PLAIN.fullmatch(name) else json.dumps(name) for name in names)
    return KUSTOMIZATION + "".join(f"- {name}\n" for name in listed)


def refuse_other(files: Mapping[str, str], inputs: Values, paths: repository.Paths) -> None:
    """Raise `errors.PreflightError` when `files` follow another folder, or no branch."""
    places = find(files, inputs)
    source, root = places.get("GitRepository"), places.get("Kustomization")
    if source is not None:
        reference = install.value_at(source.obj, "spec", "ref")
        field = overriding(reference if isinstance(reference, Mapping) else {}, inputs["branch"])
        path = (*source.path, "spec", "ref", field)
        line = scalars.line_of(files[source.file], source.number, path)
        refuse_other_reference(source.obj, inputs["branch"], f"{source.file}:{line}")
    have = essence(None, root.obj).path if root is not None else paths.cluster
    if root is not None and have != paths.cluster:
        raise errors.PreflightError(
            "Flux' files in the repository follow another path",
            [
                errors.Problem(
                    message=f"it says ./{have}, and ./{paths.cluster} is configured",
                    where=root.file,
                    key="flux.path",
                )
            ],
            hint=f"set flux.path to {have or './'}, or correct the file",
        )


def refuse_other_reference(source: Mapping[str, Any] | None, branch: str, where: str) -> None:
    """Raise `errors.PreflightError` when a GitRepository follows something else than its branch.

    `where` says what holds it. Nothing of this is converted silently.
    """
    reference = install.value_at(source, "spec", "ref")
    found = overriding(reference if isinstance(reference, Mapping) else {}, branch)
    if not found:
        return
    value = install.value_at(source, "spec", "ref", found)
    raise errors.PreflightError(
        f"Flux does not follow the branch {branch}",
        [
            errors.Problem(
                message=f"it follows the {found} {value}, which wins over a branch",
                where=where,
                key=f"spec.ref.{found}",
            )
        ],
        hint=f"elysium follows a branch: remove spec.ref.{found} in Git and in the cluster; to keep"
        " it, set flux.commit to none",
    )


def overriding(reference: Mapping[str, Any], branch: str) -> str:
    """Return the field of ``spec.ref`` that wins over the branch, empty where the branch counts.

    The order is source-controller's.
    """
    for name in ("commit", "name", "semver", "tag"):
        value = reference.get(name)
        if value and not (name == "name" and value == f"refs/heads/{branch}"):
            return name
        if value:
            return ""
    return ""


def essence(source: Mapping[str, Any] | None, root: Mapping[str, Any] | None) -> Essence:
    """Return what counts of the two objects; what is missing is empty."""
    reference = str(install.value_at(root, "spec", "sourceRef", "name") or "")
    kind = str(install.value_at(root, "spec", "sourceRef", "kind") or "GitRepository")
    return Essence(
        url=giturls.parse(str(install.value_at(source, "spec", "url") or "")).spelled,
        branch=str(install.value_at(source, "spec", "ref", "branch") or ""),
        secret=str(install.value_at(source, "spec", "secretRef", "name") or ""),
        provider=str(install.value_at(source, "spec", "provider") or _NO_PROVIDER),
        path=gitpaths.normal(str(install.value_at(root, "spec", "path") or "")),
        source=reference if kind == "GitRepository" else f"{kind}/{reference}",
        interval=seconds(str(install.value_at(source, "spec", "interval") or "")),
    )


def differing_fields(have: Essence, want: Essence) -> tuple[str, ...]:
    """Return which parts of the cluster's objects differ; a patched interval is the user's."""
    names = ("url", "branch", "secret", "provider", "path", "source")
    return tuple(name for name in names if getattr(have, name) != getattr(want, name))


def settings(inputs: Values, kind: str, names: Collection[str]) -> dict[tuple[str, ...], str]:
    """Return the values of the fields `names` in the object of `kind`, by their path."""
    objects_by_kind = {str(obj["kind"]): obj for obj in sync_objects(inputs)}
    return {
        path: str(install.value_at(objects_by_kind[kind], *path) or _NO_PROVIDER)
        for name, path in _PATHS[kind]
        if name in names
    }


def patch(inputs: Values, kind: str, names: Collection[str]) -> dict[str, Any]:
    """Return a merge patch that sets the fields `names` of the object of `kind`, and no other."""
    made: dict[str, Any] = {}
    for path, value in settings(inputs, kind, names).items():
        parent = made
        for part in path[:-1]:
            parent = parent.setdefault(part, {})
        parent[path[-1]] = value
    return made


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where an object stands: file, number of its document, path in it (of a ``List``)."""

    file: str
    number: int
    path: scalars.Path
    obj: Mapping[str, Any]


def find(files: Mapping[str, str], inputs: Values) -> dict[str, Place]:
    """Return the GitRepository and the Kustomization in `files`, by kind.

    Raises `errors.PreflightError` for a file that is not YAML.
    """
    found: dict[str, Place] = {}
    for file, text in files.items():
        for number, top in enumerate(_load(text, file)):
            for path, obj in _objects(top):
                kind = str(obj.get("kind"))
                if kind not in found and _is_ours(obj, inputs):
                    found[kind] = Place(file=file, number=number, path=path, obj=obj)
    return found


def holding(files: Mapping[str, str], inputs: Values, paths: repository.Paths) -> dict[str, str]:
    """Return those of `files` that hold one of the two objects; what cannot be read holds none.

    Below the repository's root, a ``gotk-sync.yaml`` in a folder is another cluster's.
    """
    found: dict[str, str] = {}
    sync = posixpath.basename(paths.sync)
    for path, text in files.items():
        others = not paths.cluster and path != paths.sync and posixpath.basename(path) == sync
        if path.endswith((".yaml", ".yml")) and "toolkit.fluxcd.io/" in text and not others:
            with contextlib.suppress(errors.PreflightError):
                if find({path: text}, inputs):
                    found[path] = text
    return found


def edited(files: Mapping[str, str], inputs: Values, file: str) -> dict[str, str]:
    """Return the files to write so that the two objects say what is wanted.

    Only the fields that differ change in an object that is there. An object that no file
    holds is added to `file`.

    Raises:
        errors.PreflightError: a file is not YAML, or a field cannot be set alone.
    """
    places = find(files, inputs)
    if not places and file not in files:
        return {file: render(inputs)}
    want = essence(*sync_objects(inputs))
    changed: dict[str, str] = {}
    for obj in sync_objects(inputs):
        kind = str(obj["kind"])
        place = places.get(kind)
        if place is None:
            text = changed.get(file, files.get(file, ""))
            changed[file] = _appended(text, documents.dump(obj))
            continue
        alone = (place.obj, None) if kind == "GitRepository" else (None, place.obj)
        have = essence(*alone)
        names = {name for name, _ in _PATHS[kind] if getattr(have, name) != getattr(want, name)}
        values = {place.path + path: v for path, v in settings(inputs, kind, names).items()}
        if values:
            text = changed.get(place.file, files[place.file])
            changed[place.file] = _set(text, place, values)
    return changed


def _set(text: str, place: Place, values: Mapping[scalars.Path, str]) -> str:
    try:
        return scalars.set_values(text, place.number, values)
    except scalars.CannotSetError as error:
        key = ".".join(map(str, error.path))
        raise errors.PreflightError(
            f"{place.file} cannot be changed without a change of something else in it",
            [
                errors.Problem(
                    message=f"{place.obj['kind']}: {key} has to be {values[error.path]}",
                    where=f"{place.file}:{error.line}",
                    key=key,
                )
            ],
            hint="set it there yourself, commit, and run the same command again",
        ) from error


def _load(text: str, file: str) -> list[Any]:
    try:
        return documents.load_all(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"{file}:{mark.line + 1}" if mark is not None else file
        reason = str(getattr(error, "problem", "") or "it cannot be parsed")
        raise errors.PreflightError(
            f"{file} in the repository cannot be read",
            [errors.Problem(message=f"not YAML: {reason}", where=where)],
            hint="correct the file and commit it, then run the same command again",
        ) from None


def _objects(top: Any) -> Iterator[tuple[scalars.Path, Mapping[str, Any]]]:
    """Yield the object of a document, or those of its ``List``, with their paths."""
    if not isinstance(top, dict):
        return
    document = cast("dict[str, Any]", top)
    items = document.get("items")
    if str(document.get("kind")).endswith("List") and isinstance(items, list):
        for number, item in enumerate(cast("list[Any]", items)):
            for path, obj in _objects(item):
                yield ("items", number, *path), obj
    else:
        yield (), document


def _is_ours(obj: Mapping[str, Any], inputs: Values) -> bool:
    group = str(obj.get("apiVersion") or "").partition("/")[0]
    name = install.value_at(obj, "metadata", "name")
    return (obj.get("kind"), group, name) in (
        ("GitRepository", objects.SOURCE.partition("/")[0], inputs["name"]),
        ("Kustomization", objects.KUSTOMIZE.partition("/")[0], root_name(inputs)),
    ) and install.value_at(obj, "metadata", "namespace") in (None, inputs["namespace"])


def _appended(text: str, document: str) -> str:
    """Return `text` with one more document."""
    newline = "\r\n" if "\r\n" in text else "\n"
    if text and not text.endswith("\n"):
        text += newline
    last = text.rstrip().rpartition("\n")[2]
    separator = "" if not text.strip() or last == "---" else f"---{newline}"
    return text + separator + document.replace("\n", newline)


def seconds(duration: str) -> float | None:
    """Return a Go duration (``1m0s``, ``90s``) in seconds, None for what is none."""
    parts = re.findall(r"(\d+(?:\.\d+)?)(ms|h|m|s)", duration)
    if not parts or "".join(n + u for n, u in parts) != duration:
        return None
    return sum(float(number) * _UNITS[unit] for number, unit in parts)

"""Helm charts that lie in a repository, read as far as they are plain.

Definitions in the ``crds`` folder are installed as they are (Helm, "Custom Resource
Definitions"), templates without ``{{`` as well. What a chart must have is from Helm's
``Chart.yaml`` reference. Nothing is rendered and nothing is fetched: a template with ``{{`` and a
dependency that lies elsewhere are named as not seen.
"""

from __future__ import annotations

import fnmatch
import posixpath
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

import yaml

from provision import errors, gitpaths
from provision.gitops import documents
from provision.gitops.coldstart import api
from provision.gitops.documents import Place, mapping, mappings
from provision.gitops.tree import Tree

_CHART: Final = "Chart.yaml"
_VERSION: Final = re.compile(r"v?\d+(\.\d+){0,2}([-+][0-9A-Za-z.+-]+)?")
_PACKAGE: Final = (".tgz", ".tar.gz")
_NOT_RENDERED: Final = "NOTES.txt"
_DEPTH: Final = 10
"""Charts in charts; deeper ones are not looked into."""
_MADE: Final = ("Secret", "ConfigMap")
_BINDING: Final = "RoleBinding"


@dataclass(frozen=True, kw_only=True)
class Chart:
    """What is seen of one chart and its subcharts.

    `definitions` are those of the ``crds`` folders, `objects` those of plain templates.
    `templates` are the texts with ``{{``, `elsewhere` the names of the parts that lie elsewhere.
    `problems` say why Helm does not install it.
    """

    definitions: tuple[documents.Document, ...] = ()
    objects: tuple[documents.Document, ...] = ()
    templates: tuple[str, ...] = ()
    elsewhere: tuple[str, ...] = ()
    problems: tuple[errors.Problem, ...] = ()

    def may_define(self, group: str, kind: str) -> bool:
        """Return whether a template, which is not rendered, may define `kind`."""
        return any(
            "CustomResourceDefinition" in text and (group in text or kind in text)
            for text in self.templates
        )

    def may_make(self, place: Place) -> bool:
        """Return whether a template, which is not rendered, may make `place`."""
        kind = place[0]
        return kind.endswith((*_MADE, _BINDING)) and any(
            re.search(rf"kind:\s*[\"']?(?:{kind}\b|\{{\{{)", text) for text in self.templates
        )

    def defined(self) -> list[tuple[tuple[str, str], set[str]]]:
        """Return group and kind of each definition, with its versions."""
        return [made for doc in self.definitions if (made := api.defined(doc.obj)) is not None]

    def joined(self, other: Chart) -> Chart:
        """Return this chart with the subchart `other`."""
        return Chart(
            definitions=self.definitions + other.definitions,
            objects=self.objects + other.objects,
            templates=self.templates + other.templates,
            elsewhere=self.elsewhere + other.elsewhere,
            problems=self.problems + other.problems,
        )


def read(tree: Tree, spec: Mapping[str, Any], user: documents.Document, values: Any) -> Chart:
    """Return the chart of `spec`, a HelmChart's, from the files `tree` of its source.

    `user` is the object that wants it, at which a wrong path is reported; `values` are those of
    the release, as far as they are known.
    """
    path = gitpaths.normal(str(spec.get("chart") or ""))
    wrong: list[errors.Problem] = []
    if path.endswith(_PACKAGE):
        there = path in tree.files or path in tree.left_out
        if there:
            return Chart(elsewhere=(path,))
        wrong.append(_wrong(user, f"there is no chart {path} in {tree.origin or 'its source'}"))
    elif path not in tree.folders:
        wrong.append(_wrong(user, f"there is no folder {path or '.'} with a chart"))
    if wrong:
        return Chart(problems=tuple(wrong))
    if not spec.get("ignoreMissingValuesFiles"):
        for name in map(str, documents.sequence(spec.get("valuesFiles"))):
            if gitpaths.normal(name) not in tree.files:
                wrong.append(_wrong(user, f"the values file {name} is not in the source"))
    found = _read(tree, path, values, ())
    return replace(found, problems=(*wrong, *found.problems))


def _read(tree: Tree, folder: str, values: Any, above: tuple[str, ...]) -> Chart:
    metadata, problems = _metadata(tree, folder)
    if problems:
        return Chart(problems=tuple(problems))
    library = metadata.get("type") == "library"
    if library and not above:
        problem = errors.Problem(
            where=f"{folder}/{_CHART}", key="type", message="a library chart cannot be installed"
        )
        return Chart(problems=(problem,))
    problems += _values(tree, folder)
    definitions = _definitions(tree, folder, problems)
    objects: list[documents.Document] = []
    templates: list[str] = []
    for path in tree.below(posixpath.join(folder, "templates")):
        name, text = posixpath.basename(path), tree.files[path]
        if library or name.startswith("_") or name.endswith(_NOT_RENDERED):
            continue
        if _is_ignored(tree, folder, path):
            continue
        if "{{" in text:
            templates.append(text)
        else:
            found = documents.read_text(text, path, problems)
            objects += [doc for doc in found if _is_installed(doc.obj)]
    chart = Chart(
        definitions=tuple(definitions),
        objects=tuple(objects),
        templates=tuple(templates),
        problems=tuple(problems),
    )
    for part in _subcharts(tree, folder, metadata, values, above):
        chart = chart.joined(part)
    return chart


def _is_ignored(tree: Tree, folder: str, path: str) -> bool:
    """Return whether the chart's ``.helmignore`` leaves `path` out."""
    below = posixpath.relpath(path, folder or ".")
    lines = tree.files.get(posixpath.join(folder, ".helmignore"), "").splitlines()
    for line in (line.strip() for line in lines):
        pattern = line.strip("/")
        if not pattern or line.startswith(("#", "!")):
            continue
        parts = [below, *below.split("/")] if "/" not in pattern else [below]
        if any(fnmatch.fnmatchcase(part, pattern) for part in parts):
            return True
        if below.startswith(f"{pattern}/"):
            return True
    return False


def _is_installed(obj: Mapping[str, Any]) -> bool:
    """Return whether an installation applies `obj`; a hook says when it is applied."""
    annotations = mapping(mapping(obj.get("metadata")).get("annotations"))
    hook = annotations.get("helm.sh/hook")
    return hook is None or "install" in str(hook)


def _metadata(tree: Tree, folder: str) -> tuple[Mapping[str, Any], list[errors.Problem]]:
    """Return what ``Chart.yaml`` says, and what Helm refuses in it."""
    path = posixpath.join(folder, _CHART)
    if path not in tree.files:
        message = "the chart has no Chart.yaml"
        return {}, [errors.Problem(where=folder or ".", message=message)]
    try:
        loaded = documents.load_all(tree.files[path])
    except yaml.YAMLError:
        return {}, [errors.Problem(where=path, message="it is no YAML")]
    found = mapping(loaded[0]) if loaded else {}
    wrong = [
        errors.Problem(where=path, key=key, message="Helm wants it, and it is not there")
        for key in ("apiVersion", "name", "version")
        if not found.get(key)
    ]
    version, kind = str(found.get("version") or ""), found.get("type")
    if version and not _VERSION.fullmatch(version):
        message = f"{version!r} is no semantic version"
        wrong.append(errors.Problem(where=path, key="version", message=message))
    if kind not in (None, "", "application", "library"):
        message = f"{kind!r} is neither application nor library"
        wrong.append(errors.Problem(where=path, key="type", message=message))
    return found, wrong


def _values(tree: Tree, folder: str) -> list[errors.Problem]:
    path = posixpath.join(folder, "values.yaml")
    try:
        loaded = documents.load_all(tree.files.get(path, ""))
    except yaml.YAMLError:
        return [errors.Problem(where=path, message="it is no YAML, so Helm cannot read the chart")]
    if loaded and loaded[0] is not None and not isinstance(loaded[0], Mapping):
        return [errors.Problem(where=path, message="the values of a chart are a mapping")]
    return []


def _definitions(
    tree: Tree, folder: str, problems: list[errors.Problem]
) -> list[documents.Document]:
    found: list[documents.Document] = []
    for path in tree.below(posixpath.join(folder, "crds")):
        if path.endswith((".yaml", ".yml", ".json")):
            found += documents.read_text(tree.files[path], path, problems)
    return found


def _subcharts(
    tree: Tree, folder: str, metadata: Mapping[str, Any], values: Any, above: tuple[str, ...]
) -> list[Chart]:
    """Return the charts that belong to the one in `folder`, but for those that are turned off."""
    inside = posixpath.join(folder, "charts")
    vendored = {path[len(inside) + 1 :].partition("/")[0]: path for path in tree.below(inside)}
    found: list[Chart] = []
    named: set[str] = set()
    for one in mappings(metadata.get("dependencies")):
        name = str(one.get("name") or "")
        named.add(name)
        if _is_off(one, values):
            continue
        repository = str(one.get("repository") or "")
        local = posixpath.join(inside, name)
        if repository.startswith("file://"):
            local = posixpath.normpath(posixpath.join(folder, repository.removeprefix("file://")))
        if posixpath.join(local, _CHART) in tree.files and len(above) < _DEPTH:
            inner = mapping(mapping(values).get(str(one.get("alias") or name)))
            if local not in above:
                found.append(_read(tree, local, inner, (*above, folder)))
        elif repository.startswith("file://"):
            problem = errors.Problem(
                where=posixpath.join(folder, _CHART),
                key="dependencies",
                message=f"there is no chart {name} in {local}",
            )
            found.append(Chart(problems=(problem,)))
        else:
            found.append(Chart(elsewhere=(name,)))
    for name in sorted(vendored):
        if name.endswith(_PACKAGE):
            found.append(Chart(elsewhere=(name,)))
        elif name not in named and f"{inside}/{name}/{_CHART}" in tree.files:
            inner = mapping(mapping(values).get(name))
            found.append(_read(tree, f"{inside}/{name}", inner, (*above, folder)))
    return found


def _is_off(dependency: Mapping[str, Any], values: Any) -> bool:
    """Return whether the first value that the condition names turns the subchart off."""
    for path in str(dependency.get("condition") or "").split(","):
        value: Any = values
        for part in filter(None, path.strip().split(".")):
            value = mapping(value).get(part)
        if path.strip() and isinstance(value, bool):
            return not value
    return False


def _wrong(user: documents.Document, message: str) -> errors.Problem:
    return errors.Problem(
        where=user.where,
        key=documents.ref(user.obj),
        message=f"{message}, so source-controller makes no chart of it",
        hint="write the chart's folder from the top of its source: chart: ./charts/NAME",
    )

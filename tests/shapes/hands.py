"""Stand-ins for the controllers that the recording of the shapes does not run.

Each does what its documentation says of the order of things, and nothing else:

- source-controller: a source is fetched when the Secrets that it reads are there; a chart of a
  GitRepository needs its folder (Flux documentation, "GitRepositories", "Helm Charts").
- helm-controller: a HelmRelease is installed when those of `dependsOn` are ready, its source and
  its values are there with their keys, and its namespace exists or is to be created
  (Flux documentation, "Helm Releases").
- source-watcher and the operators: what the shape says they make of an object.
"""

from __future__ import annotations

import posixpath
import time
from collections.abc import Iterator, Mapping
from typing import Any, Final

import yaml

from provision import gitpaths
from provision.gitops import documents
from provision.gitops.documents import mapping, mappings
from provision.gitops.tree import Tree
from provision.kube import wait
from tests.shapes import Shape
from tests.support.fluxcluster import MANAGER, FluxCluster

SOURCE: Final = "source.toolkit.fluxcd.io/v1"
RELEASE: Final = "helm.toolkit.fluxcd.io/v2"
_SOURCES: Final = ("GitRepository", "OCIRepository", "Bucket", "ExternalArtifact", "HelmRepository")
_SECRETS: Final = ("secretRef", "certSecretRef", "proxySecretRef")


class Hands:
    """Works on the cluster of one shape; `turn` does what can be done now."""

    def __init__(self, cluster: FluxCluster, shape: Shape) -> None:
        self._cluster = cluster
        self._client = cluster.client
        self._shape = shape
        self._files = Tree.of(shape.files).files
        self._docs = {documents.ref(obj): obj for obj in _objects(shape.files)}
        self._done: set[str] = set()
        self.failing: dict[str, str] = {}

    def turn(self) -> bool:
        """Do what can be done; return whether that was anything."""
        before = len(self._done)
        self._sources()
        self._operators()
        self._releases()
        return len(self._done) != before

    def apply(self, text: str) -> None:
        """Apply the objects in `text`, with the kubeconfig of this cluster for ``@spoke``."""
        for obj in yaml.safe_load_all(text):
            data = obj.get("stringData") or {}
            for key, value in data.items():
                if value == "@spoke":
                    data[key] = self._cluster.server.kubeconfig
            self._client.apply(obj, field_manager=MANAGER, force=True)

    # -- source-controller -----------------------------------------------------

    def _sources(self) -> None:
        for kind in _SOURCES:
            for one in self._client.list(SOURCE, kind):
                namespace, name = one["metadata"]["namespace"], one["metadata"]["name"]
                mark = f"{kind} {namespace}/{name}"
                if mark in self._done or not self._readable(one["spec"], namespace):
                    continue
                self._cluster.store(kind, name, namespace, self._content(kind, one))
                self._done.add(mark)

    def _readable(self, spec: Mapping[str, Any], namespace: str) -> bool:
        named = [mapping(spec.get(key)).get("name") for key in _SECRETS]
        return all(self._client.get("v1", "Secret", str(name), namespace) for name in named if name)

    def _content(self, kind: str, one: Mapping[str, Any]) -> Mapping[str, str] | None:
        """Return the files of a source; None for one that holds only charts."""
        given = self._shape.sources.get(f"{kind}/{one['metadata']['name']}")
        if given is not None or kind != "GitRepository":
            return given
        return published(self._shape)

    # -- helm-controller -------------------------------------------------------

    def _releases(self) -> None:
        for one in self._client.list(RELEASE, "HelmRelease"):
            namespace, name = one["metadata"]["namespace"], one["metadata"]["name"]
            key = f"{namespace}/{name}"
            if key in self._done:
                continue
            why = self._lacking(one["spec"], namespace)
            if why:
                self.failing[key] = why
            else:
                self._install(one, key)
                self._done.add(key)
                self.failing.pop(key, None)

    def _lacking(self, spec: Mapping[str, Any], namespace: str) -> str:
        for ref in mappings(spec.get("dependsOn")):
            other = f"{ref.get('namespace') or namespace}/{ref['name']}"
            if other not in self._done:
                return f"dependency {other} is not ready"
        chart = mapping(mapping(spec.get("chart")).get("spec"))
        ref = mapping(spec.get("chartRef")) or mapping(chart.get("sourceRef"))
        source = f"{ref['kind']} {ref.get('namespace') or namespace}/{ref['name']}"
        if source not in self._done:
            return f"{source} is not ready"
        if ref["kind"] == "GitRepository":
            path = posixpath.join(gitpaths.normal(str(chart["chart"])), "Chart.yaml")
            if path not in self._files:
                return f"there is no chart {chart['chart']}"
        for values in mappings(spec.get("valuesFrom")):
            why = self._keyless(values, namespace)
            if why:
                return why
        target = str(spec.get("targetNamespace") or namespace)
        creates = mapping(spec.get("install")).get("createNamespace")
        if not creates and not self._client.get("v1", "Namespace", target):
            return f"namespace {target} is not there"
        return ""

    def _keyless(self, ref: Mapping[str, Any], namespace: str) -> str:
        found = self._client.get("v1", str(ref["kind"]), str(ref["name"]), namespace)
        key = str(ref.get("valuesKey") or "values.yaml")
        if found is None:
            return "" if ref.get("optional") else f"{ref['kind']} {ref['name']} is not there"
        return "" if key in mapping(found.get("data")) else f"{ref['name']} has no key {key}"

    def _install(self, one: Mapping[str, Any], key: str) -> None:
        spec, metadata = one["spec"], one["metadata"]
        if mapping(spec.get("install")).get("createNamespace"):
            self._cluster.namespace(str(spec["targetNamespace"]))
        self.apply(self._shape.brings.get(key, ""))
        ready = {
            "type": "Ready",
            "status": "True",
            "reason": "InstallSucceeded",
            "message": "stood in",
            "lastTransitionTime": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        }
        status = {"observedGeneration": metadata["generation"], "conditions": [ready]}
        self._client.patch(
            RELEASE,
            "HelmRelease",
            metadata["name"],
            metadata["namespace"],
            {"status": status},
            subresource="status",
        )

    # -- operators -------------------------------------------------------------

    def _operators(self) -> None:
        for ref, text in self._shape.makes.items():
            obj = self._docs[ref.replace(" /", " ")]
            metadata = obj["metadata"]
            place = (obj["apiVersion"], obj["kind"], metadata["name"], metadata.get("namespace"))
            if ref not in self._done and self._client.get(*place):
                self.apply(text)
                self._done.add(ref)
        for obj in self._docs.values():
            if obj["kind"] == "ArtifactGenerator" and "cut" not in self._done:
                self._cut(obj)

    def _cut(self, obj: Mapping[str, Any]) -> None:
        """Make the artifacts of a generator, once it is there; their files are the shape's."""
        metadata = obj["metadata"]
        place = (obj["apiVersion"], obj["kind"], metadata["name"], metadata["namespace"])
        if not self._client.get(*place):
            return
        for one in obj["spec"]["artifacts"]:
            made = {
                "apiVersion": SOURCE,
                "kind": "ExternalArtifact",
                "metadata": {"name": one["name"], "namespace": metadata["namespace"]},
                "spec": {},
            }
            self._client.apply(made, field_manager=MANAGER, force=True)
        self._done.add("cut")


def published(shape: Shape) -> dict[str, str]:
    """Return the files of `shape` as the recording serves them.

    Kustomizations try again after a second, and a base by URL is a file beside what names it.
    """
    files: dict[str, str] = {}
    for path, text in Tree.of(shape.files).files.items():
        for number, (url, content) in enumerate(shape.remote.items()):
            if url in text:
                name = f"remote-{number}.yaml"
                files[posixpath.join(posixpath.dirname(path), name)] = content
                text = text.replace(url, name)
        files[path] = "---\n".join(_quick(part) for part in text.split("---\n"))
    return files


def _quick(text: str) -> str:
    if "kustomize.toolkit.fluxcd.io" not in text or "sourceRef" not in text:
        return text
    obj = yaml.safe_load(text)
    if obj.get("kind") != "Kustomization":
        return text
    obj["spec"] |= {"retryInterval": "1s", "timeout": "5s"}
    return yaml.safe_dump(obj)


def _objects(files: Mapping[str, str]) -> Iterator[dict[str, Any]]:
    for path, text in files.items():
        if path.endswith("/all.yaml"):
            yield from (obj for obj in yaml.safe_load_all(text) if obj)


def is_ready(obj: Mapping[str, Any]) -> bool:
    """Return whether `obj`, as the API server has it, is Ready."""
    return wait.condition(dict(obj), "Ready").get("status") == "True"

"""What the chart server answers: indexes, archives and images of charts.

The index is that of Helm's documentation ("The Chart Repository Guide"), the
images are those of Helm's "OCI Artifacts": a configuration with the metadata, and
the archive as the one layer.
"""

from __future__ import annotations

import hashlib
import json
import re
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

from provision.fileio import atomic
from provision.sandbox.charts import packing, versions, wanted

_CREATED: Final = "2026-01-01T00:00:00Z"
_MANIFEST: Final = "application/vnd.oci.image.manifest.v1+json"
_CONFIG: Final = "application/vnd.cncf.helm.config.v1+json"
_LAYER: Final = "application/vnd.cncf.helm.chart.content.v1.tar+gzip"
_ARCHIVE: Final = re.compile(r"(?P<name>.+?)-(?P<version>v?\d+\.\d+\.\d+[0-9A-Za-z.+-]*)\.tgz")
_REGISTRY: Final = re.compile(
    r"v2/(?P<path>.+)/(?P<what>tags/list|manifests/[^/]+|blobs/[^/]+)", re.DOTALL
)
_EXACT: Final = re.compile(r"v?\d+\.\d+\.\d+[0-9A-Za-z.+-]*")


@dataclass(frozen=True, kw_only=True)
class Answer:
    """An HTTP answer."""

    status: int = 200
    kind: str = "application/octet-stream"
    body: bytes = b""
    headers: tuple[tuple[str, str], ...] = ()


class Catalog:
    """The charts of a sandbox. Thread-safe.

    `asked` gives what the repositories ask for, `definitions` is the folder of the generated
    definitions, and `log` the file that lists the charts that were fetched.
    """

    def __init__(
        self, asked: Callable[[], wanted.Wanted], definitions: Path, log: Path | None = None
    ) -> None:
        self._asked = asked
        self._definitions = definitions
        self._log = log
        self._lock = threading.Lock()
        self._charts: dict[tuple[Any, ...], packing.Chart] = {}
        self._blobs: dict[str, tuple[str, bytes]] = {}
        self._served: dict[str, dict[str, Any]] = {}

    def hosts(self) -> frozenset[str]:
        """Return the hosts that charts come from."""
        return self._asked().hosts

    def answer(self, scheme: str, host: str, path: str) -> Answer:
        """Return the answer to a request for `path` at `host`."""
        asked = self._asked()
        path = path.strip("/")
        if host not in asked.hosts:
            return _not_found(f"the sandbox serves no chart at {host}")
        if path == "v2":
            return Answer(kind="application/json", body=b"{}", headers=_VERSION)
        if match := _REGISTRY.fullmatch(path):
            return self._registry(asked, host, match["path"], match["what"])
        folder, _, file = path.rpartition("/")
        index = asked.indexes.get((host, folder))
        if index is None:
            return _not_found(f"no HelmRepository has the address {host}/{folder}")
        if file == "index.yaml":
            base = f"{scheme}://{host}/{folder}".rstrip("/")
            return Answer(kind="application/yaml", body=self._index(asked, index, base))
        match = _ARCHIVE.fullmatch(file)
        if match is None or match["version"] not in index.get(match["name"], ()):
            return _not_found(f"no HelmRelease asks for {file} of {host}/{folder}")
        chart = self._chart(asked, match["name"], match["version"])
        self._note(chart, f"{scheme}://{host}/{folder}")
        return Answer(kind="application/gzip", body=chart.archive)

    def _chart(self, asked: wanted.Wanted, name: str, version: str) -> packing.Chart:
        kinds = wanted.defined_by(name, asked)
        key = (name, version, kinds)
        with self._lock:
            if key not in self._charts:
                self._charts[key] = packing.make(name, version, kinds, self._definitions)
            return self._charts[key]

    def _index(
        self, asked: wanted.Wanted, index: Mapping[str, tuple[str, ...]], base: str
    ) -> bytes:
        entries: dict[str, list[dict[str, Any]]] = {}
        for name, all_ in sorted(index.items()):
            for version in all_:
                chart = self._chart(asked, name, version)
                entries.setdefault(name, []).append(
                    {
                        **chart.metadata,
                        "created": _CREATED,
                        "digest": hashlib.sha256(chart.archive).hexdigest(),
                        "urls": [f"{base}/{name}-{version}.tgz"],
                    }
                )
        made = {"apiVersion": "v1", "entries": entries, "generated": _CREATED}
        return yaml.safe_dump(made, sort_keys=True).encode()

    def _registry(self, asked: wanted.Wanted, host: str, path: str, what: str) -> Answer:
        tags = asked.images.get((host, path))
        if tags is None:
            return _refused("NAME_UNKNOWN", f"nothing asks for the chart {host}/{path}")
        kind, _, name = what.partition("/")
        if kind == "tags":
            listed = {"name": path, "tags": [tag.replace("+", "_") for tag in tags]}
            return Answer(
                kind="application/json", body=json.dumps(listed).encode(), headers=_VERSION
            )
        if not name.startswith("sha256:"):
            version = name.replace("_", "+")
            if version not in tags and not _EXACT.fullmatch(version):
                return _refused("MANIFEST_UNKNOWN", f"nothing asks for {host}/{path}:{name}")
            if not _EXACT.fullmatch(version):
                version = versions.DEFAULT
            chart = self._chart(asked, path.rpartition("/")[2], version)
            self._note(chart, f"oci://{host}/{path}")
            name = self._image(chart)
        found = self._blobs.get(name)
        if found is None:
            code = "MANIFEST_UNKNOWN" if kind == "manifests" else "BLOB_UNKNOWN"
            return _refused(code, f"the sandbox has no {name} of {host}/{path}")
        headers = (*_VERSION, ("Docker-Content-Digest", name))
        return Answer(kind=found[0], body=found[1], headers=headers)

    def _image(self, chart: packing.Chart) -> str:
        """Keep the parts of the image of `chart`; return the digest of its manifest."""
        config = self._blob(_CONFIG, json.dumps(chart.metadata, sort_keys=True).encode())
        layer = self._blob(_LAYER, chart.archive)
        manifest = {"schemaVersion": 2, "mediaType": _MANIFEST, "config": config, "layers": [layer]}
        body = json.dumps(manifest, sort_keys=True).encode()
        return str(self._blob(_MANIFEST, body)["digest"])

    def _blob(self, kind: str, content: bytes) -> dict[str, Any]:
        digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
        self._blobs[digest] = (kind, content)
        return {"mediaType": kind, "digest": digest, "size": len(content)}

    def _note(self, chart: packing.Chart, address: str) -> None:
        """List `chart` among those that were fetched."""
        key = f"{address} {chart.name} {chart.version}"
        with self._lock:
            if self._log is None or key in self._served:
                return
            self._served[key] = {
                "chart": chart.name,
                "version": chart.version,
                "address": address,
                "own": chart.own,
                "kinds": list(chart.kinds),
            }
            listed = [self._served[key] for key in sorted(self._served)]
            atomic.write(self._log, json.dumps(listed, indent=1).encode())


_VERSION: Final = (("Docker-Distribution-Api-Version", "registry/2.0"),)


def _not_found(words: str) -> Answer:
    return Answer(status=404, kind="text/plain; charset=utf-8", body=f"{words}\n".encode())


def _refused(code: str, words: str) -> Answer:
    body = json.dumps({"errors": [{"code": code, "message": words}]}).encode()
    return Answer(status=404, kind="application/json", body=body, headers=_VERSION)

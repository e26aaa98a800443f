"""Making the archive of a chart: one of ours that runs something, or a placeholder.

The same chart, version and kinds make the same bytes, so that its digest stays.
"""

from __future__ import annotations

import gzip
import io
import json
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

from provision.gitops.coldstart import charts
from provision.sandbox.charts import wanted

OWN: Final = Path(__file__).parent / "own"
"""Charts of ours that run what the sandbox has a program for."""
_DEFINITIONS: Final = {"sealed-secrets": "bitnami.com_sealedsecrets.yaml"}
"""The files with definitions, of those that the sandbox generates, that a chart of ours has."""
_PLACEHOLDER: Final = """\
apiVersion: v1
kind: ConfigMap
metadata:
  name: {{ .Release.Name | trunc 40 | trimSuffix "-" }}-placeholder
  namespace: {{ .Release.Namespace }}
data:
  chart: {{ .Chart.Name | quote }}
  version: {{ .Chart.Version | quote }}
  what: "a placeholder of the elysium sandbox, which has no network; nothing runs"
"""


@dataclass(frozen=True, kw_only=True)
class Chart:
    """A chart as it is served. `kinds` are the kinds that it defines."""

    name: str
    version: str
    own: bool
    kinds: tuple[str, ...]
    metadata: Mapping[str, Any]
    archive: bytes


def make(name: str, version: str, kinds: Sequence[wanted.Kind], definitions: Path) -> Chart:
    """Return the chart `name` in `version`, which defines `kinds`.

    `definitions` is the folder of the generated definitions.

    Raises:
        OSError: when a file cannot be read.
    """
    own = OWN / name
    is_own = own.is_dir()
    metadata: dict[str, Any] = {
        "apiVersion": "v2",
        "name": name,
        "version": version,
        "description": "made by the elysium sandbox in place of the chart of this name",
        "type": "application",
    }
    files: dict[str, str] = {}
    if is_own:
        files |= {
            path.relative_to(own).as_posix(): path.read_text()
            for path in sorted(own.rglob("*"))
            if path.is_file()
        }
        if name in _DEFINITIONS:
            files[f"crds/{_DEFINITIONS[name]}"] = (definitions / _DEFINITIONS[name]).read_text()
        defined = tuple(_kinds_in(files))
    else:
        files["templates/placeholder.yaml"] = _PLACEHOLDER
        files |= _definitions(name, kinds)
        defined = tuple(f"{kind.kind}.{kind.group}" for kind in kinds)
    files["Chart.yaml"] = yaml.safe_dump(metadata, sort_keys=True)
    return Chart(
        name=name,
        version=version,
        own=is_own,
        kinds=defined,
        metadata=metadata,
        archive=_archive(name, files),
    )


def _kinds_in(files: Mapping[str, str]) -> list[str]:
    found: list[str] = []
    for path, text in files.items():
        if path.startswith("crds/"):
            for each in yaml.safe_load_all(text):
                spec = each["spec"]
                found.append(f"{spec['names']['kind']}.{spec['group']}")
    return found


def _definitions(chart: str, kinds: Sequence[wanted.Kind]) -> dict[str, str]:
    """Return the files with the definitions of `kinds`, where the chart has them.

    That is the folder ``crds``, or a template that values of the chart turn on and off.
    """
    if not kinds:
        return {}
    text = "---\n".join(json.dumps(_definition(kind), indent=1) + "\n" for kind in kinds)
    listed = charts.CHARTS.get(chart)
    if listed is None or not listed.switches:
        return {"crds/definitions.yaml": text}
    values: dict[str, Any] = {}
    for switch in listed.switches:
        holder = values
        *above, last = switch.split(".")
        for word in above:
            holder = holder.setdefault(word, {})
        holder[last] = listed.default and switch == listed.switches[0]
    condition = " ".join(f".Values.{switch}" for switch in listed.switches)
    template = f"{{{{- if or {condition} false }}}}\n{text}{{{{- end }}}}\n"
    return {"values.yaml": yaml.safe_dump(values), "templates/definitions.yaml": template}


def _definition(kind: wanted.Kind) -> dict[str, Any]:
    plural = _plural(kind.kind)
    schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{kind.group}"},
        "spec": {
            "group": kind.group,
            "names": {
                "kind": kind.kind,
                "listKind": f"{kind.kind}List",
                "plural": plural,
                "singular": kind.kind.lower(),
            },
            "scope": "Namespaced" if kind.namespaced else "Cluster",
            "versions": [
                {
                    "name": version,
                    "served": True,
                    "storage": number == 0,
                    "schema": {"openAPIV3Schema": schema},
                    "subresources": {"status": {}},
                }
                for number, version in enumerate(kind.versions)
            ],
        },
    }


def _plural(kind: str) -> str:
    """Return the plural that Kubernetes' generators give a kind."""
    word = kind.lower()
    if word.endswith("y") and word[-2:-1] not in "aeiou":
        return f"{word[:-1]}ies"
    return f"{word}es" if word.endswith(("s", "x", "z", "ch", "sh")) else f"{word}s"


def _archive(name: str, files: Mapping[str, str]) -> bytes:
    plain = io.BytesIO()
    with tarfile.open(fileobj=plain, mode="w") as archive:
        for path in sorted(files, key=lambda path: (path != "Chart.yaml", path)):
            content = files[path].encode()
            member = tarfile.TarInfo(f"{name}/{path}")
            member.size, member.mode = len(content), 0o644
            archive.addfile(member, io.BytesIO(content))
    return gzip.compress(plain.getvalue(), mtime=0)

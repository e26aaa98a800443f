"""``elysium:flux:Sync``: what Flux follows, in Git and in the cluster, and that it got there."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from provision import errors, gitpaths
from provision.change import Change
from provision.github import commits
from provision.gitops import documents
from provision.kube import wait
from provision.provider.context import Context
from provision.provider.flux import (
    detection,
    https_access,
    install,
    objects,
    repository,
    sync_files,
)
from provision.provider.flux import wait as flux_wait
from provision.provider.resource import UNKNOWN, Observed, Resource, Values


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What Git and the cluster hold.

    `files` are those that a commit would change, with their unified diffs.
    `unhealthy` is what Flux has not got right: object and reason. `https` are the fields of the
    Secret that only HTTPS needs, `https_users` who may need them.
    """

    head: str
    files: tuple[tuple[str, str], ...]
    proposed: bool
    cluster_known: bool
    source: Mapping[str, Any] | None
    root: Mapping[str, Any] | None
    unhealthy: tuple[tuple[str, str], ...]
    kustomizations: tuple[tuple[str, str], ...]
    https: tuple[str, ...] = ()
    https_users: tuple[str, ...] = ()


class Sync(Resource[Facts]):
    """The GitRepository and the root Kustomization, and all that follows from them."""

    type = "elysium:flux:Sync"
    plans_without = frozenset({"kubeconfig"})
    secret_inputs = frozenset({"kubeconfig"})

    def check(self, inputs: Values) -> tuple[dict[str, Any], list[errors.Problem]]:
        """Fill in defaults."""
        defaults: dict[str, Any] = {
            "namespace": "flux-system",
            "name": "flux-system",
            "branch": "main",
            "secretName": "flux-system",
            "interval": "1m",
            "commit": "push",
            "timeout": 600,
        }
        filled = defaults | dict(inputs)
        problems: list[errors.Problem] = []
        interval = filled["interval"]
        if isinstance(interval, str) and sync_files.seconds(interval) is None:
            problems.append(
                errors.Problem(message=f"{interval} is no duration like 1m or 90s", key="interval")
            )
        return filled, problems

    def identity(self, inputs: Values) -> str:
        """Return namespace and name of the sync objects."""
        return f"{inputs['namespace']}/{inputs['name']}"

    def observe(self, ctx: Context, inputs: Values, state: Values) -> Observed[Facts]:
        """Look at the sync files in Git and at Flux' objects in the cluster."""
        repo = ctx.github()
        head, pull = repository.standing(ctx, inputs, lambda at: bool(self._files(ctx, inputs, at)))
        files = self._files(ctx, inputs, head)
        proposed = bool(files) and pull is not None and not self._files(ctx, inputs, pull.head)
        view = flux_wait.View(source=None, kustomizations=(), deployments=())
        cluster_known = inputs["kubeconfig"] is not UNKNOWN
        https: tuple[str, ...] = ()
        https_users: tuple[str, ...] = ()
        if cluster_known:
            kube = ctx.kube(inputs["kubeconfig"])
            view = flux_wait.view_of(kube, inputs["name"], inputs["namespace"])
            if inputs["gitUrl"].startswith("ssh://"):  # else the login in the Secret is in use
                https, https_users = https_access.look(kube, inputs)
            if not state and inputs["commit"] != "none":
                detection.refuse_other_repository(
                    view.source, repo.slug, _ref(inputs, "GitRepository")
                )
        root = next(
            (
                one
                for one in view.kustomizations
                if one["metadata"]["name"] == sync_files.root_name(inputs)
                and one["metadata"].get("namespace") == inputs["namespace"]
            ),
            None,
        )
        facts = Facts(
            head=head,
            https=https,
            https_users=https_users,
            files=tuple((path, repo.diff(head, path, text)) for path, text in files.items()),
            proposed=proposed,
            cluster_known=cluster_known,
            source=view.source,
            root=root,
            unhealthy=unhealthy(view, sync_files.root_name(inputs), inputs["namespace"]),
            kustomizations=tuple(
                (
                    _name(one, inputs["namespace"]),
                    str((one.get("status") or {}).get("lastAppliedRevision") or ""),
                )
                for one in flux_wait.in_order(view.kustomizations)
            ),
        )
        return Observed(exists=view.source is not None or root is not None, facts=facts)

    def plan(self, facts: Facts, inputs: Values, state: Values) -> tuple[Change, ...]:
        """List commits, objects and what has yet to become ready."""
        changes: list[Change] = []
        how = "propose" if inputs["commit"] == "pull-request" else "commit"
        for path, diff in facts.files:
            summary = f"{how} {path} to {inputs['branch']}"
            if facts.proposed:
                summary = f"wait for the pull request with {path} to be merged"
            changes.append(
                Change(property=f"git.{path}", action="commit", summary=summary, diff=diff)
            )
        for kind, why in self._objects(facts, inputs):
            there = facts.source if kind == "GitRepository" else facts.root
            changes.append(
                Change(
                    property=kind[0].lower() + kind[1:],
                    action="update" if there else "create",
                    summary=f"apply {kind} {_ref(inputs, kind)}: {why}",
                )
            )
        if facts.source is not None and facts.root is not None:
            changes += [
                Change(property=f"ready.{name}", action="run", summary=f"wait for {name}: {why}")
                for name, why in facts.unhealthy
            ]
        if facts.https and not facts.https_users:
            changes.append(
                Change(
                    property="secret",
                    action="update",
                    summary=f"remove {' and '.join(facts.https)} from the Secret"
                    f" {inputs['namespace']}/{inputs['secretName']}, when Flux has fetched with the"
                    " deploy key; then revoke that token at GitHub",
                )
            )
        return tuple(changes)

    def remarks(self, facts: Facts, inputs: Values) -> tuple[str, ...]:
        """Name a token that stays in the Secret, and who uses it."""
        if not facts.https or not facts.https_users:
            return ()
        return (
            f"the Secret {inputs['namespace']}/{inputs['secretName']} keeps"
            f" {' and '.join(facts.https)}: {', '.join(facts.https_users)} may use it; give them a"
            " Secret of their own, and the next elysium up removes the token from this one",
        )

    def apply(
        self,
        ctx: Context,
        inputs: Values,
        facts: Facts,
        changes: tuple[Change, ...],
        state: Values,
    ) -> dict[str, Any]:
        """Commit, apply, and wait until everything of the branch's head is ready."""
        paths = repository.Paths.of(inputs["path"], inputs["namespace"])
        if facts.files:
            files = self._files(ctx, inputs, facts.head)
            pull = None
            if not facts.proposed:
                pull = repository.publish(
                    ctx,
                    inputs,
                    "Add Flux sync manifests",
                    files,
                    if_absent=(paths.kustomization,),
                    based_on=self._edits(ctx, facts, files),
                )
            if facts.proposed or pull is not None:
                repository.wait_merged(ctx, inputs, timeout=inputs["timeout"])
        self._warn_unlisted(ctx, inputs, paths)
        kube = ctx.kube(inputs["kubeconfig"])
        self._apply_objects(ctx, inputs, facts, paths)
        stamp = ""
        if facts.source is not None:
            # It may be behind a commit that was just made: now, not at its next interval.
            stamp = f"elysium-{time.time():.3f}"
            objects.request(kube, wait.Ref.of(facts.source), stamp)
        head = ctx.github().head(inputs["branch"], fresh=True)
        flux_wait.until_applied(
            ctx,
            kube,
            name=inputs["name"],
            namespace=inputs["namespace"],
            revision=f"{inputs['branch']}@sha1:{head}",
            stamp=stamp,
            timeout=float(inputs["timeout"]),
            root=sync_files.root_name(inputs),
        )
        if facts.https and not facts.https_users:
            https_access.remove(ctx, kube, inputs)
        return {}

    def outputs(self, facts: Facts, inputs: Values, state: Values) -> dict[str, Any]:
        """Return the revision Flux has and each Kustomization's."""
        status: Mapping[str, Any] = (facts.source or {}).get("status") or {}
        revision = str((status.get("artifact") or {}).get("revision") or "")
        return {
            "revision": revision,
            "kustomizations": [
                {"name": name, "revision": applied} for name, applied in facts.kustomizations
            ],
        }

    def unknown_outputs(self, inputs: Values) -> dict[str, Any]:
        """Nothing is known before Flux has been there."""
        return {"revision": UNKNOWN, "kustomizations": UNKNOWN}

    def delete(self, ctx: Context, inputs: Values, state: Values) -> None:
        """Stop following the repository. What was applied from it stays, and so do its commits."""
        with contextlib.suppress(errors.KubeError):  # a cluster that is gone follows nothing
            kube = ctx.kube(inputs["kubeconfig"])
            namespace = inputs["namespace"]
            for version, kind, name in (
                (objects.KUSTOMIZE, "Kustomization", sync_files.root_name(inputs)),
                (objects.SOURCE, "GitRepository", inputs["name"]),
            ):
                if kube.get(version, kind, name, namespace) is None:
                    continue
                # The finalizer would have the controller remove all that it applied.
                patch = {"metadata": {"finalizers": None}}
                kube.patch(version, kind, name, namespace, patch)
                kube.delete(version, kind, name, namespace)

    def _files(self, ctx: Context, inputs: Values, commit: str) -> commits.Files:
        """Return the files that a commit on top of `commit` has to write."""
        if inputs["commit"] == "none":
            return {}
        repo = ctx.github()
        paths = repository.Paths.of(inputs["path"], inputs["namespace"])
        files = self._sync_files(ctx, inputs, paths, commit)
        sync_files.refuse_other(files, inputs, paths)
        changed = sync_files.edited(files, inputs, paths.sync)
        wanted: dict[str, str] = dict(changed)
        entries = repo.snapshot(commit).entries
        # Else the user's own kustomization lists the file.
        if paths.sync in {*files, *changed} and not _kustomization_of(paths, entries):
            wanted[paths.kustomization] = self._kustomization(ctx, paths, commit)
        return dict(repo.differing(commit, wanted, (paths.kustomization,)))

    def _kustomization(self, ctx: Context, paths: repository.Paths, commit: str) -> str:
        """Return the kustomization that Flux' folder lacks."""
        repo = ctx.github()
        own = (paths.components, paths.sync)
        others = (
            path
            for path in repo.snapshot(commit).entries
            if path.startswith(f"{paths.folder}/") and path not in own
        )
        # What is left out of the sources decides too: the whole repository is read, where need be.
        files = repo.read_tree(commit) if any(others) else {}
        return sync_files.kustomization(files, paths)

    def _sync_files(
        self, ctx: Context, inputs: Values, paths: repository.Paths, commit: str
    ) -> dict[str, str]:
        """Return the files below the cluster's folder that may hold the sync objects.

        `paths.sync` is the first, then come those of Flux' folder.
        """
        repo = ctx.github()
        rendered = sync_files.render(inputs)
        if repo.snapshot(commit).holds(paths.sync, rendered):
            return {paths.sync: rendered}  # known by its id: a run without changes reads no file
        text = repo.read_file(paths.sync, commit)
        files = {} if text is None else {paths.sync: text}
        if len(sync_files.find(files, inputs)) == len(sync_files.sync_objects(inputs)):
            return files
        own = (paths.sync, paths.components, paths.kustomization)
        for path in repo.snapshot(commit).entries:
            if path.startswith(f"{paths.folder}/") and path.endswith((".yaml", ".yml")):
                content = None if path in own else repo.read_file(path, commit)
                if content is not None and "toolkit.fluxcd.io/" in content:
                    files[path] = content
        if len(sync_files.find(files, inputs)) < len(sync_files.sync_objects(inputs)):
            # Sync objects of one's own may be in any file that the root applies. Beside them,
            # those of a new file would be there twice, and nothing would be applied any more.
            below = repo.read_tree(commit, paths.cluster)
            files |= sync_files.holding(below, inputs, paths)
        return files

    def _edits(self, ctx: Context, facts: Facts, files: commits.Files) -> str:
        """Return the commit whose files are edited, empty where all of `files` are new."""
        snapshot = ctx.github().snapshot(facts.head)
        return facts.head if any(path in snapshot.entries for path in files) else ""

    def _apply_objects(
        self, ctx: Context, inputs: Values, facts: Facts, paths: repository.Paths
    ) -> None:
        """Bring the two objects into the cluster.

        One that is there gets the fields that differ, and keeps every other one, whoever owns
        it. One that is missing is applied as the repository has it.
        """
        kube = ctx.kube(inputs["kubeconfig"])
        due = [kind for kind, _ in self._objects(facts, inputs)]
        missing = [k for k in due if (facts.source if k == "GitRepository" else facts.root) is None]
        whole = self._whole(ctx, inputs, paths) if missing else {}
        for kind, obj in {str(one["kind"]): one for one in sync_files.sync_objects(inputs)}.items():
            if kind not in due:
                continue
            ctx.progress(f"applying {kind} {_ref(inputs, kind)}")
            if kind in missing:
                kube.apply(whole.get(kind, obj), field_manager=install.FIELD_MANAGER, force=True)
                continue
            names = _differing(facts, inputs)
            kube.patch(
                obj["apiVersion"],
                kind,
                obj["metadata"]["name"],
                inputs["namespace"],
                sync_files.patch(inputs, kind, names),
                field_manager=install.FIELD_MANAGER,
            )

    def _whole(
        self, ctx: Context, inputs: Values, paths: repository.Paths
    ) -> dict[str, dict[str, Any]]:
        """Return the two objects as the repository has them, with the user's patches, by kind."""
        if inputs["commit"] == "none":
            return {}
        repo = ctx.github()
        head = repo.start(inputs["branch"], fresh=True)
        own = _kustomization_of(paths, repo.snapshot(head).entries)
        if not own or repo.read_file(own, head) == sync_files.KUSTOMIZATION:
            files = self._sync_files(ctx, inputs, paths, head)
            found = {kind: place.obj for kind, place in sync_files.find(files, inputs).items()}
        else:
            built = install.build(ctx, paths, head, repo.read_tree(head, paths.folder))
            text = "---\n".join(documents.dump(obj) for obj in built)
            places = sync_files.find({paths.folder: text}, inputs)
            found = {kind: place.obj for kind, place in places.items()}
        return {
            kind: {**obj, "metadata": {**obj["metadata"], "namespace": inputs["namespace"]}}
            for kind, obj in found.items()
        }

    def _objects(self, facts: Facts, inputs: Values) -> list[tuple[str, str]]:
        """Return which of the two objects must be applied, and why."""
        if not facts.cluster_known:
            return [("GitRepository", "it is missing"), ("Kustomization", "it is missing")]
        cluster = install.Cluster(
            path=None
            if facts.root is None
            else gitpaths.normal(str(facts.root["spec"].get("path") or ""))
        )
        install.refuse_other_path(cluster, inputs["path"], _ref(inputs, "Kustomization"))
        if inputs["commit"] != "none":
            where = f"GitRepository {_ref(inputs, 'GitRepository')}"
            sync_files.refuse_other_reference(facts.source, inputs["branch"], where)
        differs = _differing(facts, inputs)
        found: list[tuple[str, str]] = []
        for kind, there, fields in (
            ("GitRepository", facts.source, {"url", "branch", "secret", "provider"}),
            ("Kustomization", facts.root, {"path", "source"}),
        ):
            wrong = [name for name in differs if name in fields]
            if there is None:
                found.append((kind, "it is missing"))
            elif wrong and inputs["commit"] != "none":
                found.append((kind, f"its {' and '.join(wrong)} differs"))
        return found

    def _warn_unlisted(self, ctx: Context, inputs: Values, paths: repository.Paths) -> None:
        """Say when the cluster's own kustomization leaves Flux' folder out."""
        if inputs["commit"] == "none":
            return
        repo = ctx.github()
        name = f"{paths.cluster}/kustomization.yaml".lstrip("/")
        text = repo.read_file(name, repo.start(inputs["branch"]))
        folder = inputs["namespace"]
        if text is not None and folder not in text:
            ctx.warn(f"{name} does not list {folder}, so Flux does not update itself from Git")


def unhealthy(view: flux_wait.View, root: str, namespace: str) -> tuple[tuple[str, str], ...]:
    """Return what is wrong, not what is under way: object and reason.

    `root` is the root Kustomization's name.

    A Kustomization that is applying a newer commit, or waits for one that is,
    was fine a moment ago and most likely is again.
    """
    found: list[tuple[str, str]] = []
    sources = [view.source] if view.source is not None else []
    for obj in [*sources, *flux_wait.in_order(view.kustomizations)]:
        if flux_wait.suspended_child(obj, root, namespace):
            continue
        status = obj.get("status") or {}
        reason = flux_wait.failure(obj)
        if not reason and not (status.get("artifact") or status.get("lastAppliedRevision")):
            reason = wait.readiness(obj).reason or "it has not been applied yet"
        if reason:
            found.append((f"{obj['kind']} {_name(obj, namespace)}", reason))
    for obj in view.deployments:
        state = wait.readiness(obj)
        if not state.ready:
            found.append((f"Deployment {_name(obj, namespace)}", state.reason))
    return tuple(found)


def _name(obj: Mapping[str, Any], home: str) -> str:
    """Return an object's name, with its namespace where that is not Flux', `home`."""
    metadata = obj["metadata"]
    namespace = metadata.get("namespace") or ""
    return metadata["name"] if namespace == home else f"{namespace}/{metadata['name']}"


def _ref(inputs: Values, kind: str) -> str:
    """Return namespace and name of the sync object of `kind`."""
    name = sync_files.root_name(inputs) if kind == "Kustomization" else inputs["name"]
    return f"{inputs['namespace']}/{name}"


def _differing(facts: Facts, inputs: Values) -> tuple[str, ...]:
    want = sync_files.essence(*sync_files.sync_objects(inputs))
    return sync_files.differing_fields(sync_files.essence(facts.source, facts.root), want)


def _kustomization_of(paths: repository.Paths, entries: Collection[str]) -> str:
    return repository.kustomization_of(paths.folder, entries)

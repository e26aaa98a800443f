"""``elysium:flux:Components``: Flux' controllers, in Git and in the cluster.

What is in Git is used as it is, whatever version is configured: updating it is
a commit's business. Otherwise the manifests come from a file or from the
pinned release and are committed. The cluster is only touched while Flux does
not look after itself.
"""

from __future__ import annotations

import contextlib
import hashlib
from dataclasses import dataclass
from typing import Any

from provision import config, errors, gitpaths
from provision.change import Change
from provision.github import commits, trees
from provision.provider.context import Context
from provision.provider.flux import detection, install, manifests, operator, repository
from provision.provider.resource import UNKNOWN, Observed, Resource, Values


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What Git and the cluster hold.

    `blob` is the components file's id in Git (at the branch's head or, when
    `pull` is open, there), empty where there is none; `header` is its. `new_branch` is what the
    missing branch is created from, empty for a repository without a commit.
    """

    head: str
    blob: str
    header: manifests.Header | None
    pull: commits.PullRequest | None
    cluster: install.Cluster
    new_branch: str | None = None


class Components(Resource[Facts]):
    """Flux' controllers."""

    type = "elysium:flux:Components"
    plans_without = frozenset({"kubeconfig"})
    secret_inputs = frozenset({"kubeconfig"})

    def check(self, inputs: Values) -> tuple[dict[str, Any], list[errors.Problem]]:
        """Fill in defaults; source- and kustomize-controller are needed."""
        defaults: dict[str, Any] = {
            "namespace": "flux-system",
            "branch": "main",
            "components": [*config.DEFAULT_COMPONENTS],
            "commit": "push",
            "manifests": "",
            "message": "",
        }
        filled = defaults | dict(inputs)
        problems: list[errors.Problem] = []
        if isinstance(filled["components"], list):
            lacking = [name for name in detection.NEEDED if name not in filled["components"]]
            if lacking:
                problems.append(
                    errors.Problem(
                        message=f"Flux does not work without {' and '.join(lacking)}",
                        key="components",
                    )
                )
        return filled, problems

    def identity(self, inputs: Values) -> str:
        """Return the folder in the repository."""
        return repository.Paths.of(inputs["path"], inputs["namespace"]).folder

    def observe(self, ctx: Context, inputs: Values, state: Values) -> Observed[Facts]:
        """Look at the branch's head and at Flux in the cluster."""
        repo = ctx.github()
        paths = repository.Paths.of(inputs["path"], inputs["namespace"])
        head, pull = repository.standing(
            ctx, inputs, lambda at: not repo.snapshot(at).sha(paths.components)
        )
        at = pull.head if pull is not None else head
        blob = repo.snapshot(at).sha(paths.components)
        cluster = install.NO_CLUSTER
        if inputs["kubeconfig"] is not UNKNOWN:
            kube = ctx.kube(inputs["kubeconfig"])
            root = inputs.get("rootName") or inputs["namespace"]
            cluster = install.look(kube, inputs["namespace"], root)
            install.refuse_other_path(cluster, inputs["path"], f"{inputs['namespace']}/{root}")
            if inputs["commit"] != "none":
                operator.refuse(operator.in_cluster(kube), inputs["path"])
            if cluster.present and (cluster.path is None or not cluster.deployments):
                detection.refuse(kube, _wanted(inputs, root, repo.slug))
            if inputs["commit"] != "none":
                install.refuse_other_owner(cluster, in_git=bool(blob))
        if not blob and inputs["commit"] != "none":
            files = repo.read_tree(head)
            for text in (
                *operator.refuse(operator.in_repository(files), inputs["path"]),
                *detection.refuse_twice_in_git(files, paths.cluster, paths.components),
            ):
                ctx.warn(text)
        header = None
        if blob and blob == state.get("blob"):
            header = manifests.Header(
                version=str(state.get("version")), components=tuple(state.get("components") or ())
            )
        elif blob:
            header = manifests.read_header(repo.read_file(paths.components, at) or "")
        facts = Facts(
            head=head,
            blob=blob,
            header=header,
            pull=pull,
            cluster=cluster,
            new_branch=repo.new_branch(inputs["branch"]) if inputs["commit"] != "none" else None,
        )
        return Observed(exists=bool(blob) or bool(cluster.deployments), facts=facts)

    def plan(self, facts: Facts, inputs: Values, state: Values) -> tuple[Change, ...]:
        """List the commit and the installation to come."""
        changes: list[Change] = []
        paths = repository.Paths.of(inputs["path"], inputs["namespace"])
        names = self._names(facts, inputs)
        version = facts.header.version if facts.header else inputs["version"]
        if facts.new_branch is not None:
            changes.append(
                Change(
                    property="git.branch",
                    action="create",
                    summary=f"create the branch {inputs['branch']} from {facts.new_branch}"
                    if facts.new_branch
                    else f"make the first commit of the repository, on {inputs['branch']}",
                )
            )
        if not facts.blob and inputs["commit"] != "none":
            how = "propose" if inputs["commit"] == "pull-request" else "commit"
            changes.append(
                Change(
                    property=f"git.{paths.components}",
                    action="commit",
                    summary=f"{how} {paths.components} to {inputs['branch']}:"
                    f" Flux {version} with {', '.join(names)}",
                )
            )
        why = self._why_install(facts, inputs, state)
        if why:
            changes.append(
                Change(
                    property="cluster",
                    action="update" if facts.cluster.deployments else "create",
                    summary=f"install Flux {version} ({', '.join(names)}): {why}",
                )
            )
        return tuple(changes)

    def apply(
        self,
        ctx: Context,
        inputs: Values,
        facts: Facts,
        changes: tuple[Change, ...],
        state: Values,
    ) -> dict[str, Any]:
        """Commit the manifests where they are missing, and install what is not there."""
        paths = repository.Paths.of(inputs["path"], inputs["namespace"])
        text, source = self._manifests(ctx, inputs, facts)
        if facts.new_branch and facts.blob and inputs["commit"] != "none":
            ctx.github().commit(inputs["branch"], "", {})
        if not facts.blob and inputs["commit"] != "none":
            entries = ctx.github().snapshot(facts.head).entries
            if not repository.kustomization_of(paths.folder, entries):  # no patches
                found = manifests.objects(text, source)
                _refuse_lacking(paths, found, inputs["namespace"])
            header = manifests.read_header(text)
            message = inputs["message"] or f"Add Flux {header.version} component manifests"
            repository.publish(
                ctx, inputs, message, {paths.components: text}, if_absent=(paths.components,)
            )
        if self._why_install(facts, inputs, state):
            in_git = "" if inputs["commit"] == "none" else ctx.github().start(inputs["branch"])
            found = install.desired_objects(ctx, paths, in_git, text)
            _refuse_lacking(paths, found, inputs["namespace"])
            install.install(ctx, ctx.kube(inputs["kubeconfig"]), found)
        header = manifests.read_header(text)
        in_git_now = facts.blob or (trees.blob_sha(text) if inputs["commit"] != "none" else "")
        return {
            "applied": _mark(in_git_now, inputs),
            "source": "repository" if facts.blob else source,
            "version": header.version,
            "components": list(header.components),
        }

    def outputs(self, facts: Facts, inputs: Values, state: Values) -> dict[str, Any]:
        """Return version and components in force, where they came from, and since which commit."""
        header = facts.header
        remembered = list(state.get("components") or inputs["components"])
        return {
            "version": header.version if header else state.get("version") or inputs["version"],
            "components": list(header.components) if header else remembered,
            "source": state.get("source") or ("repository" if facts.blob else "release"),
            "revision": state["revision"]
            if facts.blob == state.get("blob") and state.get("revision")
            else facts.head,
            "blob": facts.blob,
            "applied": state.get("applied") or "",
        }

    def unknown_outputs(self, inputs: Values) -> dict[str, Any]:
        """Where the manifests come from is known when they are there."""
        return {"source": UNKNOWN, "revision": UNKNOWN}

    def delete(self, ctx: Context, inputs: Values, state: Values) -> None:
        """Remove Flux' controllers. What Flux applied, its CRDs and the commits stay."""
        namespace = inputs["namespace"]
        with contextlib.suppress(errors.KubeError):  # a cluster that is gone has none
            kube = ctx.kube(inputs["kubeconfig"])
            for name in inputs.get("components") or ():
                kube.delete("apps/v1", "Deployment", name, namespace)

    def _names(self, facts: Facts, inputs: Values) -> tuple[str, ...]:
        return facts.header.components if facts.header else tuple(inputs["components"])

    def _why_install(self, facts: Facts, inputs: Values, state: Values) -> str:
        """Return why the cluster needs Flux' components from here, or nothing."""
        cluster = facts.cluster
        if not cluster.known or not cluster.deployments:
            return "it is not there"
        lacking = [name for name in self._names(facts, inputs) if name not in cluster.deployments]
        if cluster.reconciled:
            # An operator decides itself which controllers there are.
            if inputs["commit"] == "none" or not lacking:
                return ""
            return f"{', '.join(lacking)} is gone"
        if lacking:
            return f"{', '.join(lacking)} is missing"
        if state.get("applied") != _mark(facts.blob, inputs):
            return "it has not reconciled anything yet"
        return ""

    def _manifests(self, ctx: Context, inputs: Values, facts: Facts) -> tuple[str, str]:
        """Return the text of the components file and where it is from."""
        paths = repository.Paths.of(inputs["path"], inputs["namespace"])
        if facts.blob:
            at = facts.pull.head if facts.pull is not None else facts.head
            return ctx.github().read_file(paths.components, at) or "", "repository"
        if inputs["manifests"]:
            text = manifests.from_file(inputs["manifests"])
            found = manifests.objects(text, inputs["manifests"])
            return (
                manifests.with_header(text, inputs["version"], manifests.deployments(found)),
                "file",
            )
        text = manifests.from_release(
            ctx, inputs["version"], inputs["components"], inputs["namespace"]
        )
        return manifests.with_header(text, inputs["version"], inputs["components"]), "release"


def _refuse_lacking(paths: repository.Paths, found: list[dict[str, Any]], namespace: str) -> None:
    here = [obj for obj in found if obj["metadata"].get("namespace") == namespace]
    lacking = [name for name in detection.NEEDED if name not in manifests.deployments(here)]
    if lacking:
        raise errors.GitOpsError(
            "Flux' manifests lack what Flux needs",
            [
                errors.Problem(
                    message=f"there is no Deployment {name} in the namespace {namespace}",
                    where=paths.components,
                    key="flux.namespace" if name in manifests.deployments(found) else "",
                )
                for name in lacking
            ],
            hint="make them with 'flux install --export', all components and"
            f" --namespace={namespace}",
        )


def _wanted(inputs: Values, root: str, slug: str) -> detection.Wanted:
    return detection.Wanted(
        namespace=inputs["namespace"],
        source=inputs.get("sourceName") or inputs["namespace"],
        root=root,
        repository=slug.lower(),
        path=gitpaths.normal(inputs["path"]),
    )


def _mark(blob: str, inputs: Values) -> str:
    """Return what names the manifests that were applied: Git's file, or what made them."""
    if blob:
        return f"git:{blob}"
    made = f"{inputs['version']}|{','.join(inputs['components'])}|{inputs['manifests']}"
    return "made:" + hashlib.sha256(made.encode()).hexdigest()[:16]

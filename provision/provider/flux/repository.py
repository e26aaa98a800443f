"""Flux' own files in the repository: where they are, and how a change gets there.

A change is pushed, or proposed in one pull request that all of a cluster's
Flux files share, so that a person merges once.
"""

from __future__ import annotations

import posixpath
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass

from provision import config, errors, gitpaths
from provision.github import commits
from provision.gitops import tree
from provision.provider.context import Context
from provision.provider.resource import Values

_MERGE_PAUSE = 5.0


@dataclass(frozen=True, kw_only=True)
class Paths:
    """Flux' files below a cluster's folder. All relative to the repository."""

    cluster: str
    folder: str
    components: str
    sync: str
    kustomization: str

    @classmethod
    def of(cls, path: str, namespace: str = config.FLUX_SYSTEM) -> Paths:
        """Return the paths for the cluster's folder `path`, with or without ``./``.

        As `flux bootstrap` does, Flux' folder has the name of its `namespace`.
        """
        cluster = gitpaths.normal(path)
        folder = f"{cluster}/{namespace}" if cluster else namespace
        return cls(
            cluster=cluster,
            folder=folder,
            components=f"{folder}/gotk-components.yaml",
            sync=f"{folder}/gotk-sync.yaml",
            kustomization=f"{folder}/kustomization.yaml",
        )


def kustomization_of(folder: str, entries: Collection[str]) -> str:
    """Return the path of the kustomization in `folder`, under any name; empty where there is none.

    kustomize refuses a folder with two of them.
    """
    names = (posixpath.join(folder, name) for name in tree.KUSTOMIZATIONS)
    return next((path for path in names if path in entries), "")


def pull_request_branch(path: str) -> str:
    """Return the branch that proposes a cluster's Flux files."""
    return "elysium/flux-" + (Paths.of(path).cluster.replace("/", "-") or "root")


def pending(ctx: Context, inputs: Values) -> commits.PullRequest | None:
    """Return the open pull request for the cluster's Flux files, where one may be."""
    if inputs["commit"] != "pull-request":
        return None
    found = ctx.github().pull_request(inputs["branch"], pull_request_branch(inputs["path"]))
    return found if found is not None and found.state == "open" else None


def standing(
    ctx: Context, inputs: Values, lacks: Callable[[str], bool]
) -> tuple[str, commits.PullRequest | None]:
    """Return the branch's head and, where that `lacks` something, the open pull request.

    A person may merge it at any moment of a run: the head is then asked for anew.
    """
    repo = ctx.github()
    head = repo.start(inputs["branch"])
    if inputs["commit"] != "pull-request" or not lacks(head):
        return head, None
    pull = pending(ctx, inputs)
    # Asked for after the pull request: one that is open now may be merged before that.
    return (head, pull) if pull is not None else (repo.start(inputs["branch"], fresh=True), None)


def publish(
    ctx: Context,
    inputs: Values,
    message: str,
    files: commits.Files,
    *,
    if_absent: Collection[str] = (),
    based_on: str = "",
) -> commits.PullRequest | None:
    """Commit `files`, or have them in the pull request, which is then returned.

    `based_on` is the commit that the files were made from, where they hold something of it:
    a file that another commit changed since is not overwritten.
    """
    repo = ctx.github()
    branch = inputs["branch"]
    if inputs["commit"] == "push":
        ctx.progress(f"committing to {branch}: {message}")
        repo.commit(branch, message, files, if_absent=if_absent, based_on=based_on)
        return None
    before = pending(ctx, inputs)
    pull = repo.open_pull_request(
        branch,
        message,
        files,
        branch=pull_request_branch(inputs["path"]),
        body=f"Flux for the cluster at `{inputs['path']}`. `elysium up` goes on when it is merged.",
        if_absent=if_absent,
    )
    if pull is not None and before is not None and pull.number == before.number:
        ctx.progress(f"adding to pull request #{pull.number}: {message}")
    elif pull is not None:
        ctx.warn(f"pull request #{pull.number} waits to be merged: {pull.url}")
    return pull


def wait_merged(
    ctx: Context,
    inputs: Values,
    *,
    timeout: float,
    sleep: Callable[[float], None] | None = None,
) -> None:
    """Wait until the pull request of the cluster's Flux files is merged.

    Raises `errors.WaitError` at the timeout or when it is closed.
    """
    repo = ctx.github()
    branch = pull_request_branch(inputs["path"])
    sleep = sleep or ctx.sleep
    deadline = time.monotonic() + timeout
    while True:
        found = repo.pull_request(inputs["branch"], branch)
        if found is None or found.state == "merged":
            repo.refresh()
            return
        if found.state == "closed":
            raise errors.WaitError(
                f"pull request #{found.number} was closed and not merged",
                what=found.url,
                hint="reopen and merge it, then run the same command again",
            )
        left = deadline - time.monotonic()
        if left <= 0:
            raise errors.WaitError(
                f"pull request #{found.number} is not merged yet",
                what=found.url,
                last_seen=found.url,
                hint="merge it, then run the same command again: it goes on from there",
            )
        ctx.progress(f"waiting for pull request #{found.number} to be merged: {found.url}")
        sleep(min(_MERGE_PAUSE, max(left, 0.1)))

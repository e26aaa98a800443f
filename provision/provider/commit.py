"""``elysium:github:Commit``: files on a branch, pushed or proposed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from provision import errors
from provision.change import Change
from provision.github import commits
from provision.provider.context import Context
from provision.provider.resource import UNKNOWN, Observed, Resource, Values


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What the branch lacks: path and unified diff; and the open pull request that has it."""

    head: str
    files: tuple[tuple[str, str], ...]
    pull: commits.PullRequest | None


class Commit(Resource[Facts]):
    """Some files with some content, on the head of a branch."""

    type = "elysium:github:Commit"

    def check(self, inputs: Values) -> tuple[dict[str, Any], list[errors.Problem]]:
        """Fill in defaults; a path may be there once."""
        filled: dict[str, Any] = {"branch": "main", "commit": "push", "message": ""} | dict(inputs)
        problems: list[errors.Problem] = []
        files = filled.get("files")
        paths = [f["path"] for f in files if isinstance(f, Mapping)] if files else []
        for path in sorted({p for p in paths if paths.count(p) > 1}):
            problems.append(errors.Problem(message=f"{path} is there twice", key="files"))
        return filled, problems

    def identity(self, inputs: Values) -> str:
        """Return the branch and the paths."""
        return f"{inputs['branch']}:{','.join(file['path'] for file in inputs['files'])}"

    def observe(self, ctx: Context, inputs: Values, state: Values) -> Observed[Facts]:
        """Compare with the branch's head."""
        repo = ctx.github()
        head = repo.head(inputs["branch"])
        files, if_absent = _wanted(inputs)
        lacking = repo.differing(head, files, if_absent)
        pull = None
        if lacking and inputs["commit"] == "pull-request":
            found = repo.pull_request(inputs["branch"], commits.branch_for(files))
            pull = found if found is not None and found.state == "open" else None
        facts = Facts(
            head=head,
            files=tuple((path, repo.diff(head, path, text)) for path, text in lacking.items()),
            pull=pull,
        )
        there = repo.snapshot(head).entries
        return Observed(exists=any(path in there for path in files), facts=facts)

    def plan(self, facts: Facts, inputs: Values, state: Values) -> tuple[Change, ...]:
        """List a commit for each file that differs; none while a pull request has them."""
        if facts.pull is not None:
            return ()
        how = "propose" if inputs["commit"] == "pull-request" else "commit"
        return tuple(
            Change(
                property=f"files.{path}",
                action="commit",
                summary=f"{how} {path} to {inputs['branch']}",
                diff=diff,
            )
            for path, diff in facts.files
        )

    def apply(
        self,
        ctx: Context,
        inputs: Values,
        facts: Facts,
        changes: tuple[Change, ...],
        state: Values,
    ) -> dict[str, Any]:
        """Make one commit, or open one pull request."""
        repo = ctx.github()
        files, if_absent = _wanted(inputs)
        message = inputs["message"] or "Update " + ", ".join(sorted(files))
        if inputs["commit"] == "push":
            ctx.progress(f"committing to {inputs['branch']}: {message}")
            made = repo.commit(inputs["branch"], message, files, if_absent=if_absent)
            return {"revision": made}
        pull = repo.open_pull_request(inputs["branch"], message, files, if_absent=if_absent)
        if pull is not None:
            ctx.warn(f"pull request #{pull.number} waits to be merged: {pull.url}")
        return {}

    def outputs(self, facts: Facts, inputs: Values, state: Values) -> dict[str, Any]:
        """Return the commit since which the branch has the files, and the pull request that waits.

        Others' commits do not change it.
        """
        revision = state.get("revision") or facts.head
        return {"revision": revision, "pullRequest": facts.pull.url if facts.pull else ""}

    def unknown_outputs(self, inputs: Values) -> dict[str, Any]:
        """The commit is made later."""
        return {"revision": UNKNOWN, "pullRequest": UNKNOWN}

    def delete(self, ctx: Context, inputs: Values, state: Values) -> None:
        """Leave the repository as it is: its history belongs to its people."""


def _wanted(inputs: Values) -> tuple[dict[str, str | None], tuple[str, ...]]:
    files: dict[str, str | None] = {file["path"]: file["content"] for file in inputs["files"]}
    return files, tuple(file["path"] for file in inputs["files"] if file.get("ifAbsent"))

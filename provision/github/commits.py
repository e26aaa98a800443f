"""Commits and pull requests through the Git Data API: no clone, no git binary.

A commit is a tree (with the contents inline, on top of the head's tree), a
commit object and a fast-forward of the branch. A race that is lost is tried
again on the new head. Source: GitHub REST documentation, "REST API endpoints
for Git trees", "… Git commits", "… Git references", "… pulls".
"""

from __future__ import annotations

import base64
import difflib
import hashlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from provision import errors
from provision.fileio import contents
from provision.github import answers, api, failures, trees

Files = Mapping[str, str | None]
"""Path to content; None removes the file."""

_ROUNDS = 6


@dataclass(frozen=True, kw_only=True)
class PullRequest:
    """One pull request. `state` is ``open``, ``merged`` or ``closed``."""

    number: int
    url: str
    state: str
    branch: str
    head: str


def differing(snapshot: trees.Snapshot, files: Files, if_absent: Collection[str] = ()) -> Files:
    """Return those of `files` that a commit on top of `snapshot` would change.

    Paths of `if_absent` are left as they are where they exist.
    """
    changed: dict[str, str | None] = {}
    for path, content in files.items():
        there = path in snapshot.entries
        if content is None:
            if there:
                changed[path] = None
        elif not (there and path in if_absent) and not snapshot.holds(path, content):
            changed[path] = content
    return changed


def unified_diff(path: str, old: str | None, new: str | None) -> str:
    """Return the unified diff of one file, as git would head it."""
    return "".join(
        difflib.unified_diff(
            (old or "").splitlines(keepends=True),
            (new or "").splitlines(keepends=True),
            fromfile="/dev/null" if old is None else f"a/{path}",
            tofile="/dev/null" if new is None else f"b/{path}",
        )
    )


def branch_for(files: Files) -> str:
    """Return a branch name that the same contents always give."""
    digest = hashlib.sha256()
    for path in sorted(files):
        content = files[path]
        text = "-" if content is None else "+" + hashlib.sha256(content.encode()).hexdigest()
        digest.update(f"{path}\0{text}\0".encode())
    return f"elysium/{digest.hexdigest()[:12]}"


class Branches:
    """Branch heads and what is written on them. Heads are cached until a write."""

    def __init__(self, link: api.Api, reading: trees.Trees) -> None:
        self._link = link
        self._trees = reading
        self._heads: dict[str, str] = {}
        self._new: dict[str, str] = {}

    def head(self, branch: str, *, fresh: bool = False) -> str:
        """Return the commit at the head of `branch`; asked once, or anew when `fresh`.

        Of a branch that is missing, this is the head of the default branch, from which `commit`
        creates it; empty where the repository has no commit. Raises `failures.NotFoundError`
        when there is no default branch either.
        """
        if fresh or branch not in self._heads:
            self._new.pop(branch, None)
            try:
                self._heads[branch] = self._read_head(branch)
            except failures.EmptyRepositoryError:
                self._heads[branch] = self._new[branch] = ""
            except failures.NotFoundError as error:
                default = self._default(branch)
                if default:
                    self._heads[branch] = self._read_head(default)
                    self._new[branch] = default
                    return self._heads[branch]
                raise self._missing(branch, error.detail) from error
        return self._heads[branch]

    def require(self, branch: str) -> None:
        """Raise what `failures` says of a `branch` that is not there, or of no commit at all."""
        start = self.new(branch)
        if start == "":
            raise failures.EmptyRepositoryError(
                f"{self._link.cfg.slug} has no commit",
                operation=f"read the head of {branch}",
                status=409,
                hint="push a first commit to it (a README is enough)",
            )
        if start is not None:
            raise self._missing(branch)

    def _missing(self, branch: str, detail: str = "") -> failures.NotFoundError:
        return failures.NotFoundError(
            f"{self._link.cfg.slug} has no branch {branch}, or the token may not see it",
            operation=f"read the head of {branch}",
            status=404,
            detail=detail,
            hint="check github.branch, github.owner and github.repository, and the token",
        )

    def new(self, branch: str) -> str | None:
        """Return the branch that a missing `branch` is created from, None for one that is there.

        Empty where the repository has no commit.
        """
        self.head(branch)
        return self._new.get(branch)

    def forget(self) -> None:
        """Ask for every head again."""
        self._heads.clear()
        self._new.clear()

    def _default(self, branch: str) -> str:
        """Return the default branch, empty where that is `branch` itself, or cannot be seen."""
        try:
            answer = self._link.request(
                "read the repository", "GET", self._link.repository_path()
            ).fields
        except failures.NotFoundError:
            return ""
        name = answer.text("default_branch")
        return "" if name == branch else name

    def commit(
        self,
        branch: str,
        message: str,
        files: Files,
        if_absent: Collection[str] = (),
        based_on: str = "",
    ) -> str:
        """Write `files` on `branch`; return its head afterwards.

        Nothing is written where nothing differs. When someone else pushes at
        the same time, the commit is made again on top of theirs; but where
        `files` were made from the commit `based_on` and theirs changed one of
        them, `failures.ConflictError` is raised.
        """
        for _ in range(_ROUNDS):
            head = self.head(branch)
            if based_on:
                self._require_same(based_on, head, files)
            changed = differing(self._trees.snapshot(head), files, if_absent)
            start = self._new.get(branch)
            if not changed and not start:
                return head
            try:
                if start == "":
                    # The rest is a commit on top of this one.
                    self._first_commit(branch, message, changed)
                    self.head(branch, fresh=True)
                    continue
                made = self._commit_object(head, message, changed) if changed else head
                if start:
                    self._link.say(f"creating the branch {branch} from {start}")
                    self._create(branch, made)
                    self._new.pop(branch, None)
                else:
                    self._fast_forward(branch, made)
            except failures.ConflictError:
                self._link.say(f"{branch} moved on meanwhile; committing on top of its new head")
                self.head(branch, fresh=True)
                continue
            self._heads[branch] = made
            for content in changed.values():
                if content is not None:
                    self._trees.remember(content)
            return made
        raise failures.ConflictError(
            f"{branch} of {self._link.cfg.slug} moves faster than a commit can be added to it",
            operation="commit",
            status=409,
            hint="run the same command again when fewer pushes are under way",
        )

    def _require_same(self, before: str, now: str, files: Files) -> None:
        old, new = self._trees.snapshot(before), self._trees.snapshot(now)
        moved = sorted(path for path in files if old.sha(path) != new.sha(path))
        if moved:
            raise failures.ConflictError(
                f"{', '.join(moved)} changed in {self._link.cfg.slug} in the meantime",
                operation="commit",
                status=409,
                hint="run the same command again",
            )

    def propose(
        self,
        base: str,
        branch: str,
        message: str,
        body: str,
        files: Files,
        if_absent: Collection[str] = (),
    ) -> PullRequest | None:
        """Have a pull request from `branch` into `base` that holds `files`; return it.

        An open one of that branch is completed with what it lacks. None where
        `base` holds everything already. Raises `errors.CodeHostError` when
        somebody closed one with the same contents.
        """
        found = self.find_pull_request(base, branch)
        if found and found.state == "open":
            head = self.commit(branch, message, files, if_absent)
            return PullRequest(
                number=found.number, url=found.url, state="open", branch=branch, head=head
            )
        start = self.head(base, fresh=True)
        if self._new.get(base) is not None:
            start = self._begin(base)
        changed = differing(self._trees.snapshot(start), files, if_absent)
        if not changed:
            return None
        if found and found.state == "closed" and self._declined(found, changed):
            raise errors.CodeHostError(
                f"pull request #{found.number} of {self._link.cfg.slug} was closed, not merged",
                operation="open a pull request",
                detail=found.url,
                hint="reopen and merge it, or set flux.commit to push or none",
            )
        # A branch without an open pull request is a rest of an earlier run: it starts anew.
        made = self._commit_object(start, message, changed)
        self._set_branch(branch, made)
        return self._open(base, branch, message, body)

    def find_pull_request(self, base: str, branch: str) -> PullRequest | None:
        """Return the newest pull request from `branch` into `base`, or None."""
        owner = self._link.cfg.owner
        answer = self._link.request(
            "look for a pull request",
            "GET",
            self._link.repository_path("pulls"),
            parameters={
                "state": "all",
                "base": base,
                "head": f"{owner}:{branch}",
                "sort": "created",
                "direction": "desc",
                "per_page": "10",
            },
        )
        found = [_pull(item) for item in answer.items]
        opened = [pull for pull in found if pull.state == "open"]
        return (opened or found or [None])[0]

    def _declined(self, closed: PullRequest, changed: Files) -> bool:
        try:
            return not differing(self._trees.snapshot(closed.head), changed)
        except failures.NotFoundError:
            return False

    def _read_head(self, branch: str) -> str:
        path = self._link.repository_path("git/ref/heads", branch)
        answer = self._link.request(f"read the head of {branch}", "GET", path).fields
        if answer.text("ref") != f"refs/heads/{branch}":
            raise failures.NotFoundError(
                f"{self._link.cfg.slug} has no branch {branch}: GitHub answered with another one",
                operation=f"read the head of {branch}",
                status=200,
                detail=answer.text("ref"),
            )
        return answer.fields("object").text("sha")

    def _commit_object(self, parent: str, message: str, changed: Files) -> str:
        path = self._link.repository_path
        entries = self._trees.snapshot(parent).entries
        base = self._link.request("read a commit", "GET", path("git/commits", parent)).fields
        items: list[dict[str, Any]] = []
        for name, content in sorted(changed.items()):
            mode = entries[name].mode if name in entries else "100644"
            item: dict[str, Any] = {"path": name, "mode": mode, "type": "blob"}
            if content is None:
                item["sha"] = None
            else:
                item["content"] = content
            items.append(item)
        tree = self._link.request(
            "write a tree",
            "POST",
            path("git/trees"),
            body={"base_tree": base.fields("tree").text("sha"), "tree": items},
        ).fields.text("sha")
        return self._link.request(
            "write a commit",
            "POST",
            path("git/commits"),
            body={"message": message, "tree": tree, "parents": [parent]},
        ).fields.text("sha")

    def _fast_forward(self, branch: str, commit: str, *, force: bool = False) -> None:
        answer = self._link.request(
            f"commit to {branch}",
            "PATCH",
            self._link.repository_path("git/refs/heads", branch),
            body={"sha": commit, "force": force},
        )
        _require_moved(answer, branch, commit)

    def _begin(self, branch: str) -> str:
        """Create a missing `branch` from the default branch; return its head."""
        if not self._heads[branch]:
            raise failures.EmptyRepositoryError(
                f"{self._link.cfg.slug} has no commit yet, so that no pull request can be opened",
                operation="open a pull request",
                status=409,
                hint="push a first commit to it (a README is enough)",
            )
        return self.commit(branch, "", {})

    def _first_commit(self, branch: str, message: str, changed: Files) -> None:
        """Write the smallest file of `changed` as the first commit, which makes the branch.

        The Git Data API refuses a repository without a commit, the contents API takes it (GitHub
        REST documentation, "Create or update file contents").
        """
        written = {name: text for name, text in changed.items() if text is not None}
        name = min(written, key=lambda name: (len(written[name]), name))
        self._link.say(f"making the first commit, on the branch {branch}")
        self._link.request(
            "make the first commit",
            "PUT",
            self._link.repository_path("contents", name),
            body={
                "message": message,
                "content": base64.b64encode(contents.data(written[name])).decode(),
                "branch": branch,
            },
        )

    def _create(self, branch: str, commit: str) -> None:
        answer = self._link.request(
            f"create the branch {branch}",
            "POST",
            self._link.repository_path("git/refs"),
            body={"ref": f"refs/heads/{branch}", "sha": commit},
        )
        _require_moved(answer, branch, commit)

    def _set_branch(self, branch: str, commit: str) -> None:
        try:
            self._create(branch, commit)
        except failures.ConflictError:
            self._fast_forward(branch, commit, force=True)
        self._heads[branch] = commit

    def _open(self, base: str, branch: str, message: str, body: str) -> PullRequest:
        try:
            answer = self._link.request(
                "open a pull request",
                "POST",
                self._link.repository_path("pulls"),
                body={
                    "title": message.splitlines()[0],
                    "head": branch,
                    "base": base,
                    "body": body,
                },
            )
        except (failures.ConflictError, errors.CodeHostError) as error:
            # The answer to an earlier try may have been lost.
            found = self.find_pull_request(base, branch) if error.status == 422 else None
            if found is None or found.state != "open":
                raise
            return found
        return _pull(answer.fields)


def _require_moved(answer: answers.Answer, branch: str, commit: str) -> None:
    """Raise `failures.AnswerError` unless `answer` says that `branch` is at `commit` now."""
    ref = answer.fields.text("ref")
    sha = answer.fields.fields("object").text("sha")
    if (ref, sha) != (f"refs/heads/{branch}", commit):
        raise failures.malformed(
            operation=answer.source.operation,
            address=answer.source.address,
            status=answer.source.status,
            field="ref and object.sha",
            expected=f"refs/heads/{branch} at {commit}",
        )


def _pull(data: answers.Fields) -> PullRequest:
    head = data.fields("head")
    return PullRequest(
        number=data.number("number"),
        url=data.text("html_url"),
        state="merged" if data.has("merged_at") else data.text("state"),
        branch=head.text("ref"),
        head=head.text("sha"),
    )

"""One GitOps repository on GitHub: what the rest of elysium uses.

Reads are shared: a branch head, a tree and each blob are asked for once in a
process, until something is committed or `Repository.refresh` is called.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection
from typing import Self

from provision import config, errors, progress
from provision.fileio import contents
from provision.github import api, commits, deploy_keys, failures, protection, token, trees


class Repository:
    """A repository as one token sees it. Safe to use from several threads."""

    def __init__(self, link: api.Api) -> None:
        self._link = link
        self._trees = trees.Trees(link)
        self._branches = commits.Branches(link, self._trees)
        # One for each kind of fact, so that they can be asked for side by side.
        self._lock = threading.RLock()
        self._keys_lock = threading.RLock()
        self._meta_lock = threading.RLock()
        self._keys: tuple[deploy_keys.DeployKey, ...] | None = None
        self._host_keys: tuple[str, ...] | None = None

    @classmethod
    def open(
        cls,
        cfg: config.GitHub,
        credential: token.Credential,
        *,
        deadline: float = api.DEADLINE,
        progress: progress.Progress = progress.silent,
        sleep: Callable[[float], None] = time.sleep,
    ) -> Self:
        """Return the configured repository. Nothing is contacted yet.

        `deadline` bounds one operation with its retries, in seconds;
        `progress` hears of every retry. `sleep` waits before one, and may raise to end it.
        """
        return cls(api.Api(cfg, credential, deadline=deadline, progress=progress, sleep=sleep))

    def close(self) -> None:
        """Close the connections. It may be used again."""
        self._link.close()

    @property
    def cfg(self) -> config.GitHub:
        """Where it is."""
        return self._link.cfg

    @property
    def slug(self) -> str:
        """``owner/repository``."""
        return self._link.cfg.slug

    # -- deploy keys -----------------------------------------------------

    def deploy_keys(self, *, fresh: bool = False) -> tuple[deploy_keys.DeployKey, ...]:
        """Return every deploy key; asked once until one is added or removed, or `fresh`."""
        with self._keys_lock:
            if fresh or self._keys is None:
                self._keys = deploy_keys.find(self._link)
            return self._keys

    def create_deploy_key(self, *, title: str, key: str, read_only: bool) -> deploy_keys.DeployKey:
        """Register the OpenSSH public key line `key`.

        Raises `failures.KeyInUseError` when it is registered elsewhere.
        """
        with self._keys_lock:
            self._keys = None
            return deploy_keys.create(self._link, title=title, key=key, read_only=read_only)

    def delete_deploy_key(self, key_id: int) -> None:
        """Remove a deploy key by its number; one that is gone is fine."""
        with self._keys_lock:
            self._keys = None
            deploy_keys.delete(self._link, key_id)

    def host_keys(self) -> tuple[str, ...]:
        """Return the public SSH host keys of the git server, as the API's ``meta`` lists them.

        Each is ``ssh-ed25519 AAAA…``. Empty where the server does not tell
        (GitHub Enterprise Server leaves them out).
        """
        with self._meta_lock:
            if self._host_keys is None:
                try:
                    meta = self._link.request("read the SSH host keys", "GET", "/meta").fields
                    listed = meta.texts("ssh_keys")
                except failures.NotFoundError:
                    listed = []
                self._host_keys = tuple(deploy_keys.bare(key) for key in listed)
            return self._host_keys

    # -- reading ---------------------------------------------------------

    def head(self, branch: str = "", *, fresh: bool = False) -> str:
        """Return the commit at the head of `branch` (default: the configured one).

        Asked once until a commit, or `fresh`. Raises `failures.NotFoundError` for a missing branch
        and `failures.EmptyRepositoryError` for a repository without a commit.
        """
        with self._lock:
            name = branch or self.cfg.branch
            found = self._branches.head(name, fresh=fresh)
            self._branches.require(name)
            return found

    def start(self, branch: str, *, fresh: bool = False) -> str:
        """Return the commit that a commit to `branch` comes after.

        Of a missing branch, it is the head of the default branch (`new_branch`); empty in a
        repository without a commit.
        """
        with self._lock:
            return self._branches.head(branch, fresh=fresh)

    def new_branch(self, branch: str) -> str | None:
        """Return what a missing `branch` is created from: the default branch, empty for nothing.

        None where the branch is there. `commit` creates it.
        """
        with self._lock:
            return self._branches.new(branch)

    def snapshot(self, commit: str) -> trees.Snapshot:
        """Return all files at `commit`, with their blob ids, in one request."""
        return self._trees.snapshot(commit)

    def read_tree(self, commit: str, prefix: str = "") -> dict[str, str]:
        """Return path to content of every file below `prefix` at `commit`.

        What `trees.Snapshot.left_out` names is left out. A content that is not UTF-8
        is as `contents.text` returns it.
        Raises `errors.CodeHostError` when the rest is more than can be read.
        """
        snapshot = self._trees.snapshot(commit)
        below = f"{prefix.strip('/')}/" if prefix.strip("/") else ""
        wanted = [
            path
            for path, entry in snapshot.entries.items()
            if path.startswith(below) and not entry.reason
        ]
        total = sum(snapshot.entries[path].size for path in wanted)
        if total > contents.MOST:
            largest = max(wanted, key=lambda path: snapshot.entries[path].size)
            raise errors.CodeHostError(
                f"the files of {self.slug} amount to {total >> 20} MiB,"
                f" at most {contents.MOST >> 20} MiB can be read",
                operation="read the files",
                detail=f"the largest is {largest} with {snapshot.entries[largest].size} bytes",
                hint="keep what Flux does not apply in another repository",
            )
        return self._trees.texts(snapshot, wanted)

    def read_file(self, path: str, commit: str) -> str | None:
        """Return the content of one file at `commit`, or None where there is none."""
        entry = self._trees.snapshot(commit).entries.get(path)
        return None if entry is None else self._trees.text(entry.sha, path)

    # -- writing ---------------------------------------------------------

    def differing(
        self, commit: str, files: commits.Files, if_absent: Collection[str] = ()
    ) -> commits.Files:
        """Return those of `files` that committing on top of `commit` would change."""
        return commits.differing(self._trees.snapshot(commit), files, if_absent)

    def diff(self, commit: str, path: str, content: str | None) -> str:
        """Return the unified diff from the file at `commit` to `content`."""
        return commits.unified_diff(path, self.read_file(path, commit), content)

    def commit(
        self,
        branch: str,
        message: str,
        files: commits.Files,
        *,
        if_absent: Collection[str] = (),
        based_on: str = "",
    ) -> str:
        """Commit `files` to `branch` and return its head; no commit where nothing differs.

        Content None removes a file; a path of `if_absent` that exists is left
        alone, also when it came to exist while committing. `based_on` is the
        commit that `files` were made from.

        Raises:
            failures.ConflictError: one of `files` is another one than in `based_on` by now.
            failures.ProtectedBranchError: the branch takes pull requests only.
        """
        with self._lock:
            return self._branches.commit(branch, message, files, if_absent, based_on)

    def open_pull_request(
        self,
        base: str,
        message: str,
        files: commits.Files,
        *,
        branch: str = "",
        body: str = "",
        if_absent: Collection[str] = (),
    ) -> commits.PullRequest | None:
        """Have a pull request into `base` that holds `files`; None where `base` holds them.

        `branch` names its branch; by default the contents do, so that asking
        again finds the same one. Files that an open pull request of that
        branch lacks are added to it.
        """
        with self._lock:
            name = branch or commits.branch_for(files)
            return self._branches.propose(base, name, message, body, files, if_absent)

    def pull_request(self, base: str, branch: str) -> commits.PullRequest | None:
        """Return the newest pull request from `branch` into `base`, an open one first."""
        with self._lock:
            return self._branches.find_pull_request(base, branch)

    def refresh(self) -> None:
        """Ask for heads and deploy keys again at their next use."""
        with self._lock:
            self._branches.forget()
        with self._keys_lock:
            self._keys = None

    # -- rights ----------------------------------------------------------

    def permissions(self) -> protection.Permissions:
        """Return what the token may do here, as far as GitHub says."""
        return protection.permissions(self._link)

    def may_write_keys(self) -> failures.ForbiddenError | None:
        """Return the refusal that registering a deploy key would meet; changes nothing."""
        return protection.may_write_keys(self._link)

    def allows_keys(self, organization: str) -> bool:
        """Return whether the owning `organization` allows deploy keys."""
        return protection.allows_keys(self._link, organization)

    def branch_protection(self, branch: str) -> protection.Protection:
        """Return what stands in the way of a direct push to `branch`."""
        return protection.probe(self._link, branch)

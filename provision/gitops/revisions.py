"""The trees of a Git checkout: of any commit, and of what the next commit would hold.

Read with the ``git`` program, which fetches nothing here: no protocol is allowed, so that
a partial clone names what it lacks. Neither hooks nor a file system monitor run.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

from provision import errors
from provision.fileio import contents
from provision.gitops.tree import SUBMODULE, Tree

WORKING_TREE: Final = "working tree"
"""The name of what is in the files now."""
_SETTINGS: Final = ("-c", "protocol.allow=never", "-c", "core.fsmonitor=false")
_REGULAR: Final = ("100644", "100755", "100664")
_REASONS: Final = {"120000": "a symbolic link", "160000": SUBMODULE}
_OWNER: Final = "dubious ownership"
_PROMISOR: Final = "promisor remote"
_COMPLETE: Final = "a clone without a filter has all files; git fetch --refetch completes this one"


@dataclass(frozen=True, kw_only=True)
class Checkout:
    """A Git working tree at `root`."""

    root: Path

    @classmethod
    def containing(cls, folder: Path) -> Checkout:
        """Return the checkout that `folder` is in.

        Raises:
            errors.ConfigError: when it is in none, or Git is not installed or refuses it.
        """
        done = _git(folder, "rev-parse", "--show-toplevel")
        if done.returncode == 0 and done.stdout.strip():
            return cls(root=Path(os.fsdecode(done.stdout.rstrip(b"\n"))))
        words = _words(done)
        if _OWNER in words:
            raise errors.ConfigError(
                f"Git refuses {folder}: another user owns it",
                [],
                hint=f"git config --global --add safe.directory {folder.absolute()}",
            )
        raise errors.ConfigError(
            f"{folder} is in no Git checkout",
            [errors.Problem(message=words)] if words else [],
            hint="name the folder of one: --repo DIR",
        )

    def commit(self, revision: str) -> str:
        """Return the hash of the commit `revision`. Raises `errors.ConfigError` for none."""
        if "\0" not in revision:
            name = f"{revision}^{{commit}}"
            done = self._run("rev-parse", "--verify", "--quiet", "--end-of-options", name)
            if done.returncode == 0 and done.stdout.strip():
                return done.stdout.decode().strip()
        if self._run("rev-parse", "--verify", "--quiet", "HEAD").returncode != 0:
            raise errors.ConfigError(
                f"{self.root} has no commit yet", [], hint="make the first one: git commit"
            )
        hint = "git log --all lists the commits"
        if self._is_shallow():
            hint = "the clone is shallow; git fetch --unshallow brings the other commits"
        raise errors.ConfigError(f"{revision!r} is no commit of {self.root}", [], hint=hint)

    def merge_base(self, one: str, other: str) -> str:
        """Return the newest commit that both commits descend from.

        Raises:
            errors.ConfigError: when there is none here.
        """
        done = self._run("merge-base", self.commit(one), self.commit(other))
        if done.returncode == 0:
            return done.stdout.decode().strip()
        hint = "compare the commits themselves: A..B"
        if self._is_shallow():
            hint = "the clone is shallow; git fetch --unshallow brings the other commits"
        raise errors.ConfigError(f"{one} and {other} have no common commit here", [], hint=hint)

    def tree(self, commit: str, name: str = "") -> Tree:
        """Return what Flux sees of `commit`, a hash. `name` is how people call it.

        Raises:
            errors.GitOpsError: when a file of it is not here, or it is more than can be read.
        """
        entries, left_out = self._entries(commit)
        sizes = {path: entry.size for path, entry in entries.items()}
        with self._blobs() as blobs:
            return Tree.collected(
                sizes,
                lambda path: blobs.read(entries[path].sha, path),
                left_out=left_out,
                origin=name or commit,
            )

    def working_tree(self) -> Tree:
        """Return what Flux would see of a commit of all that is in the files now.

        Ignored files are not in it. Raises `errors.GitOpsError`.
        """
        done = self._checked("ls-files", "-z", "--cached", "--others", "--exclude-standard")
        paths = {os.fsdecode(path).rstrip("/") for path in done.split(b"\0") if path}
        tree = Tree.from_directory(self.root, only=paths)
        return Tree(files=tree.files, origin=WORKING_TREE, left_out=tree.left_out)

    def _entries(self, commit: str) -> tuple[dict[str, _Entry], dict[str, str]]:
        """Return the regular files of `commit`, and the reason for each entry that is none."""
        entries: dict[str, _Entry] = {}
        left_out: dict[str, str] = {}
        done = self._checked("ls-tree", "-r", "-z", "--long", "--full-tree", commit)
        for line in filter(None, done.split(b"\0")):
            head, _, name = line.partition(b"\t")
            mode, _, sha, size = head.decode().split()
            path = os.fsdecode(name)
            if mode in _REGULAR:
                entries[path] = _Entry(sha=sha, size=int(size) if size.isdigit() else 0)
            else:
                left_out[path] = _REASONS.get(mode, f"an entry of mode {mode}")
        return entries, left_out

    @contextmanager
    def _blobs(self) -> Generator[_Blobs]:
        command = ["git", *_SETTINGS, "cat-file", "--batch"]
        with subprocess.Popen(
            command,
            cwd=self.root,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        ) as process:
            if process.stdin is None or process.stdout is None:
                raise RuntimeError("git has no pipes")
            yield _Blobs(asks=process.stdin, answers=process.stdout)
            process.stdin.close()

    def _is_shallow(self) -> bool:
        return self._run("rev-parse", "--is-shallow-repository").stdout.strip() == b"true"

    def _run(self, *arguments: str) -> subprocess.CompletedProcess[bytes]:
        return _git(self.root, *arguments)

    def _checked(self, *arguments: str) -> bytes:
        done = self._run(*arguments)
        if done.returncode != 0:
            words = _words(done)
            hint = _COMPLETE if _PROMISOR in words else ""
            problem = errors.Problem(where=str(self.root), message=words)
            raise errors.GitOpsError("Git cannot read the checkout", [problem], hint=hint)
        return done.stdout


@dataclass(frozen=True, kw_only=True)
class _Entry:
    """A file of a commit."""

    sha: str
    size: int


@dataclass(frozen=True, kw_only=True)
class _Blobs:
    """A running ``git cat-file --batch``."""

    asks: IO[bytes]
    answers: IO[bytes]

    def read(self, sha: str, path: str) -> str:
        """Return the content of the blob `sha`. Raises `errors.GitOpsError` where it is absent."""
        self.asks.write(f"{sha}\n".encode())
        self.asks.flush()
        head = self.answers.readline().split()
        if len(head) != 3:
            problem = errors.Problem(where=path, message="Git lacks its content")
            raise errors.GitOpsError("Git cannot read the checkout", [problem], hint=_COMPLETE)
        size = int(head[2])
        data = self.answers.read(size + 1)[:size]
        return contents.text(data)


def _git(folder: Path, *arguments: str) -> subprocess.CompletedProcess[bytes]:
    command = ["git", *_SETTINGS, *arguments]
    english = {**os.environ, "LC_ALL": "C"}
    try:
        return subprocess.run(command, cwd=folder, env=english, capture_output=True, check=False)
    except FileNotFoundError as error:
        raise errors.ConfigError(
            "git is not installed", [], hint="install git, which reads the commits"
        ) from error


def _words(done: subprocess.CompletedProcess[bytes]) -> str:
    text = done.stderr.decode(errors="replace").strip()
    return text.removeprefix("fatal: ")

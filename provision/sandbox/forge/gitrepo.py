"""A real bare repository, read and written with git's plumbing.

Reading goes through one long-lived ``git cat-file --batch-command``; the rest
are single processes of a few milliseconds. Garbage collection is off, so that
objects written here are never pruned under a push that needs them. References
change by compare and swap (``git update-ref NAME NEW OLD``), so this process
and pushes over SSH serialise on git's own locks.
"""

from __future__ import annotations

import re
import subprocess
import tempfile
import threading
from collections.abc import Mapping
from pathlib import Path

from provision.sandbox.forge import gitobjects

ZERO = "0" * 40
_REF = re.compile(r"^refs/[^\x00-\x20~^:?*\[\\@{}]+$")
_STATUS = {"A": "added", "D": "removed", "M": "modified", "T": "changed"}
_CONFIG = {
    "gc.auto": "0",
    "receive.autogc": "false",
    "uploadpack.allowAnySHA1InWant": "true",
    "core.logAllRefUpdates": "false",
}


class GitError(Exception):
    """A git process failed; the text is its standard error."""


class GitRepository:
    """One bare repository at `path`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.Lock()
        self._empty = True
        self._reader: subprocess.Popen[bytes] | None = None
        self._env = {
            "PATH": "/usr/local/bin:/usr/bin:/bin",
            "GIT_DIR": str(path),
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CONFIG_GLOBAL": "/dev/null",
            "HOME": str(path),
            "LC_ALL": "C.UTF-8",
        }

    def create(self, default_branch: str, hooks: Mapping[str, str]) -> None:
        """Make the repository if it is not there yet, and write its hooks."""
        if not (self.path / "HEAD").exists():
            self.path.mkdir(parents=True, exist_ok=True)
            self.run("init", "--quiet", "--bare", f"--initial-branch={default_branch}")
        config = "".join(
            f"[{key.split('.')[0]}]\n\t{key.split('.')[1]} = {value}\n"
            for key, value in {
                "core.repositoryformatversion": "0",
                "core.bare": "true",
                "core.filemode": "true",
                **_CONFIG,
            }.items()
        )
        (self.path / "config").write_text(config)
        for name, text in hooks.items():
            hook = self.path / "hooks" / name
            hook.parent.mkdir(exist_ok=True)
            hook.write_text(text)
            hook.chmod(0o755)

    def run(
        self, *arguments: str, stdin: bytes = b"", env: Mapping[str, str] | None = None
    ) -> bytes:
        """Run git and return its output. Raises `GitError`."""
        done = subprocess.run(
            ["git", *arguments],
            input=stdin,
            capture_output=True,
            env={**self._env, **(env or {})},
            check=False,
        )
        if done.returncode:
            raise GitError(done.stderr.decode(errors="replace").strip())
        return done.stdout

    def _text(self, *arguments: str) -> str:
        return self.run(*arguments).decode().strip()

    # -- objects --------------------------------------------------------------

    def close(self) -> None:
        """End the reading process."""
        with self._lock:
            reader, self._reader = self._reader, None
        if reader:
            for stream in (reader.stdin, reader.stdout):
                if stream:
                    stream.close()
            reader.wait(timeout=10)

    def _ask(self, command: str, name: str) -> tuple[str, str, bytes] | None:
        with self._lock:
            if self._reader is None or self._reader.poll() is not None:
                self._reader = subprocess.Popen(
                    ["git", "cat-file", "--batch-command"],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.DEVNULL,
                    env=self._env,
                )
            source, sink = self._reader.stdout, self._reader.stdin
            if source is None or sink is None or "\n" in name or not name:
                return None
            sink.write(f"{command} {name}\n".encode())
            sink.flush()
            head = source.readline().decode().split()
            if len(head) != 3 or not head[2].isdigit():
                return None
            sha, kind, size = head[0], head[1], int(head[2])
            if command == "info":
                return sha, kind, str(size).encode()
            content = source.read(size)
            source.read(1)
            return sha, kind, content

    def read(self, name: str) -> tuple[str, str, bytes] | None:
        """Return (sha, kind, content) of a revision or object, or None."""
        return self._ask("contents", name)

    def kind(self, name: str) -> str:
        """Return the kind of an object (``commit``, ``tree``, ``blob``, ``tag``) or nothing."""
        found = self._ask("info", name)
        return found[1] if found else ""

    def resolve(self, name: str) -> str:
        """Return the commit that a branch, tag, sha or revision means, or nothing."""
        for candidate in (f"refs/heads/{name}", f"refs/tags/{name}", name):
            found = self._ask("info", f"{candidate}^{{commit}}")
            if found:
                return found[0]
        return ""

    def commit(self, sha: str) -> gitobjects.Commit | None:
        """Return a commit object, or None."""
        found = self.read(sha)
        if not found or found[1] != "commit":
            return None
        return gitobjects.parse_commit(found[0], found[2])

    def listing(
        self, tree: str, *, recursive: bool = False, path: str = ""
    ) -> list[gitobjects.Entry]:
        """List a tree; recursively with the trees themselves, as GitHub does."""
        flags = ["-z", "-l", *(["-r", "-t"] if recursive else [])]
        return gitobjects.parse_listing(
            self.run("ls-tree", *flags, tree, *(["--", path] if path else []))
        )

    def flat(self, tree: str) -> gitobjects.Flat:
        """Return every blob and submodule of a tree."""
        entries = gitobjects.parse_listing(self.run("ls-tree", "-z", "-l", "-r", tree))
        return {entry.path: (entry.mode, entry.sha) for entry in entries}

    def write_blobs(self, contents: list[bytes]) -> list[str]:
        """Store contents with one process and return their shas, in order."""
        if not contents:
            return []
        with tempfile.TemporaryDirectory(dir=self.path) as folder:
            names: list[str] = []
            for number, content in enumerate(contents):
                file = Path(folder) / str(number)
                file.write_bytes(content)
                names.append(str(file))
            listed = "\n".join(names).encode()
            return (
                self.run("hash-object", "-w", "--no-filters", "--stdin-paths", stdin=listed)
                .decode()
                .split()
            )

    def write_tree(self, flat: gitobjects.Flat) -> str:
        """Store a whole tree and return its sha. Raises `GitError`, say for a missing object."""
        lines = "".join(f"{mode} {sha}\t{path}\0" for path, (mode, sha) in flat.items())
        with tempfile.TemporaryDirectory(dir=self.path) as folder:
            env = {"GIT_INDEX_FILE": str(Path(folder) / "index")}
            data = lines.encode(errors="surrogateescape")
            self.run("update-index", "-z", "--index-info", stdin=data, env=env)
            return self.run("write-tree", env=env).decode().strip()

    def write_commit(self, commit: gitobjects.Commit) -> str:
        """Store a commit exactly as given and return its sha."""
        data = commit.encode()
        return self.run("hash-object", "-t", "commit", "-w", "--stdin", stdin=data).decode().strip()

    # -- references -------------------------------------------------------------

    def refs(self, prefix: str = "") -> dict[str, tuple[str, str]]:
        """Return every reference below `prefix` (``refs/heads/``): name -> (sha, kind)."""
        shape = "--format=%(objectname) %(objecttype) %(refname)"
        lines = self._text("for-each-ref", shape, *([prefix] if prefix else [])).splitlines()
        split = (line.split(" ", 2) for line in lines)
        return {name: (sha, kind) for sha, kind, name in split}

    def ref(self, name: str) -> tuple[str, str] | None:
        """Return (sha, kind) of the full reference `name`, or None."""
        if not _REF.match(name) or ".." in name:
            return None  # such names mean something else to git: main~1, main@{1}
        found = self._ask("info", name)
        return (found[0], found[1]) if found else None

    def head(self, branch: str) -> str:
        """Return a branch's commit, or nothing."""
        found = self.ref(f"refs/heads/{branch}")
        return found[0] if found else ""

    def is_empty(self) -> bool:
        """Whether there is no reference at all. Once there is one, one stays: the default."""
        if self._empty:
            self._empty = not self._text("for-each-ref", "--count=1", "--format=%(refname)")
        return self._empty

    def update_ref(self, name: str, new: str, old: str) -> bool:
        """Move a reference from `old` (`ZERO`: must not exist) to `new` (`ZERO`: delete).

        Returns False when it is no longer at `old`, or is locked by a push.
        """
        try:
            if new == ZERO:
                self.run("update-ref", "-d", name, old)
            else:
                self.run("update-ref", name, new, old)
        except GitError:
            return False
        return True

    def is_ancestor(self, older: str, newer: str) -> bool:
        """Whether `newer` contains `older`."""
        try:
            self.run("merge-base", "--is-ancestor", older, newer)
        except GitError:
            return False
        return True

    def set_head(self, branch: str) -> None:
        """Make `branch` the one that HEAD names."""
        self.run("symbolic-ref", "HEAD", f"refs/heads/{branch}")

    def history(self, start: str, *, path: str = "", exclude: str = "") -> list[str]:
        """Return the shas of the history of `start`, newest first."""
        limit = [f"^{exclude}"] if exclude else []
        return self._text("rev-list", start, *limit, *(["--", path] if path else [])).split()

    def merge_trees(self, ours: str, theirs: str) -> str:
        """Return the tree of a clean merge of two commits, or nothing when they conflict."""
        try:
            return self._text("merge-tree", "--write-tree", ours, theirs).split()[0]
        except GitError:
            return ""

    def merge_base(self, one: str, other: str) -> str:
        """Return the commit that two histories parted at, or nothing."""
        try:
            return self._text("merge-base", one, other)
        except GitError:
            return ""

    def diff(self, old: str, new: str) -> bytes:
        """Return what differs as a text; without `old`, all of the commit `new`."""
        pair = [old, new] if old else ["--root", "--no-commit-id", new]
        return self.run("diff-tree", "-r", "-p", *pair)

    def mails(self, new: str, *, exclude: str = "") -> bytes:
        """Return a mail for each commit that `new` has and `exclude` has not, oldest first.

        Without `exclude` that of the commit `new` alone.
        """
        commits = [f"{exclude}..{new}"] if exclude else ["-1", new]
        return self.run("format-patch", "--stdout", "--no-signature", *commits)

    def changes(self, old: str, new: str) -> list[tuple[int, int, str, str]]:
        """Return (lines added, lines deleted, path, status) of every file that differs.

        Without `old` everything in the commit `new` counts as added.
        """
        pair = [old, new] if old else ["--root", "--no-commit-id", new]
        flags = ["-r", "-z", "--raw", "--numstat", "--no-renames"]
        fields = iter(self.run("diff-tree", *flags, *pair).decode(errors="replace").split("\0"))
        letters: dict[str, str] = {}
        rows: list[tuple[int, int, str, str]] = []
        for field in fields:
            if field.startswith(":"):
                letters[next(fields)] = field[-1]
            elif field:
                added, deleted, path = field.split("\t", 2)
                status = _STATUS.get(letters.get(path, "M"), "modified")
                lines = [int(n) if n.isdigit() else 0 for n in (added, deleted)]
                rows.append((lines[0], lines[1], path, status))
        return rows

"""The forge's bare repository seen from beside it: for seeding, and for looking at results.

Goes past the API and past branch protection, which is what a test or a demo
wants for the state it starts from.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

from provision import errors
from provision.fileio import contents


class Bare:
    """A bare repository at `path`. Raises ElysiumError when git fails."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def git(self, *arguments: str, stdin: bytes = b"") -> str:
        """Run git on the bare repository and return its output."""
        environment = {
            "PATH": os.environ.get("PATH", "/usr/bin:/bin"),
            "GIT_DIR": str(self.path),
            "GIT_CONFIG_GLOBAL": "/dev/null",
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_AUTHOR_NAME": "forge",
            "GIT_AUTHOR_EMAIL": "forge@localhost",
            "GIT_COMMITTER_NAME": "forge",
            "GIT_COMMITTER_EMAIL": "forge@localhost",
        }
        done = subprocess.run(
            ["git", *arguments], input=stdin, capture_output=True, env=environment, check=False
        )
        if done.returncode:
            raise errors.ElysiumError(
                f"git {arguments[0]} failed on the forge's repository.",
                detail=done.stderr.decode(errors="replace"),
            )
        return done.stdout.decode(errors="replace")

    def commit_files(
        self,
        files: Mapping[str, str | bytes | None],
        *,
        message: str = "Change files",
        branch: str = "main",
    ) -> str:
        """Commit `files` (path -> content, None deletes) onto a branch and return the commit.

        Works on an empty repository, and behind branch protection.
        """
        old = self.head(branch)
        lines = [f"commit refs/heads/{branch}", "committer forge <forge@localhost> now"]
        stream = "\n".join(lines).encode() + b"\n" + _data(message.encode())
        stream += f"from {old}\n".encode() if old else b""
        for path, content in files.items():
            name = json.dumps(path, ensure_ascii=False)  # as fast-import quotes
            if content is None:
                stream += f"D {name}\n".encode()
            else:
                data = contents.data(content) if isinstance(content, str) else content
                stream += f"M 100644 inline {name}\n".encode() + _data(data)
        self.git("fast-import", "--quiet", "--date-format=now", stdin=stream + b"\n")
        return self.head(branch)

    def seed_repository(
        self, files: Mapping[str, str | bytes], *, message: str = "Initial commit"
    ) -> str:
        """Commit `files` onto ``main`` if the repository is empty; return the head either way."""
        return self.head() or self.commit_files(dict(files), message=message)

    def head(self, branch: str = "main") -> str:
        """Return a branch's commit, or nothing."""
        return self.git("for-each-ref", "--format=%(objectname)", f"refs/heads/{branch}").strip()

    def read_file(self, path: str, *, branch: str = "main") -> str | None:
        """Return a file's text at the head of a branch, or None."""
        try:
            return self.git("cat-file", "blob", f"refs/heads/{branch}:{path}")
        except errors.ElysiumError:
            return None

    def files(self, branch: str = "main") -> list[str]:
        """Return the paths of every file at the head of a branch."""
        listed = self.git("ls-tree", "-r", "-z", "--name-only", f"refs/heads/{branch}")
        return [name for name in listed.split("\0") if name]

    def commits(self, branch: str = "main") -> list[str]:
        """Return the subjects of a branch's commits, newest first."""
        return self.git("log", "--format=%s", f"refs/heads/{branch}").splitlines()


def _data(content: bytes) -> bytes:
    return b"data %d\n" % len(content) + content + b"\n"

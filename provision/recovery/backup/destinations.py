"""Where backups are kept: a folder here, an rclone remote, a folder behind SSH.

Each place writes a file under another name, reads it back, compares it, and
only then gives it its name. So a file with the name of a backup was there byte
for byte, and a bad copy never replaces a good one. Only files that are named as bundles of
the cluster are ever looked at or removed.
"""

from __future__ import annotations

import contextlib
import hashlib
import re
import shutil
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from provision import config, errors, transfer
from provision.fileio import atomic
from provision.host import channel, elevate, scripts, transport
from provision.recovery.bundle import manifest
from provision.recovery.bundle import signature as signatures

_WORK: Final = 300
"""Seconds for a copy, beyond what its bytes need at `transfer.RATE`."""
_PATIENCE: Final = (
    *("--contimeout", "15s", "--timeout", "30s"),
    *("--retries", "1", "--low-level-retries", "3"),
)
"""Options of rclone: how long it waits for an answer, and how often it asks again."""
_STALE: Final = 3600
"""Seconds after which a temporary file is that of a run that was killed."""
_NO_FOLDER: Final = 3
"""rclone's exit status for a folder that is not there."""


class Place(Protocol):
    """One place for the backups of one cluster."""

    @property
    def label(self) -> str:
        """How the place is named to people."""
        ...

    def check(self) -> None:
        """Raise what can be known to be wrong before anything is made."""
        ...

    def put(self, name: str, content: bytes) -> None:
        """Write the file, read it back, then give it its name. Raises `errors.ElysiumError`.

        After an error, a file that had the name before still has it.
        """
        ...

    def names(self) -> list[str]:
        """Return the names of the cluster's bundles there, oldest first."""
        ...

    def remove(self, name: str) -> None:
        """Remove a bundle and its signature; what is not there is none."""
        ...


def of(root: Path, cluster: str, cfg: config.Backup) -> tuple[Folder, tuple[Place, ...]]:
    """Return the folder that backups are written to first, and the other places."""
    first = Folder(path=root / Path(cfg.directory).expanduser(), cluster=cluster, make=True)
    return first, tuple(_copy(root, cluster, each) for each in cfg.copies)


def keep(place: Place, name: str, content: bytes, signature: bytes) -> None:
    """Put a bundle into `place`, with its signature if there is one.

    The signature comes first: a bundle that is there is never without it.
    Raises `errors.ElysiumError`.
    """
    if signature:
        place.put(name + signatures.SUFFIX, signature)
    place.put(name, content)


def bundles_in(names: list[str], cluster: str) -> list[str]:
    """Return those of `names` that are bundles of `cluster`, oldest first."""
    form = re.compile(rf"{re.escape(cluster)}-\d{{8}}T\d{{6}}Z{re.escape(manifest.SUFFIX)}")
    return sorted(name for name in names if form.fullmatch(name))


@dataclass(frozen=True, kw_only=True)
class Folder:
    """A folder of this machine. `make`: made when it is not there.

    One that is not ours to make is perhaps a disk that is not mounted: writing
    below its mount point would keep the backup where nobody looks for it.
    """

    path: Path
    cluster: str
    make: bool = False

    @property
    def label(self) -> str:
        """The path."""
        return str(self.path)

    def check(self) -> None:
        """Raise `errors.ConfigError` when the folder is not there."""
        if not self.make and not self.path.is_dir():
            raise errors.ConfigError(
                f"the folder for backups {self.path} is not there",
                [],
                hint="mount the disk it is on, or make the folder",
            )

    def put(self, name: str, content: bytes) -> None:
        """Write beside, sync, read back, rename."""
        try:
            self._sweep()
            atomic.write(self.path / name, content, read_back=True)
        except OSError as error:
            raise _cannot(self.label, error.strerror or str(error)) from error

    def names(self) -> list[str]:
        """Return the cluster's bundles in the folder."""
        try:
            return bundles_in([path.name for path in self.path.iterdir()], self.cluster)
        except FileNotFoundError:
            return []
        except OSError as error:
            raise _cannot(self.label, error.strerror or str(error)) from error

    def remove(self, name: str) -> None:
        """Remove a bundle, then its signature."""
        try:
            (self.path / name).unlink(missing_ok=True)
            (self.path / f"{name}{signatures.SUFFIX}").unlink(missing_ok=True)
        except OSError as error:
            raise _cannot(self.label, error.strerror or str(error)) from error

    def _sweep(self) -> None:
        """Remove what runs that were killed left: never anything of a run under way."""
        for path in self.path.glob(f".{self.cluster}-*{manifest.SUFFIX}*.tmp"):
            with contextlib.suppress(OSError):
                if time.time() - path.stat().st_mtime > _STALE:
                    path.unlink()


@dataclass(frozen=True, kw_only=True)
class Remote:
    """A folder of an rclone remote, with the ``rclone`` and ``rclone.conf`` of this machine."""

    remote: str
    cluster: str

    @property
    def label(self) -> str:
        """The remote, as rclone names it."""
        return self.remote

    def check(self) -> None:
        """Raise `errors.ConfigError` when there is no rclone."""
        self._program()

    def put(self, name: str, content: bytes) -> None:
        """Upload from standard input under another name, download and compare, rename."""
        temporary = self._at(f".{name}.tmp")
        self._sweep()
        try:
            self._rclone("rcat", "--", temporary, stdin=content)
            again = self._rclone("cat", "--", temporary, size=len(content))
            _same(self.label, hashlib.sha256(again).hexdigest(), content)
            self._rclone("moveto", "--", temporary, self._at(name))
        except errors.ElysiumError:
            with contextlib.suppress(errors.ElysiumError):
                self._rclone("deletefile", "--", temporary)
            raise

    def names(self) -> list[str]:
        """Return the cluster's bundles in the remote's folder."""
        listed = self._rclone("lsf", "--files-only", "--", self.remote, absent=True)
        return bundles_in(listed.decode().splitlines(), self.cluster)

    def remove(self, name: str) -> None:
        """Remove a bundle and its signature."""
        both = f"/{name}{{,{signatures.SUFFIX}}}"
        self._rclone("delete", "--max-depth", "1", "--include", both, "--", self.remote)

    def _sweep(self) -> None:
        """Remove what runs that were killed left: never anything of a run under way."""
        mine = f"/.{self.cluster}-*{manifest.SUFFIX}*.tmp"
        age = f"{_STALE}s"
        words = ("--max-depth", "1", "--min-age", age, "--include", mine, "--", self.remote)
        with contextlib.suppress(errors.ElysiumError):  # `put` says what is wrong with the remote
            self._rclone("delete", *words)

    def _at(self, name: str) -> str:
        separator = "" if self.remote.endswith((":", "/")) else "/"
        return f"{self.remote}{separator}{name}"

    def _program(self) -> str:
        program = shutil.which("rclone")
        if program is None:
            raise errors.ConfigError(
                f"backups go to {self.remote}, and there is no rclone on this machine",
                [],
                hint="install rclone here, or take the remote out of backup.copies",
            )
        return program

    def _rclone(
        self, word: str, *words: str, stdin: bytes = b"", size: int = 0, absent: bool = False
    ) -> bytes:
        """Return what rclone prints: `size` bytes, if that is known."""
        limit = _WORK + max(size, len(stdin)) / transfer.RATE
        try:
            done = subprocess.run(
                [self._program(), word, *_PATIENCE, *words],
                input=stdin,
                capture_output=True,
                timeout=limit,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            said = (error.stderr or b"").decode("utf-8", "replace")
            why = f"rclone {word} did not end within {limit:.0f} s\n{said}".strip()
            raise _cannot(self.label, why) from None
        if done.returncode == _NO_FOLDER and absent:
            return b""
        if done.returncode:
            said = done.stderr.decode("utf-8", "replace")
            raise _cannot(self.label, said or f"rclone ended with status {done.returncode}")
        return done.stdout


@dataclass(frozen=True, kw_only=True)
class Server:
    """A folder behind SSH, as the login's own user; needs a POSIX shell and sha256sum there."""

    login: config.SshLogin
    path: str
    cluster: str

    @property
    def label(self) -> str:
        """Who is logged in to, and the path."""
        return f"{self.login.user}@{self.login.host}:{self.path}"

    def check(self) -> None:
        """Raise the errors of connecting."""
        self._run(f"mkdir -p {self._at()}")

    def put(self, name: str, content: bytes) -> None:
        """Write beside, sync, compare, rename."""
        target, temporary = self._at(name), self._at(f".{name}.tmp")
        digest = hashlib.sha256(content).hexdigest()
        old = scripts.quote([f".{self.cluster}-*{manifest.SUFFIX}*.tmp"])
        said = self._run(
            f"set -e\numask 077\nmkdir -p {self._at()}\n"
            # What runs that were killed left. A `find` without -mmin leaves it.
            f"find {self._at('.')} ! -name . -prune -name {old} -mmin +{_STALE // 60}"
            " -exec rm -f {} + 2>/dev/null || :\n"
            f"trap {scripts.quote([f'rm -f {temporary}'])} EXIT\ntrap 'exit 1' HUP INT TERM\n"
            f"cat >{temporary}\nsync {temporary} 2>/dev/null || sync\n"
            f"sum=$(sha256sum <{temporary})\nsum=${{sum%% *}}\n"
            f'if [ "$sum" = {digest} ]; then\n'
            f"if [ -d {target} ]; then echo {target} is a folder >&2; exit 1; fi\n"
            f"mv -f {temporary} {target}\nfi\n"
            'echo "$sum"\n',
            stdin=content,
        )
        _same(self.label, said.strip(), content)

    def names(self) -> list[str]:
        """Return the cluster's bundles in the folder."""
        return bundles_in(self._run(f"ls -1 {self._at()}").splitlines(), self.cluster)

    def remove(self, name: str) -> None:
        """Remove a bundle and its signature."""
        self._run(f"rm -f {self._at(name)} {self._at(name + signatures.SUFFIX)}")

    def _at(self, name: str = "") -> str:
        return scripts.quote([f"{self.path.rstrip('/')}/{name}" if name else self.path])

    def _run(self, script: str, stdin: bytes = b"") -> str:
        connection = transport.Transport(self.login)
        what = "keeping a backup"
        script = scripts.USER_PRELUDE + script
        job = channel.Job(
            command=scripts.command(script),
            what=what,
            timeout=_WORK,
            script=scripts.framed(script),
            stdin=stdin,
            start=scripts.started(),
        )
        try:
            done = connection.execute(job)
        finally:
            connection.close()
        if not scripts.ran(done.stderr):
            said = done.error_text or done.greeting.decode("utf-8", "replace")
            raise elevate.not_run(self.login.user, connection.host, done.status, said)
        if done.status:
            raise errors.CommandError(
                f"{self.label} does not keep the backup",
                host=connection.host,
                command=what,
                status=done.status,
                stderr=scripts.strip(done.stderr).decode("utf-8", "replace"),
                hint="check the folder's permissions and the room on its disk",
            )
        return done.text


def _copy(root: Path, cluster: str, cfg: config.BackupCopy) -> Place:
    if cfg.ssh is not None:
        return Server(login=cfg.ssh, path=cfg.path, cluster=cluster)
    if cfg.rclone:
        return Remote(remote=cfg.rclone, cluster=cluster)
    return Folder(path=root / Path(cfg.directory).expanduser(), cluster=cluster)


def _same(label: str, digest: str, content: bytes) -> None:
    if digest != hashlib.sha256(content).hexdigest():
        raise _cannot(label, "what was read back is not what was written")


def _cannot(label: str, why: str) -> errors.ElysiumError:
    return errors.ElysiumError(
        f"{label} does not keep the backup",
        detail=why,
        hint="put it right, then run elysium backup again",
    )

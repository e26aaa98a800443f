"""A throwaway root for scripts that delete: nothing of this machine is in reach.

`run` starts this module as a program in new mount, process and network namespaces. It builds the
tree on a tmpfs, runs the script in a chroot, and tells every file before and after. `rooms` does
the same with an SSH server in the throwaway root.
"""

from __future__ import annotations

import ctypes
import json
import os
import stat
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path("/mnt")
SYSTEM = ("usr", "bin", "sbin", "lib", "lib64", "proc", "dev", "sys")
HIDDEN = frozenset({*SYSTEM, "stubs", "room"})
"""Folders of the throwaway root that are not part of the tree, but for /usr/local."""
PATH = "/stubs:/usr/sbin:/usr/bin:/sbin:/bin"
_RDONLY, _REMOUNT, BIND, _REC, _PRIVATE = 1, 32, 4096, 16384, 1 << 18


@dataclass
class Tree:
    """What is there before. Paths are absolute, in the throwaway root; parents are made.

    Names may hold any byte but NUL; those that are no UTF-8 are written as `os.fsdecode` does.
    """

    steps: list[list[str]] = field(default_factory=list)

    def file(self, path: str, text: str = "x") -> None:
        self.steps.append(["file", path, text])

    def folder(self, path: str) -> None:
        self.steps.append(["folder", path])

    def link(self, path: str, target: str) -> None:
        self.steps.append(["link", path, target])

    def hard_link(self, path: str, source: str) -> None:
        self.steps.append(["hard_link", path, source])

    def special(self, path: str, kind: str) -> None:
        """Make a ``fifo``, a ``socket`` or a ``device``."""
        self.steps.append([kind, path])

    def bind(self, path: str, source: str) -> None:
        """Mount the folder or file `source` at `path`."""
        self.steps.append(["bind", path, source])

    def read_only(self, path: str) -> None:
        """Make what is mounted at `path` read-only."""
        self.steps.append(["read_only", path])

    def tmpfs(self, path: str) -> None:
        self.steps.append(["tmpfs", path])

    def shell(self, script: str) -> None:
        """Run a script of the shell in the throwaway root."""
        self.steps.append(["shell", "", script])

    def stub(self, name: str, text: str) -> None:
        """Put a program before all others in PATH."""
        self.steps.append(["stub", name, text])


@dataclass(frozen=True)
class Seen:
    """All of a tree: files and links with their content by path, folders, and mount points."""

    files: dict[str, str]
    folders: frozenset[str]
    mounts: frozenset[str]


@dataclass(frozen=True)
class Done:
    """The script's end; files and links with their content, by path, before and after.

    `probed` is what the probe printed before and after.
    """

    status: int
    stdout: str
    stderr: str
    before: dict[str, str]
    after: dict[str, str]
    folders: frozenset[str]
    mounts: str
    probed: tuple[str, str]


def run(
    tree: Tree,
    script: str,
    *arguments: str,
    shell: str = "/bin/sh",
    usr: str = "/usr",
    probe: str = "",
) -> Done:
    """Run `script` on `tree`, which has `usr` as its ``/usr``; `probe` looks before and after."""
    asked = {
        "steps": tree.steps,
        "script": script,
        "arguments": arguments,
        "shell": shell,
        "usr": usr,
        "probe": probe,
    }
    done = subprocess.run(
        ["unshare", "--mount", "--pid", "--net", "--fork", sys.executable, "-I", __file__],
        input=json.dumps(asked).encode(),
        capture_output=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()
    told = json.loads(done.stdout)
    return Done(**told | {"folders": frozenset(told["folders"]), "probed": tuple(told["probed"])})


def _main() -> None:
    asked = json.load(sys.stdin)
    make_root(asked["usr"])
    build(asked["steps"])
    before = look(marks=False)
    probed = [os.fsdecode(_chroot("/bin/sh", asked["probe"]).stdout)]
    done = _chroot(asked["shell"], asked["script"], *asked["arguments"])
    probed.append(os.fsdecode(_chroot("/bin/sh", asked["probe"]).stdout))
    after = look(marks=False)
    told = {
        "status": done.returncode,
        "stdout": os.fsdecode(done.stdout),
        "stderr": os.fsdecode(done.stderr),
        "before": before.files,
        "after": after.files,
        "folders": sorted(after.folders),
        "mounts": os.fsdecode(Path("/proc/self/mountinfo").read_bytes()),
        "probed": probed,
    }
    json.dump(told, sys.stdout)


def _chroot(shell: str, script: str, *arguments: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        ["chroot", str(ROOT), shell, "-c", script, "sh", *arguments],
        env={"PATH": PATH, "LC_ALL": "C"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
    )


def make_root(usr: str = "/usr") -> None:
    """Make the throwaway root with `usr`, in namespaces of this process' own."""
    mount("none", "/", flags=_REC | _PRIVATE)
    mount("root", ROOT, "tmpfs")
    for name in SYSTEM[1:5]:
        (ROOT / name).symlink_to(f"usr/{name}")
    for name in ("usr", "usr/local", "proc", "dev", "sys", "tmp", "run", "etc", "stubs"):
        (ROOT / name).mkdir(exist_ok=True)
        if name == "usr":
            mount(usr, ROOT / "usr", flags=BIND)
            mount("none", ROOT / "usr", flags=BIND | _REMOUNT | _RDONLY)
            mount("local", ROOT / "usr/local", "tmpfs")
    mount("proc", ROOT / "proc", "proc")
    # The interfaces of this namespace; control groups are mounted elsewhere.
    mount("sys", ROOT / "sys", "sysfs", flags=_RDONLY)
    (ROOT / "dev/null").touch()
    mount("/dev/null", ROOT / "dev/null", flags=BIND)
    _stub("systemctl", '[ "$1" != is-active ]')


def build(steps: Iterable[list[str]]) -> None:
    """Make what the steps of a `Tree` say."""
    for step in steps:
        _build(*step)


def mount(source: Any, target: Any, kind: str = "none", flags: int = 0) -> None:
    """Call mount(2)."""
    libc = ctypes.CDLL(None, use_errno=True)
    words = (os.fsencode(source), os.fsencode(target), kind.encode())
    if libc.mount(*words, ctypes.c_ulong(flags), None):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), target)


def _stub(name: str, text: str) -> None:
    path = ROOT / "stubs" / name
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)


def _build(kind: str, path: str, *more: str) -> None:
    if kind == "stub":
        _stub(path, *more)
        return
    if kind == "shell":
        done = _chroot("/bin/sh", f"set -e\n{more[0]}")
        assert done.returncode == 0, done.stderr.decode()
        return
    # Links on the way are those of the throwaway root.
    at = _inside(path)
    at.parent.mkdir(parents=True, exist_ok=True)
    if kind == "file":
        at.write_bytes(os.fsencode(more[0]))
    elif kind == "link":
        at.symlink_to(more[0])
    elif kind == "executable":
        at.chmod(0o755)
    elif kind == "hard_link":
        try:
            os.link(_inside(more[0]), at)
        except OSError:  # another file system
            at.write_bytes(_inside(more[0]).read_bytes())
    elif kind in ("fifo", "socket", "device"):
        types = {"fifo": stat.S_IFIFO, "socket": stat.S_IFSOCK, "device": stat.S_IFCHR}
        os.mknod(at, types[kind] | 0o600, os.makedev(1, 3))
    elif kind == "read_only":
        mount("none", at, flags=BIND | _REMOUNT | _RDONLY)
    elif kind == "bind":
        source = _inside(more[0])
        at.mkdir(exist_ok=True) if source.is_dir() else at.touch()
        mount(source, at, flags=BIND)
    else:
        at.mkdir(exist_ok=True)
        if kind == "tmpfs":
            mount("tmpfs", at, "tmpfs")


def _inside(path: str, depth: int = 0) -> Path:
    """Return where `path` of the throwaway root is, but for a link in its last part."""
    at = ROOT
    parts = [part for part in path.split("/") if part]
    for number, part in enumerate(parts):
        at /= part
        if at.is_symlink() and number < len(parts) - 1:
            assert depth < 20
            at = _inside(f"{at.readlink()}/.", depth + 1)
    return at


def look(*, marks: bool = True) -> Seen:
    """Return all of the tree as it is now; with `marks`, also each file's mode, owner and time."""
    files: dict[str, str] = {}
    folders: list[str] = []
    top = str(ROOT)
    for start in (top, f"{top}/usr/local"):
        for folder, names, others in os.walk(start):
            if folder == top:
                names[:] = [name for name in names if name not in HIDDEN]
            folders.append(folder.removeprefix(top) or "/")
            for name in [*others, *names]:
                path = os.path.join(folder, name)  # noqa: PTH118 - a name may be anything
                status = os.lstat(path)
                if not stat.S_ISDIR(status.st_mode):
                    files[path.removeprefix(top)] = _content(path, status, marks=marks)
    text = os.fsdecode(Path("/proc/self/mountinfo").read_bytes())
    mounts = (line.split(" ")[4] for line in text.split("\n") if line)
    return Seen(
        files=files,
        folders=frozenset(folders),
        mounts=frozenset(at.removeprefix(top) for at in mounts if at.startswith(f"{top}/")),
    )


def _content(path: str, status: os.stat_result, *, marks: bool) -> str:
    if stat.S_ISLNK(status.st_mode):
        return f"-> {os.readlink(path)}"  # noqa: PTH115
    known = f"{status.st_mode:o} {status.st_uid}:{status.st_gid} {status.st_mtime_ns}"
    if not stat.S_ISREG(status.st_mode):
        return known
    try:
        content = os.fsdecode(Path(path).read_bytes())
    except OSError as error:
        content = f"not readable: {error.strerror}"
    return f"{content}\n{known}" if marks else content


if __name__ == "__main__":
    _main()

"""A throwaway root for scripts that delete: nothing of this machine is in reach.

`run` starts this module as a program in new mount, process and network namespaces. It builds the
tree on a tmpfs, runs the script in a chroot, and tells every file before and after.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path("/mnt")
SYSTEM = ("usr", "bin", "sbin", "lib", "lib64", "proc", "dev", "sys")
PATH = "/stubs:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass
class Tree:
    """What is there before. Paths are absolute, in the throwaway root; parents are made."""

    steps: list[list[str]] = field(default_factory=list)

    def file(self, path: str, text: str = "x") -> None:
        self.steps.append(["file", path, text])

    def folder(self, path: str) -> None:
        self.steps.append(["folder", path])

    def link(self, path: str, target: str) -> None:
        self.steps.append(["link", path, target])

    def bind(self, path: str, source: str) -> None:
        self.steps.append(["bind", path, source])

    def tmpfs(self, path: str) -> None:
        self.steps.append(["tmpfs", path])

    def shell(self, script: str) -> None:
        """Run a script of the shell in the throwaway root."""
        self.steps.append(["shell", "", script])

    def stub(self, name: str, text: str) -> None:
        """Put a program before all others in PATH."""
        self.steps.append(["stub", name, text])


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
    _mount("--make-rprivate", "/")
    _mount("-t", "tmpfs", "root", str(ROOT))
    for name in SYSTEM[1:5]:
        (ROOT / name).symlink_to(f"usr/{name}")
    for name in ("usr", "usr/local", "proc", "dev", "sys", "tmp", "run", "etc", "stubs"):
        (ROOT / name).mkdir(exist_ok=True)
        if name == "usr":
            _mount("--bind", "-o", "ro", asked["usr"], str(ROOT / "usr"))
            _mount("-t", "tmpfs", "local", str(ROOT / "usr/local"))
    _mount("-t", "proc", "proc", str(ROOT / "proc"))
    # The interfaces of this namespace; control groups are mounted elsewhere.
    _mount("-t", "sysfs", "-o", "ro", "sys", str(ROOT / "sys"))
    (ROOT / "dev/null").touch()
    _mount("--bind", "/dev/null", str(ROOT / "dev/null"))
    _stub("systemctl", "exit 0")
    for step in asked["steps"]:
        _build(*step)
    before, _ = _snapshot()
    probed = [_chroot("/bin/sh", asked["probe"]).stdout.decode()]
    done = _chroot(asked["shell"], asked["script"], *asked["arguments"])
    probed.append(_chroot("/bin/sh", asked["probe"]).stdout.decode())
    after, folders = _snapshot()
    told = {
        "status": done.returncode,
        "stdout": done.stdout.decode("utf-8", "replace"),
        "stderr": done.stderr.decode("utf-8", "replace"),
        "before": before,
        "after": after,
        "folders": folders,
        "mounts": Path("/proc/self/mountinfo").read_text(),
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


def _mount(*words: str) -> None:
    subprocess.run(["mount", *words], check=True)


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
        at.write_text(more[0])
    elif kind == "link":
        at.symlink_to(more[0])
    else:
        at.mkdir(exist_ok=True)
        if kind == "bind":
            _mount("--bind", str(_inside(more[0])), str(at))
        elif kind == "tmpfs":
            _mount("-t", "tmpfs", "tmpfs", str(at))


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


def _snapshot() -> tuple[dict[str, str], list[str]]:
    seen: dict[str, str] = {}
    folders: list[str] = []
    top = str(ROOT)
    for folder, names, files in os.walk(top):
        if folder == top:
            names[:] = [name for name in names if name not in (*SYSTEM, "stubs")]
        folders.append(folder.removeprefix(top) or "/")
        for name in [*files, *names]:
            path = os.path.join(folder, name)  # noqa: PTH118 - a name may be anything
            if os.path.islink(path):  # noqa: PTH114
                seen[path.removeprefix(top)] = f"-> {os.readlink(path)}"  # noqa: PTH115
            elif name in files:
                seen[path.removeprefix(top)] = _content(Path(path))
    return seen, folders


def _content(path: Path) -> str:
    """Return a file's text; what stands for a program, a socket, a device."""
    if not path.is_file():
        return f"mode {path.stat().st_mode:o}"
    try:
        content = path.read_bytes()
    except OSError as error:
        return f"not readable: {error.strerror}"
    try:
        return content.decode()
    except UnicodeDecodeError:
        return f"sha256 {hashlib.sha256(content).hexdigest()}"


if __name__ == "__main__":
    _main()

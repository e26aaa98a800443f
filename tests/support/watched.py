"""The command line as a process of its own, judged from outside.

`trace` runs it below strace and tells which files it opened, changed and ran, and which addresses
it contacted. `show` runs it on a terminal and returns every byte that reached it.
"""

from __future__ import annotations

import contextlib
import os
import pty
import re
import resource
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]
ELYSIUM = "import sys\nfrom provision.cli import main\nsys.exit(main.main())"
LIMIT = 120
"""Seconds for one run."""
_CALLS = (
    *("open", "openat", "openat2", "creat", "execve", "execveat", "connect", "sendto", "sendmsg"),
    *("mkdir", "mkdirat", "rename", "renameat", "renameat2", "unlink", "unlinkat", "rmdir", "link"),
    *("linkat", "symlink", "symlinkat", "chmod", "fchmodat", "chown", "fchownat", "truncate"),
    *("mknod", "mknodat", "setxattr", "utimensat"),
)
_LINE = re.compile(r"^\d+ +(?P<call>\w+)\((?P<words>.*)\) += (?P<result>-?\d+)")
_PATH = re.compile(r'(?:(?:AT_FDCWD|\d+)<(?P<at>[^>]*)>, )?"(?P<name>(?:[^"\\]|\\.)*)"')
_WRITING = re.compile(r"\bO_(?:WRONLY|RDWR|CREAT|TRUNC)\b")
_ADDRESS = re.compile(
    r"sin6?_port=htons\((\d+)\).*?(?:inet_addr\(\"([^\"]+)\"\)|inet_pton\(AF_INET6, \"([^\"]+)\")"
)
_RUN_BY_ITSELF = ("unshare", "strace")


@dataclass
class Seen:
    """What one run did. `peak` is its largest use of memory, in bytes."""

    code: int
    said: str
    read: set[str] = field(default_factory=set[str])
    changed: set[str] = field(default_factory=set[str])
    ran: set[str] = field(default_factory=set[str])
    contacted: set[str] = field(default_factory=set[str])
    peak: int = 0

    def changed_outside(self, *folders: Path) -> set[str]:
        """Return what was changed and is not in one of `folders`."""
        return _outside(self.changed, (*map(str, folders), "/dev/null", "/proc/", "/dev/tty"))

    def read_outside(self, *folders: Path) -> set[str]:
        """Return the files that were read and are neither programs' own nor in `folders`."""
        return _outside(self.read, (*map(str, folders), *_OWN))


_OWN = (
    *(str(REPOSITORY), sys.prefix, sys.base_prefix, "/usr/", "/lib", "/proc/", "/sys/", "/dev/"),
    *("/etc/ld.so.", "/etc/localtime", "/etc/passwd", "/etc/group", "/etc/nsswitch.conf"),
    *("/etc/host", "/etc/resolv.conf", "/etc/gai.conf", "/etc/services", "/etc/ssl/"),
    *("/etc/mime.types", "/etc/os-release", "/etc/inputrc", "/etc/terminfo", "/etc/machine-id"),
)
"""What Python, its libraries and the C library read by themselves."""


def _outside(paths: Iterable[str], folders: tuple[str, ...]) -> set[str]:
    return {path for path in paths if not path.startswith(folders)}


def environment(home: Path, **more: str) -> dict[str, str]:
    """Return an environment with nothing of this machine's user."""
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "TMPDIR": str(home / "tmp"),
        "LANG": "C.UTF-8",
        "TERM": "xterm-256color",
        "COLUMNS": "200",
        "PYTHONPATH": str(REPOSITORY),
        "PYTHONDONTWRITEBYTECODE": "1",
        **{f"XDG_{kind}_HOME": str(home / kind.lower()) for kind in ("CONFIG", "STATE", "CACHE")},
        **more,
    }


def trace(
    arguments: Iterable[str], folder: Path, env: Mapping[str, str], *, program: str = ELYSIUM
) -> Seen:
    """Run ``elysium`` with `arguments` in `folder` below strace."""
    log = folder.parent / "strace.log"
    command = ["strace", "-f", "-qq", "-y", "-s", "4096", "-o", str(log)]
    command += ["-e", f"trace={','.join(_CALLS)}", "--seccomp-bpf"]
    seen = measure([*command, sys.executable, "-c", program, *arguments], folder, env)
    seen.peak = 0  # it would be that of strace
    for line in log.read_text(encoding="utf-8", errors="replace").splitlines():
        _take(line, seen)
    return seen


def measure(
    command: Iterable[str], folder: Path, env: Mapping[str, str], *, memory: int = 0
) -> Seen:
    """Run `command`; tell its largest use of memory. `memory` is its limit, in bytes."""

    def limit() -> None:
        if memory:
            resource.setrlimit(resource.RLIMIT_AS, (memory, memory))

    Path(env["TMPDIR"]).mkdir(parents=True, exist_ok=True)
    process = subprocess.Popen(
        [*command],
        cwd=folder,
        env=dict(env),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
        preexec_fn=limit,
    )
    try:
        said = process.communicate(timeout=LIMIT)[0].decode("utf-8", "replace")
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        said = process.communicate()[0].decode("utf-8", "replace")
        raise AssertionError(f"it did not end within {LIMIT} s: {said}") from None
    return Seen(code=process.returncode, said=said)


def peak(
    arguments: Iterable[str], folder: Path, env: Mapping[str, str], *, program: str = ELYSIUM
) -> Seen:
    """Run ``elysium`` with `arguments` in `folder`; tell how much memory it and its children took.

    A plain process between the two tells it: the highest use of this one would count too.
    """
    teller = (
        "import os, resource, subprocess, sys\n"
        "code = subprocess.run(sys.argv[1:]).returncode\n"
        "print(f'\\n{resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss}')\n"
        "sys.exit(code if code >= 0 else 128 - code)"
    )
    command = [sys.executable, "-I", "-c", teller, sys.executable, "-c", program, *arguments]
    seen = measure(command, folder, env)
    seen.said, _, count = seen.said.rstrip("\n").rpartition("\n")
    seen.peak = int(count) * 1024
    return seen


def _take(line: str, seen: Seen) -> None:
    found = _LINE.match(line)
    if found is None:
        return
    call, words, result = found["call"], found["words"], int(found["result"])
    if call in ("connect", "sendto", "sendmsg"):
        seen.contacted |= {f"{four or six}:{port}" for port, four, six in _ADDRESS.findall(words)}
        return
    paths = [_whole(match) for match in _PATH.finditer(words)]
    if not paths:
        return
    if call in ("execve", "execveat"):
        if result == 0 and Path(paths[0]).name not in _RUN_BY_ITSELF:
            seen.ran.add(paths[0])
    elif call in ("open", "openat", "openat2"):
        if _WRITING.search(words):
            seen.changed.add(paths[0])
        elif result >= 0 and "O_DIRECTORY" not in words:
            seen.read.add(paths[0])
    elif result == 0:
        seen.changed |= set(paths)


def _whole(match: re.Match[str]) -> str:
    name = match["name"]
    return os.path.normpath(os.path.join(match["at"] or "/", name))  # noqa: PTH118


def show(
    arguments: Iterable[str],
    folder: Path,
    env: Mapping[str, str],
    *,
    answers: str = "",
    program: str = ELYSIUM,
) -> Seen:
    """Run ``elysium`` with `arguments` on a terminal, where a person types `answers`."""
    Path(env["TMPDIR"]).mkdir(parents=True, exist_ok=True)
    child, terminal = pty.fork()
    if child == 0:
        os.chdir(folder)
        os.execve(sys.executable, [sys.executable, "-c", program, *arguments], dict(env))  # noqa: S606
    said = bytearray()
    deadline = time.monotonic() + LIMIT
    os.write(terminal, answers.encode())
    try:
        while time.monotonic() < deadline:
            if not select.select([terminal], [], [], 1)[0]:
                continue
            try:
                piece = os.read(terminal, 1 << 16)
            except OSError:  # the other side is closed
                break
            if not piece:
                break
            said += piece
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL if time.monotonic() >= deadline else 0)
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        os.close(terminal)
    assert time.monotonic() < deadline, said.decode("utf-8", "replace")
    return Seen(code=code, said=said.decode("utf-8", "surrogateescape"))


_MOVES = re.compile(r"\x1b\[[0-9;]*m|\x1b\[\?25[lh]|\x1b\[\d*[AK]")
"""What elysium and rich write to a terminal of their own: colours, the cursor, a line anew."""


def controls(said: str) -> list[str]:
    """Return the control characters that reached a terminal and are not elysium's own."""
    rest = _MOVES.sub("", re.sub(r"\r(?=(?:\x1b\[1A)*\x1b\[2K)|\r\n", "", said))
    odd = re.compile(
        "[\x00-\x08\x0b-\x1f\x7f-\x9f\u00ad\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff"
        "\ud800-\udfff\U000e0000-\U000e007f]"
    )
    return [ascii(rest[max(0, m.start() - 30) : m.end() + 30]) for m in odd.finditer(rest)]

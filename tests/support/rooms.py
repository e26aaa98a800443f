"""Throwaway roots with an SSH server, in which elysium's own code removes things.

`Rooms` starts this module as a program. For each job it leaves a process in new mount, process and
network namespaces, which builds a tree (`removals`), starts a real sshd in a chroot to it, and runs
the product's code against that. Root's login shell is the job's.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import signal
import socket
import struct
import subprocess
import sys
import time
import traceback
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).parents[2]
if __name__ == "__main__":
    sys.path.insert(0, str(REPOSITORY))

from tests.support import removals  # noqa: E402

LIMIT = 90
"""Seconds for one job."""
SHELL_NAMES = {"busybox": "ash"}
"""Shells that are called by another name than that of their program."""
SCRIPT = "/usr/local/bin/k3s-uninstall.sh"
_NO_ANSWER = json.dumps({"failed": "the room ended without an answer"})
_NEW = 0x00020000 | 0x20000000 | 0x40000000 | 0x08000000  # mount, pid, network, ipc


@dataclass(frozen=True)
class Told:
    """What came of a job: what was left and warned of, or the error; the tree before and after."""

    said: list[str]
    error: str
    before: removals.Seen
    after: removals.Seen


class Rooms:
    """The program that makes rooms, for as many jobs as wanted, one at a time."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, __file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def run(self, job: str, shell: str, tree: removals.Tree, **values: Any) -> Told:
        """Do `job` on `tree`: ``destroy``, ``keep-data``, ``script``, ``script-keep``, ``media``.

        `shell` is the path of root's login shell.
        """
        asked = {"job": job, "shell": shell, "steps": tree.steps, "values": values}
        assert self._process.stdin and self._process.stdout
        self._process.stdin.write(f"{json.dumps(asked)}\n")
        self._process.stdin.flush()
        told = json.loads(self._process.stdout.readline())
        assert "failed" not in told, told["failed"]
        return Told(
            said=told["said"],
            error=told["error"],
            before=_seen(told["before"]),
            after=_seen(told["after"]),
        )

    def close(self) -> None:
        """End the program."""
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.close()
        self._process.wait(LIMIT)
        self._process.stdout.close()


def _seen(told: dict[str, Any]) -> removals.Seen:
    return removals.Seen(
        files=told["files"], folders=frozenset(told["folders"]), mounts=frozenset(told["mounts"])
    )


# -- the program ---------------------------------------------------------------


def _main() -> None:
    import provision.host.session
    import provision.provider.media.mount  # noqa: F401 - before the first fork

    for line in sys.stdin:
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(reading)
            _in_namespaces(json.loads(line), writing)
        os.close(writing)
        with os.fdopen(reading) as answers:
            answer = answers.read()
        os.waitpid(child, 0)
        sys.stdout.write(f"{answer or _NO_ANSWER}\n")
        sys.stdout.flush()


def _in_namespaces(asked: dict[str, Any], writing: int) -> None:
    """Become the first process of new namespaces, do the job, and exit."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(_NEW):
        os._exit(2)
    child = os.fork()
    if child:
        os._exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    # All other processes of the room end with this one.
    signal.alarm(LIMIT)
    try:
        answer = json.dumps(_job(asked))
    except BaseException:  # noqa: BLE001 - the test shows it
        answer = json.dumps({"failed": traceback.format_exc()})
    with os.fdopen(writing, "w") as out:
        out.write(answer)
    os._exit(0)


def _job(asked: dict[str, Any]) -> dict[str, Any]:
    from provision import errors

    removals.make_root()
    # sshd's PATH does not begin with the folder of stubs.
    systemctl = removals.ROOT / "usr/bin/systemctl"
    removals.mount(removals.ROOT / "stubs/systemctl", systemctl, flags=removals.BIND)
    removals.build(asked["steps"])
    with _server(asked["shell"]) as node:
        before = removals.look()
        said: list[str] = []
        error = ""
        try:
            said = _JOBS[asked["job"]](node, asked["values"])
        except errors.ElysiumError as found:
            error = f"{type(found).__name__}: {found} {found.detail} {found.hint}"
        after = removals.look()
    return {"said": said, "error": error, "before": _told(before), "after": _told(after)}


def _told(seen: removals.Seen) -> dict[str, Any]:
    return {
        "files": seen.files,
        "folders": sorted(seen.folders),
        "mounts": sorted(seen.mounts),
    }


@contextlib.contextmanager
def _server(shell: str) -> Iterator[Any]:
    """Run sshd in a chroot to the tree; yield the configuration of a node that logs in to it."""
    from provision import config

    _loopback_up()
    root = removals.ROOT
    for name in ("room", "room/home", "run/sshd"):
        (root / name).mkdir(mode=0o755)
    host_key, _ = _key(root / "room/host"), _key(root / "room/user")
    # The name decides what a shell is; where /usr/bin has a link, it leads to a folder of /etc.
    name = Path(shell).name
    login = f"/room/{SHELL_NAMES.get(name, name)}"
    (root / login.lstrip("/")).symlink_to(os.path.realpath(shell))
    (root / "etc/passwd").write_text(
        f"root:x:0:0:root:/room/home:{login}\nsshd:x:100:65534::/run/sshd:/usr/sbin/nologin\n"
    )
    (root / "etc/group").write_text("root:x:0:\nnogroup:x:65534:\n")
    (root / "room/sshd_config").write_text(
        "Port 22\nListenAddress 127.0.0.1\nPidFile none\nUsePAM no\nHostKey /room/host\n"
        "AuthorizedKeysFile /room/user.pub\nPermitRootLogin yes\nStrictModes no\nLogLevel ERROR\n"
    )
    with (root / "room/log").open("wb") as log:
        process = subprocess.Popen(
            ["chroot", str(root), "/usr/sbin/sshd", "-D", "-e", "-f", "/room/sshd_config"],
            stdout=log,
            stderr=log,
        )
    _wait_for_port(process, root / "room/log")
    try:
        yield config.Node.model_validate(
            {
                "name": "kyrion",
                "host": "127.0.0.1",
                "user": "root",
                "host_key": host_key,
                "identity_file": str(root / "room/user"),
                "agent": False,
            }
        )
    finally:
        process.kill()
        process.wait()


def _loopback_up() -> None:
    import fcntl

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as plug:
        fcntl.ioctl(plug, 0x8914, struct.pack("16sh14x", b"lo", 1 | 64))


def _key(path: Path) -> str:
    subprocess.run(
        ["ssh-keygen", "-q", "-N", "", "-t", "ed25519", "-f", str(path)],
        check=True,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
    )
    kind, data = path.with_suffix(".pub").read_text().split()[:2]
    return f"{kind} {data}"


def _wait_for_port(process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError):
            socket.create_connection(("127.0.0.1", 22), timeout=1).close()
            return
        if process.poll() is not None:
            break
        time.sleep(0.02)
    raise RuntimeError(f"sshd does not listen: {log.read_text()}")


# -- the jobs ------------------------------------------------------------------


def _destroy(node: Any, values: dict[str, Any], *, keep_data: bool = False) -> list[str]:
    from provision.host import session
    from provision.provider.k3s import service

    with session.NodeSession(node) as opened:
        return list(service.remove(opened, {"options": values["options"]}, keep_data=keep_data))


def _keep_data(node: Any, values: dict[str, Any]) -> list[str]:
    return _destroy(node, values, keep_data=True)


def _script(node: Any, values: dict[str, Any], *words: str) -> list[str]:
    """Type the script's name into the login shell, as a person would."""
    done = subprocess.run(
        [
            *("ssh", "-F", "none", "-i", node.identity_file, "-o", "StrictHostKeyChecking=no"),
            *("-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR"),
            *("-o", "IdentitiesOnly=yes", "root@127.0.0.1", "--", SCRIPT, *words),
        ],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, (done.returncode, done.stdout, done.stderr)
    return os.fsdecode(done.stdout).splitlines()


def _script_keep(node: Any, values: dict[str, Any]) -> list[str]:
    return _script(node, values, "--keep-data")


def _media(node: Any, values: dict[str, Any]) -> list[str]:
    from provision.host import session
    from provision.provider.media import mount
    from tests.support.nodeworld import World

    with session.NodeSession(node) as opened:
        world = World(opened, None)  # type: ignore[arg-type]
        mount.MediaMount().delete(world, {"node": "kyrion", **values["inputs"]}, {})
        return world.warned


_JOBS = {
    "destroy": _destroy,
    "keep-data": _keep_data,
    "script": _script,
    "script-keep": _script_keep,
    "media": _media,
}

if __name__ == "__main__":
    _main()

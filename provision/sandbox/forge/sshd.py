"""The real OpenSSH sshd in front of the repositories.

It runs in a mount and process namespace of its own, with its own
``/etc/passwd`` whose user ``git`` is the one it serves, and the forge's root
folder at ``/run/forge``: nothing is added to the machine, and when the forge
ends, however it ends, the kernel ends every session. ``authorized_keys`` holds
exactly the registered deploy keys, each with a forced command (`gitshell`),
and is replaced atomically at each change. Facts: sshd(8), sshd_config(5).
"""

from __future__ import annotations

import contextlib
import datetime
import os
import re
import select
import shlex
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterable
from pathlib import Path

from provision import errors
from provision.fileio import atomic
from provision.sandbox.forge import journal, sshkeys
from provision.sandbox.forge.store import Repository

_ALGORITHMS = {"ed25519": "0", "ecdsa": "256", "rsa": "3072"}
_INSIDE = "/run/forge"
_FAILED = re.compile(r"Failed publickey for (\S+) from \S+ port \d+ ssh2: \S+ (SHA256:\S+)")
_START_SECONDS = 20.0
_CONFIG = """\
ListenAddress {address}
{host_keys}
AuthorizedKeysFile {inside}/ssh/authorized_keys
AllowUsers git
AuthenticationMethods publickey
PubkeyAuthentication yes
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin forced-commands-only
UsePAM no
UseDNS no
AcceptEnv GIT_PROTOCOL
PermitTTY no
PermitUserRC no
DisableForwarding yes
PrintMotd no
PidFile none
LogLevel VERBOSE
LoginGraceTime 30
MaxAuthTries 20
MaxStartups 200
"""
_START = """\
set -e
mount --bind "$1" /mnt
mount -t tmpfs -o mode=0755 tmpfs /run
mkdir -m 0755 /run/sshd /run/forge
mount --move /mnt /run/forge
for name in passwd group shadow; do
    mount --bind "/run/forge/ssh/etc/$name" "/etc/$name"
done
exec "$2" -D -e -f /run/forge/ssh/sshd_config
"""
_ACCOUNTS = {
    "passwd": "root:x:0:0::/root:/bin/sh\nsshd:x:997:65534::/run/sshd:/usr/sbin/nologin\n"
    "nobody:x:65534:65534::/nonexistent:/usr/sbin/nologin\n"
    "git:x:0:0:git:/run/forge:/bin/sh\n",
    "group": "root:x:0:\nnogroup:x:65534:\n",
    "shadow": "root:*:19000:0:99999:7:::\nsshd:*:19000:0:99999:7:::\n"
    "nobody:*:19000:0:99999:7:::\ngit:*:19000:0:99999:7:::\n",
}


def find_sshd() -> str:
    """Return the path of sshd. Raises ElysiumError, naming the package, without one."""
    found = shutil.which("sshd", path="/usr/sbin:/usr/local/sbin:/usr/bin")
    if not found:
        raise errors.ElysiumError(
            "There is no sshd on this machine.", hint="Install the package openssh-server."
        )
    return found


class Sshd:
    """The sshd of a forge whose files are below `root`/ssh.

    `start` must be called from a thread that lives as long as the sshd should:
    the kernel ends the sshd with the thread that started it.
    """

    def __init__(self, root: Path, host: str, port: int) -> None:
        self._root = root
        self.host = host
        self.port = port
        self._journal = journal.Journal(root / "git.jsonl")
        self._process: subprocess.Popen[bytes] | None = None
        self._keys: tuple[str, ...] = ()
        self.refuse_keys = False

    # -- files ------------------------------------------------------------------

    def prepare(self) -> None:
        """Write host keys (once), configuration, accounts and the session's program."""
        folder = self._root / "ssh"
        (folder / "etc").mkdir(parents=True, exist_ok=True)
        self._root.chmod(0o700)
        makers: list[subprocess.Popen[bytes]] = []
        for algorithm, bits in _ALGORITHMS.items():
            file = folder / f"ssh_host_{algorithm}_key"
            if not file.with_suffix(".pub").exists():
                file.unlink(missing_ok=True)
                size = ["-b", bits] if bits != "0" else []
                command = ["ssh-keygen", "-q", "-t", algorithm, *size, "-N", "", "-C", "forge"]
                makers.append(subprocess.Popen([*command, "-f", str(file)]))
        if any(maker.wait(timeout=60) for maker in makers):
            raise errors.ElysiumError("ssh-keygen could not make the forge's host keys.")
        for name, text in _ACCOUNTS.items():
            atomic.write(folder / "etc" / name, text, mode=0o644)
        script = Path(__file__).with_name("gitshell.py").read_bytes()
        atomic.write(folder / "gitshell.py", script, mode=0o755)
        keys = "\n".join(f"HostKey {_INSIDE}/ssh/ssh_host_{a}_key" for a in _ALGORITHMS)
        address = f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"
        config = _CONFIG.format(address=address, host_keys=keys, inside=_INSIDE)
        atomic.write(folder / "sshd_config", config.encode())

    def host_keys(self) -> list[str]:
        """Return the public host keys as ``algorithm base64``, best first."""
        if not self._keys:
            files = (self._root / "ssh" / f"ssh_host_{a}_key.pub" for a in _ALGORITHMS)
            self._keys = tuple(" ".join(f.read_text().split()[:2]) for f in files)
        return list(self._keys)

    def fingerprint(self, key: str) -> str:
        """Return the ``SHA256:…`` fingerprint of a public key."""
        return sshkeys.fingerprint(key)

    def write_authorized_keys(self, repositories: Iterable[Repository]) -> None:
        """Make the accepted keys exactly those of `repositories`, at once."""
        python = shlex.quote(sys.executable)
        lines: list[str] = []
        for repository in repositories:
            for key in repository.keys:
                mode = "ro" if key.read_only else "rw"
                command = f"exec {python} -I -S {_INSIDE}/ssh/gitshell.py {_INSIDE} {key.id} "
                command += f"{mode} {shlex.quote(repository.slug)} {key.fingerprint}"
                quoted = command.replace('"', '\\"')
                lines.append(f'restrict,command="{quoted}" {key.key}\n')
        data = "" if self.refuse_keys else "".join(lines)
        atomic.write(self._root / "ssh" / "authorized_keys", data.encode())

    def last_used(self, key_id: int) -> str | None:
        """Return when a key last opened a session, as GitHub's API writes it, or None."""
        file = self._root / "last-used" / str(key_id)
        with contextlib.suppress(FileNotFoundError):
            at = datetime.datetime.fromtimestamp(file.stat().st_mtime, datetime.UTC)
            return at.strftime("%Y-%m-%dT%H:%M:%SZ")
        return None

    # -- the process ---------------------------------------------------------------

    def start(self) -> None:
        """Start the sshd and return when it listens. Raises ElysiumError when it does not."""
        command = ["setpriv", "--pdeathsig", "KILL", "unshare", "--mount", "--pid", "--fork"]
        command += ["--kill-child=KILL", "--propagation", "private", "sh", "-c", _START, "forge"]
        process = subprocess.Popen(
            [*command, str(self._root), find_sshd()],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        self._process = process
        lines = self._await_listening(process)
        reader = threading.Thread(target=self._follow, args=(process, lines), daemon=True)
        reader.start()

    def _await_listening(self, process: subprocess.Popen[bytes]) -> bytes:
        deadline = time.monotonic() + _START_SECONDS
        seen = b""
        while b"Server listening on" not in seen:
            left = deadline - time.monotonic()
            source = process.stderr
            if source is None:
                break
            ready, _, _ = select.select([source], [], [], max(0.0, left))
            data = os.read(source.fileno(), 65536) if ready else b""
            seen += data
            if not data:
                self.stop()
                raise errors.ElysiumError(
                    f"The forge's sshd does not listen on {self.host} port {self.port}.",
                    detail=seen.decode(errors="replace"),
                    hint="It needs root, and a free port.",
                )
        return seen.partition(b"\n")[2]

    def _follow(self, process: subprocess.Popen[bytes], rest: bytes) -> None:
        """Log every refused key until the sshd ends."""
        source = process.stderr
        while source is not None:
            *lines, rest = rest.split(b"\n")
            for line in lines:
                found = _FAILED.search(line.decode(errors="replace"))
                if found:
                    self._journal.append(
                        operation="auth", result="refused", key=found[2], detail=found[1]
                    )
            try:
                data = os.read(source.fileno(), 65536)
            except (OSError, ValueError):
                return
            if not data:
                return
            rest += data

    def stop(self) -> None:
        """End the sshd and every session; harmless when it does not run."""
        process, self._process = self._process, None
        if process is None:
            return
        process.kill()
        process.wait(timeout=10)
        if process.stderr:
            with contextlib.suppress(OSError):
                process.stderr.close()

    @property
    def running(self) -> bool:
        """Whether the sshd runs."""
        return self._process is not None and self._process.poll() is None

"""A sandbox and a user's folder in it: what the end-to-end tests drive.

Everything is done as a user does it: the `elysium` program as a subprocess,
with the user's environment and nothing else. What happened is then looked at
from outside: on the node, in the API server, on the forge.
"""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import subprocess
import sys
from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from typing import Any

from provision import progress
from provision.sandbox import lifecycle, model, node, tryout
from provision.sandbox.forge import client
from tests.support import github_calls

ELYSIUM = pathlib.Path(sys.executable).with_name("elysium")


@dataclass(frozen=True, kw_only=True)
class Done:
    """One finished command."""

    args: tuple[str, ...]
    status: int
    stdout: str
    stderr: str

    def ok(self) -> Done:
        """Return itself; fail the test with everything it said if it failed."""
        if self.status != 0:
            raise AssertionError(
                f"elysium {' '.join(self.args)} ended with {self.status}\n"
                f"--- stdout\n{self.stdout}\n--- stderr\n{self.stderr}"
            )
        return self

    def json_lines(self) -> list[dict[str, Any]]:
        """Return the events that a run with ``--json`` printed."""
        return [json.loads(line) for line in self.stdout.splitlines() if line.startswith("{")]


@dataclass(kw_only=True)
class Lab:
    """A sandbox, and a folder with a stack for it."""

    sandbox: model.Sandbox
    folder: pathlib.Path
    cluster: str
    environ: dict[str, str] = field(default_factory=dict[str, str])
    called: dict[str, frozenset[github_calls.Call]] = field(
        default_factory=dict[str, frozenset[github_calls.Call]]
    )
    """What each command called of GitHub, so far."""

    def elysium(
        self,
        *args: str,
        timeout: float = 900,
        stdin: str | None = None,
        environ: Mapping[str, str] | None = None,
    ) -> Done:
        """Run ``elysium ARGS`` in the folder and return what it said."""
        since = len(self.forge.calls())
        done = subprocess.run(
            [str(ELYSIUM), *args],
            cwd=self.folder,
            env=self.environ | dict(environ or {}),
            input=stdin,
            text=True,
            capture_output=True,
            timeout=timeout,
            check=False,
        )
        command = github_calls.command_of(args)
        calls = github_calls.of_records(self.forge.calls(since))
        self.called[command] = self.called.get(command, frozenset()) | calls
        return Done(args=args, status=done.returncode, stdout=done.stdout, stderr=done.stderr)

    def on_node(self, script: str, *, check: bool = True, stdin: str = "") -> str:
        """Run `script` on the node as root and return what it printed."""
        done = node.run(self.sandbox.node, script, stdin=stdin, timeout=120)
        if check and done.returncode != 0:
            raise AssertionError(f"{script}\n{done.stdout}\n{done.stderr}")
        return done.stdout

    @property
    def forge(self) -> client.Forge:
        """The forge's control client."""
        return tryout.forge_of(self.sandbox)

    def kubectl(self, *args: str) -> Any:
        """Run kubectl on the node and return its JSON answer."""
        text = self.on_node(f"/usr/local/bin/k3s kubectl {' '.join(args)} -o json")
        return json.loads(text)


@contextlib.contextmanager
def sandbox(prefix: str, say: progress.Progress = progress.silent) -> Generator[model.Sandbox]:
    """Have a sandbox of this process's own for the length of the block.

    It stays up afterwards where ELYSIUM_KEEP_SANDBOX is set.
    """
    name = f"{prefix}-{os.getpid()}"
    try:
        yield lifecycle.up(name, say=say)
    finally:
        if not os.environ.get("ELYSIUM_KEEP_SANDBOX"):
            lifecycle.down(name)


def make(sandbox: model.Sandbox, folder: pathlib.Path, *, cluster: str = "kyrion") -> Lab:
    """Seed the sandbox's forge with a small repository, and write a stack for it in `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    home = folder / "home"
    home.mkdir(exist_ok=True)
    environ = {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "PULUMI_CONFIG_PASSPHRASE": "correct horse battery staple",
        "XDG_CACHE_HOME": os.environ.get("XDG_CACHE_HOME", str(pathlib.Path.home() / ".cache")),
    }
    lab = Lab(sandbox=sandbox, folder=folder, cluster=cluster, environ=environ)
    tryout.seed_repository(sandbox, cluster)
    return lab


def configure(lab: Lab) -> None:
    """Write the stack's configuration as a user would, with the program itself."""
    lab.elysium(*tryout.init_arguments(lab.sandbox, lab.cluster)).ok()
    for key, value in {**tryout.settings(lab.sandbox), "flux.interval": "2s"}.items():
        lab.elysium("config", "set", key, value).ok()
    key = tryout.media_key(lab.sandbox)
    lab.elysium("config", "set", "--secret", "media.remote.key", stdin=key + "\n").ok()
    lab.elysium("config", "validate").ok()


def counted(done: Done) -> set[str]:
    """Return which kinds of step a run with ``--json`` says it took."""
    (summary,) = [event for event in done.json_lines() if event.get("event") == "summary"]
    return set(summary["counts"])


_LIST = r"""
find / /var/lib -xdev \( -path /proc -o -path /sys -o -path /dev -o -path /run -o -path /tmp \
  -o -path /var/log -o -path /var/cache -o -path /var/lib/systemd -o -path /var/tmp \
  -o -path /root/.ssh -o -path /root/.kube \) -prune \
  -o \( -type f -o -type l \) -printf '%p %m %s\n' | sort
"""


def files(lab: Lab) -> dict[str, str]:
    """Return the mode and size of every file on the node, by path."""
    found: dict[str, str] = {}
    for line in lab.on_node(_LIST).splitlines():
        path, mode, size = line.rsplit(" ", 2)
        found[path] = f"{mode} {size}"
    return found


CLUSTER_WRITES = (
    "/var/lib/kubelet/",
    "/var/lib/rancher/k3s/agent/",
    "/var/lib/rancher/k3s/server/db/",
    "/var/lib/rancher/k3s/storage/",
)
"""Folders to which kubelet, its Pods and the datastore write whenever they like."""


def files_beside_the_cluster(lab: Lab) -> dict[str, str]:
    """Return `files` without those that a running cluster writes by itself.

    Two of these listings may be compared while k3s runs. Two of `files` may not:
    a Pod may create or remove a temporary file between them.
    """
    return {path: is_ for path, is_ in files(lab).items() if not path.startswith(CLUSTER_WRITES)}

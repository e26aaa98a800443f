"""Rotations of the deploy key that are hurt on the way, against a real forge and API server.

`hooked` gives the steps of the code with something done before or after one of
them. Run as a program (``python -m tests.support.rotations``, a `Job` as JSON on
standard input), it rotates once and kills itself there.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import pathlib
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

from provision import config, errors
from provision.github import repository
from provision.kube.client import KubeClient
from provision.provider import resource
from provision.provider.deploy_key import access as deploy_key_access
from provision.provider.deploy_key import keypair
from provision.provider.deploy_key import rotation as deploy_key_rotation
from provision.sandbox.forge import client
from tests.support import steps

NAMESPACE = "flux-system"
SOURCE = ("source.toolkit.fluxcd.io/v1", "GitRepository")
AUTOMATION = ("image.toolkit.fluxcd.io/v1", "ImageUpdateAutomation")
ACCESS = deploy_key_access.GitAccess()


@dataclasses.dataclass
class World:
    """A context for the resource: the forge's GitHub and the cluster of a kubeconfig."""

    forge: client.Forge
    kubeconfig: str
    hub: repository.Repository = dataclasses.field(init=False)
    cluster: KubeClient = dataclasses.field(init=False)

    def __post_init__(self) -> None:
        info = self.forge.info
        cfg = config.GitHub(
            owner=info.owner,
            repository=info.repository,
            base_url=info.api,
            allow_http=True,
            ssh_host=info.ssh_host,
            ssh_port=info.ssh_port,
        )
        self.hub = repository.Repository.open(cfg, self.forge.token(), deadline=60)
        self.cluster = KubeClient.from_kubeconfig(self.kubeconfig)

    def close(self) -> None:
        self.hub.close()
        self.cluster.close()

    def impatient(self) -> None:
        """Give up GitHub after the second try of a call."""
        self.hub._link.deadline = 1.5

    def node(self, name: str) -> Any:
        raise AssertionError("a rotation does not reach a node")

    def github(self) -> repository.Repository:
        return self.hub

    def kube(self, kubeconfig: str) -> KubeClient:
        return self.cluster

    def artifacts(self) -> Any:
        raise AssertionError("nothing is to be downloaded")

    def progress(self, message: str) -> None:
        pass

    def warn(self, message: str) -> None:
        raise AssertionError(message)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Job:
    """One run as a new process does it. `step` and `moment` are where it is killed."""

    root: str
    repository: str
    kubeconfig: str
    inputs: dict[str, Any]
    state: dict[str, Any]
    step: str = ""
    moment: str = ""

    def world(self) -> World:
        """Return a world in which nothing is known yet."""
        info = client.read_info(pathlib.Path(self.root))
        assert info is not None, "the forge does not run"
        info = dataclasses.replace(info, repository=self.repository)
        return World(forge=client.Forge(info), kubeconfig=self.kubeconfig)

    def run(self, begun: Callable[[World], object] = lambda _: None) -> dict[str, Any]:
        """Converge as ``up`` does and return the state to remember.

        `begun` is called with the world that this happens in.
        """
        with contextlib.closing(self.world()) as world:
            begun(world)
            observed, kept = resource.converge(ACCESS, world, self.inputs, self.state)
            return self.inputs | ACCESS.outputs(observed.facts, self.inputs, kept)

    def plan(self) -> tuple[str, ...]:
        """Return what ``status`` says is left to do."""
        with contextlib.closing(self.world()) as world:
            facts = ACCESS.observe(world, self.inputs, self.state).facts
            planned = ACCESS.plan(facts, self.inputs, self.state)
            return tuple(change.summary for change in planned)

    def killed(self) -> int:
        """Run as a process that is killed at `step`; return its status (-9: it was)."""
        done = subprocess.run(
            [sys.executable, "-m", "tests.support.rotations"],
            input=json.dumps(dataclasses.asdict(self)),
            text=True,
            capture_output=True,
            timeout=120,
            cwd=pathlib.Path(__file__).parents[2],
            check=False,
        )
        if done.returncode != -signal.SIGKILL:
            raise AssertionError(f"it ended with {done.returncode}\n{done.stdout}{done.stderr}")
        return done.returncode


class Gate:
    """A TCP relay on loopback in front of `port`; shut, nobody answers there."""

    def __init__(self, port: int) -> None:
        self._to = port
        self._shut = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def shut(self) -> None:
        """Break every connection, and let none through."""
        self._shut.set()

    def open(self) -> None:
        """Let connections through again."""
        self._shut.clear()

    def close(self) -> None:
        """End for good."""
        self._shut.set()
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            if self._shut.is_set():
                near.close()
                continue
            far = socket.create_connection(("127.0.0.1", self._to))
            threading.Thread(target=self._relay, args=(near, far), daemon=True).start()

    def _relay(self, near: socket.socket, far: socket.socket) -> None:
        with near, far, contextlib.suppress(OSError):
            while not self._shut.is_set():
                ready, _, _ = select.select([near, far], [], [], 0.05)
                for one in ready:
                    data = one.recv(1 << 16)
                    if not data:
                        return
                    (far if one is near else near).sendall(data)


class Flux:
    """source-controller and image automation, as small as can be, with real git over real SSH.

    `mode`: ``ok``; ``failing`` (acts, and is never Ready); ``silent`` (never acts).
    """

    def __init__(self, cluster: KubeClient, forge: client.Forge) -> None:
        self._cluster = cluster
        self._forge = forge
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._loop, daemon=True)
        self.mode = "ok"

    def __enter__(self) -> Flux:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join(30)

    def _loop(self) -> None:
        while not self._ended.wait(0.05):
            for version, kind in (SOURCE, AUTOMATION):
                obj = self._cluster.get(version, kind, "flux-system", NAMESPACE)
                secret = self._cluster.get("v1", "Secret", "flux-system", NAMESPACE)
                if obj is None or secret is None or self.mode == "silent":
                    continue
                wanted = (obj["metadata"].get("annotations") or {}).get(
                    "reconcile.fluxcd.io/requestedAt", ""
                )
                status = obj.get("status") or {}
                ready = [c for c in status.get("conditions") or () if c["status"] == "True"]
                if ready and status.get("lastHandledReconcileAt", "") == wanted:
                    continue
                words = git_words(self._forge, secret, push=kind == AUTOMATION[1])
                if self.mode == "failing":
                    words = "it fails for a reason of its own"
                self._say(version, kind, obj, wanted, words)

    def _say(self, version: str, kind: str, obj: Any, stamp: str, words: str) -> None:
        ready = {
            "type": "Ready",
            "status": "False" if words else "True",
            "reason": "GitOperationFailed" if words else "Succeeded",
            "message": words or "done",
            "lastTransitionTime": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "observedGeneration": obj["metadata"]["generation"],
        }
        status = {
            "observedGeneration": obj["metadata"]["generation"],
            "lastHandledReconcileAt": stamp,
            "conditions": [ready],
        }
        self._cluster.patch(
            version, kind, "flux-system", NAMESPACE, {"status": status}, subresource="status"
        )


def git_words(forge: client.Forge, secret: Any, *, push: bool = False) -> str:
    """Return what git complains of when it uses a Secret's key; empty: it works."""
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        (folder / "key").touch(0o600)
        (folder / "key").write_text(keypair.secret_field(secret, "identity"))
        (folder / "hosts").write_text(keypair.secret_field(secret, "known_hosts"))
        ssh = (
            "ssh -F none -o BatchMode=yes -o IdentitiesOnly=yes -o StrictHostKeyChecking=yes"
            f" -o UserKnownHostsFile={folder}/hosts -i {folder}/key"
        )
        environ = {"PATH": os.environ["PATH"], "HOME": name, "GIT_SSH_COMMAND": ssh}
        command = ["git", "ls-remote", forge.ssh_url, "main"]
        if push:
            # The server checks the right before it finds that there is nothing to remove.
            command = ["git", "-C", str(forge.path), "push", forge.ssh_url, ":refs/heads/absent"]
        done = subprocess.run(
            command, env=environ, capture_output=True, text=True, timeout=60, check=False
        )
        if done.returncode == 0 or (push and "remote ref does not exist" in done.stderr):
            return ""
        return done.stderr.strip()[-300:] or f"git ended with {done.returncode}"


@contextlib.contextmanager
def objects(cluster: KubeClient, forge: client.Forge) -> Iterator[None]:
    """Have a GitRepository and an ImageUpdateAutomation of the forge's repository."""
    metadata = {"name": "flux-system", "namespace": NAMESPACE}
    made: list[dict[str, Any]] = [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}},
        {
            "apiVersion": SOURCE[0],
            "kind": SOURCE[1],
            "metadata": metadata,
            "spec": {
                "interval": "1m",
                "url": forge.ssh_url,
                "ref": {"branch": "main"},
                "secretRef": {"name": "flux-system"},
            },
        },
        {
            "apiVersion": AUTOMATION[0],
            "kind": AUTOMATION[1],
            "metadata": metadata,
            "spec": {
                "interval": "1m",
                "sourceRef": {"kind": "GitRepository", "name": "flux-system"},
                "git": {
                    "checkout": {"ref": {"branch": "main"}},
                    "commit": {"author": {"name": "Flux", "email": "flux@localhost"}},
                },
            },
        },
    ]
    for obj in made:
        cluster.apply(obj, field_manager="test", force=True)
    yield
    for obj in reversed(made[1:]):
        cluster.delete(obj["apiVersion"], obj["kind"], "flux-system", NAMESPACE)


def main() -> int:
    """Run the job of standard input."""
    job = Job(**json.load(sys.stdin))
    deploy_key_rotation.STEPS = steps.hooked(
        deploy_key_rotation.STEPS,
        job.step,
        job.moment,
        lambda: os.kill(os.getpid(), signal.SIGKILL),
    )
    try:
        job.run()
    except errors.ElysiumError as error:
        sys.stderr.write(f"{error}\n{error.detail}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

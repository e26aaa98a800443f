"""A real API server and kustomize-controller, the forge, and Flux' other parts made small."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from provision import config, errors
from provision.github import repository
from provision.provider.deploy_key import keypair
from provision.sandbox.forge import control
from tests.support import fluxcluster

_PART_OF = {"app.kubernetes.io/part-of": "flux"}


@pytest.fixture(scope="session")
def forge_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[control.Forge]:
    with control.start_forge(tmp_path_factory.mktemp("forge") / "root") as forge:
        yield forge


@dataclasses.dataclass
class World:
    """A context for resources, and what a test wants to see."""

    forge: control.Forge
    cluster: Any
    hub: repository.Repository
    said: list[str] = dataclasses.field(default_factory=list)
    warned: list[str] = dataclasses.field(default_factory=list)

    def node(self, name: str) -> Any:
        raise AssertionError("no flux resource reaches a node")

    def github(self) -> repository.Repository:
        return self.hub

    def kube(self, kubeconfig: str) -> Any:
        return self.cluster.client

    def artifacts(self) -> Any:
        raise AssertionError("nothing is to be downloaded")

    def progress(self, message: str) -> None:
        self.said.append(message)

    def warn(self, message: str) -> None:
        self.warned.append(message)

    def fresh(self) -> World:
        """As in a new process: nothing is cached."""
        self.hub.close()
        self.hub = repository.Repository.open(self.hub.cfg, self.forge.token(), deadline=20)
        return self


class Controllers:
    """source-controller with real git over real SSH, and Deployments that are at once available.

    It fetches whatever the Secret holds, every `pause` seconds, and counts
    what fails.
    """

    def __init__(self, cluster: Any, folder: Path, pause: float = 0.2) -> None:
        self.cluster = cluster
        self.folder = folder
        self.pause = pause
        self.fetched = 0
        self.failed: list[str] = []
        self.stopping = threading.Event()
        self.thread = threading.Thread(target=self._loop, daemon=True)

    def __enter__(self) -> Controllers:
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stopping.set()
        self.thread.join(30)

    def _loop(self) -> None:
        while not self.stopping.wait(self.pause):
            try:
                self._deployments()
                self._source()
            except errors.KubeError as error:
                if error.status not in (0, 404, 409):
                    raise

    def _deployments(self) -> None:
        client = self.cluster.client
        for obj in client.list("apps/v1", "Deployment", "flux-system"):
            if (obj.get("status") or {}).get("availableReplicas"):
                continue
            one = {"replicas": 1, "updatedReplicas": 1, "availableReplicas": 1, "readyReplicas": 1}
            status = one | {"observedGeneration": obj["metadata"]["generation"]}
            client.patch(
                "apps/v1",
                "Deployment",
                obj["metadata"]["name"],
                "flux-system",
                {"status": status},
                subresource="status",
            )

    def _source(self) -> None:
        client = self.cluster.client
        version = "source.toolkit.fluxcd.io/v1"
        obj = client.get(version, "GitRepository", "flux-system", "flux-system")
        secret = client.get("v1", "Secret", "flux-system", "flux-system")
        if obj is None or secret is None:
            return
        stamp = (obj["metadata"].get("annotations") or {}).get("reconcile.fluxcd.io/requestedAt")
        now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        ready = {
            "type": "Ready",
            "status": "True",
            "reason": "Succeeded",
            "message": "stored artifact",
            "lastTransitionTime": now,
            "observedGeneration": obj["metadata"]["generation"],
        }
        status: dict[str, Any] = {"observedGeneration": obj["metadata"]["generation"]}
        if stamp:
            status["lastHandledReconcileAt"] = stamp
        try:
            sha, files = self._fetch(obj, secret)
        except subprocess.CalledProcessError as error:
            self.failed.append(error.stderr)
            ready |= {
                "status": "False",
                "reason": "GitOperationFailed",
                "message": error.stderr.strip()[-300:] or "failed",
            }
        else:
            self.fetched += 1
            revision = f"main@sha1:{sha}"
            if ((obj.get("status") or {}).get("artifact") or {}).get("revision") != revision:
                status["artifact"] = self._store(files, revision, now)
        status["conditions"] = [ready]
        client.patch(
            version,
            "GitRepository",
            "flux-system",
            "flux-system",
            {"status": status},
            subresource="status",
        )

    def _store(self, files: dict[str, str], revision: str, now: str) -> dict[str, Any]:
        import hashlib

        content = fluxcluster.pack(files)
        digest = hashlib.sha256(content).hexdigest()
        self.cluster.artifacts[f"/{digest}.tar.gz"] = content
        return {
            "path": f"{digest}.tar.gz",
            "url": f"http://127.0.0.1:{self.cluster.port}/{digest}.tar.gz",
            "revision": revision,
            "digest": f"sha256:{digest}",
            "size": len(content),
            "lastUpdateTime": now,
        }

    def _fetch(self, obj: Any, secret: Any) -> tuple[str, dict[str, str]]:
        with tempfile.TemporaryDirectory(dir=self.folder) as name:
            folder = Path(name)
            key, known = folder / "identity", folder / "known_hosts"
            key.touch(0o600)
            key.write_text(keypair.secret_field(secret, "identity"))
            known.write_text(keypair.secret_field(secret, "known_hosts"))
            ssh = (
                "ssh -F none -o BatchMode=yes -o IdentitiesOnly=yes -o StrictHostKeyChecking=yes"
                f" -o UserKnownHostsFile={known} -i {key}"
            )
            environ = {"PATH": os.environ["PATH"], "HOME": name, "GIT_SSH_COMMAND": ssh}
            work = folder / "work"
            branch = obj["spec"]["ref"]["branch"]
            self._git(environ, "clone", "-q", "--depth=1", "-b", branch, obj["spec"]["url"], work)
            sha = self._git(environ, "-C", work, "rev-parse", "HEAD").strip()
            files = {
                path.relative_to(work).as_posix(): path.read_text()
                for path in work.rglob("*")
                if path.is_file() and ".git" not in path.relative_to(work).parts
            }
            return sha, files

    def _git(self, environ: dict[str, str], *arguments: Any) -> str:
        return subprocess.run(
            ["git", *map(str, arguments)],
            env=environ,
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        ).stdout


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    folder = tmp_path_factory.mktemp("flux")
    with fluxcluster.running(folder) as running:
        yield running


@pytest.fixture(scope="module")
def controllers(cluster: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Controllers]:
    with Controllers(cluster, tmp_path_factory.mktemp("source")) as found:
        yield found


@pytest.fixture(scope="module")
def world(
    request: pytest.FixtureRequest,
    forge_server: control.Forge,
    cluster: Any,
    controllers: Controllers,
) -> Iterator[World]:
    forge = forge_server.with_repository(getattr(request.module, "REPOSITORY", "flux"))
    cfg = config.GitHub(
        owner=forge.info.owner,
        repository=forge.info.repository,
        base_url=forge.info.api,
        allow_http=True,
        ssh_host=forge.info.ssh_host,
        ssh_port=forge.info.ssh_port,
    )
    hub = repository.Repository.open(cfg, forge.token(), deadline=20)
    made = World(forge=forge, cluster=cluster, hub=hub)
    yield made
    made.hub.close()


@pytest.fixture(scope="module")
def components_file(cluster: Any, tmp_path_factory: pytest.TempPathFactory) -> str:
    """What ``flux install --export`` writes, with Deployments that run nothing."""
    import yaml

    names = ("source-controller", "kustomize-controller", "image-automation-controller")
    parts: list[Any] = [
        {
            "apiVersion": "v1",
            "kind": "Namespace",
            "metadata": {"name": "flux-system", "labels": dict(_PART_OF)},
        }
    ]
    for path in sorted(cluster.crds.glob("*.toolkit.fluxcd.io_*.yaml")):
        parts += list(yaml.safe_load_all(path.read_text()))
    for name in names:
        labels = {"app": name}
        parts.append(
            {
                "apiVersion": "apps/v1",
                "kind": "Deployment",
                "metadata": {
                    "name": name,
                    "namespace": "flux-system",
                    "labels": _PART_OF | {"app.kubernetes.io/version": "v2.9.3"},
                },
                "spec": {
                    "selector": {"matchLabels": labels},
                    "template": {
                        "metadata": {"labels": labels},
                        "spec": {"containers": [{"name": "manager", "image": f"flux/{name}"}]},
                    },
                },
            }
        )
    target = tmp_path_factory.mktemp("manifests") / "components.yaml"
    target.write_text(yaml.safe_dump_all(parts))
    return str(target)


@pytest.fixture
def until() -> Callable[[Callable[[], bool], str], None]:
    def wait(condition: Callable[[], bool], what: str) -> None:
        deadline = time.monotonic() + 30
        while not condition():
            if time.monotonic() > deadline:
                raise TimeoutError(what)
            time.sleep(0.05)

    return wait

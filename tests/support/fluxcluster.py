"""A real API server with Flux' definitions and a real kustomize-controller, fed by hand."""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import subprocess
import tarfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import yaml

from provision.kube import wait
from provision.kube.client import KubeClient
from tests.support import apiserver

MANAGER = "test"
TIMEOUT = 25


def definitions(bin_folder: Path) -> Path:
    """The folder with the generated definitions, beside the programs."""
    folder = Path(os.environ.get("ELYSIUM_SANDBOX_CRDS", bin_folder.parent / "crds"))
    if not folder.is_dir():
        pytest.fail("not built: crds (make sandbox-parts builds them)")
    return folder


def pack(files: Mapping[str, str]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for path, content in sorted(files.items()):
            info = tarfile.TarInfo(path)
            info.size = len(content.encode())
            archive.addfile(info, io.BytesIO(content.encode()))
    return buffer.getvalue()


@dataclass(kw_only=True)
class FluxCluster:
    server: apiserver.ApiServer
    client: KubeClient
    crds: Path
    artifacts: dict[str, bytes] = field(default_factory=dict)
    port: int = 0

    def install(self, *prefixes: str) -> None:
        """Apply the definitions whose files begin with one of `prefixes`."""
        made = []
        for path in sorted(self.crds.glob("*.yaml")):
            if path.name.startswith(prefixes):
                for obj in yaml.safe_load_all(path.read_text()):
                    self.client.apply(obj, field_manager=MANAGER, force=True)
                    made.append(wait.Ref.of(obj))
        wait.wait_ready(self.client, made, timeout=TIMEOUT)
        self.until(lambda: all(self._served(ref.name) for ref in made), "the kinds are served")

    def _served(self, name: str) -> bool:
        definition = self.client.get("apiextensions.k8s.io/v1", "CustomResourceDefinition", name)
        spec = definition["spec"]
        version = next(v["name"] for v in spec["versions"] if v["storage"])
        found = self.client.namespaced(f"{spec['group']}/{version}", spec["names"]["kind"])
        return found is not None

    def namespace(self, name: str) -> None:
        obj = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
        self.client.apply(obj, field_manager=MANAGER, force=True)

    def publish(self, files: Mapping[str, str], *, name: str = "flux-system") -> str:
        """Serve `files` as the artifact of GitRepository `name`; return the revision."""
        source = {
            "apiVersion": "source.toolkit.fluxcd.io/v1",
            "kind": "GitRepository",
            "metadata": {"name": name, "namespace": "flux-system"},
            "spec": {"interval": "1m", "url": "ssh://git@example.org/x.git"},
        }
        self.client.apply(source, field_manager=MANAGER, force=True)
        return self.store("GitRepository", name, "flux-system", files)

    def store(self, kind: str, name: str, namespace: str, files: Mapping[str, str] | None) -> str:
        """Mark a source Ready, with `files` as its artifact if any; return the revision."""
        version = "source.toolkit.fluxcd.io/v1"
        made = self.client.get(version, kind, name, namespace)
        content = pack(files or {})
        digest = hashlib.sha256(content).hexdigest()
        self.artifacts[f"/{digest}.tar.gz"] = content
        revision = f"main@sha1:{digest[:40]}"
        now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        ready = {
            "type": "Ready",
            "status": "True",
            "reason": "Succeeded",
            "message": "stored",
            "lastTransitionTime": now,
        }
        status: dict[str, object] = {
            "observedGeneration": made["metadata"]["generation"],
            "conditions": [ready],
        }
        if files is not None:
            status["artifact"] = {
                "path": f"{digest}.tar.gz",
                "url": f"http://127.0.0.1:{self.port}/{digest}.tar.gz",
                "revision": revision,
                "digest": f"sha256:{digest}",
                "size": len(content),
                "lastUpdateTime": now,
            }
        self.client.patch(version, kind, name, namespace, {"status": status}, subresource="status")
        return revision

    def kustomization(self, name: str, path: str, **spec: object) -> None:
        obj = {
            "apiVersion": "kustomize.toolkit.fluxcd.io/v1",
            "kind": "Kustomization",
            "metadata": {"name": name, "namespace": "flux-system"},
            "spec": {
                "interval": "1h",
                "retryInterval": "1s",
                "path": path,
                "prune": True,
                "timeout": "20s",
                "sourceRef": {"kind": "GitRepository", "name": "flux-system"},
                **spec,
            },
        }
        self.client.apply(obj, field_manager=MANAGER, force=True)

    def get_kustomization(self, name: str) -> dict | None:
        return self.client.get(
            "kustomize.toolkit.fluxcd.io/v1", "Kustomization", name, "flux-system"
        )

    def ready(self, *names: str) -> None:
        refs = [
            wait.Ref(
                api_version="kustomize.toolkit.fluxcd.io/v1",
                kind="Kustomization",
                name=name,
                namespace="flux-system",
            )
            for name in names
        ]
        wait.wait_ready(self.client, refs, timeout=TIMEOUT)

    def message(self, name: str) -> str:
        obj = self.get_kustomization(name) or {}
        return str(wait.condition(obj, "Ready").get("message", ""))

    def until(self, condition: Callable[[], bool], what: str) -> None:
        deadline = time.monotonic() + TIMEOUT
        while not condition():
            if time.monotonic() > deadline:
                raise TimeoutError(f"{what}: not within {TIMEOUT} s")
            time.sleep(0.1)

    def inventory(self, name: str) -> set[str]:
        """What the controller applied: ``namespace_name_group_kind``."""
        status = (self.get_kustomization(name) or {}).get("status") or {}
        return {entry["id"] for entry in (status.get("inventory") or {}).get("entries") or ()}


@contextlib.contextmanager
def running(folder: Path, *arguments: str) -> Iterator[FluxCluster]:
    """Start it all in `folder`; definitions and the GitRepository are up to the test.

    `arguments` are more options of kustomize-controller.
    """
    programs = apiserver.binaries("kube-apiserver", "kine", "kustomize-controller")
    crds = definitions(programs)
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(apiserver.running(folder))
        client = stack.enter_context(KubeClient.from_kubeconfig(server.kubeconfig))
        cluster = FluxCluster(server=server, client=client, crds=crds)

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                content = cluster.artifacts.get(self.path)
                self.send_response(200 if content else 404)
                self.send_header("Content-Length", str(len(content or b"")))
                self.end_headers()
                self.wfile.write(content or b"")

            def log_message(self, *_arguments: object) -> None:
                pass

        http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        cluster.port = http.server_address[1]
        thread = threading.Thread(target=http.serve_forever, daemon=True)
        thread.start()
        stack.callback(thread.join)
        stack.callback(http.server_close)
        stack.callback(http.shutdown)
        cluster.install("kustomize.", "source.", "helm.")
        cluster.namespace("flux-system")
        config = folder / "controller.kubeconfig"
        config.write_text(server.kubeconfig)
        log = stack.enter_context((folder / "kustomize-controller.log").open("wb"))
        process = subprocess.Popen(
            [
                str(programs / "kustomize-controller"),
                "--watch-all-namespaces=true",
                "--enable-leader-election=false",
                "--metrics-addr=127.0.0.1:0",
                "--health-addr=127.0.0.1:0",
                "--requeue-dependency=1s",
                "--no-remote-bases=true",
                *arguments,
            ],
            env={
                "KUBECONFIG": str(config),
                "RUNTIME_NAMESPACE": "flux-system",
                "HOME": str(folder),
                "TMPDIR": str(folder),
                "PATH": "/nonexistent",
            },
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
        )

        def end() -> None:
            process.terminate()
            process.wait(20)

        stack.callback(end)
        yield cluster

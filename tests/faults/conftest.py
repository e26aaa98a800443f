"""A real API server with Flux' definitions, behind a gate; a forge; and a small Flux between."""

from __future__ import annotations

import contextlib
import dataclasses
import os
from collections.abc import Iterator
from typing import Any

import pytest

from provision.kube.client import KubeClient
from provision.sandbox.forge import control
from tests.support import apiserver, fluxcluster, rotations


@dataclasses.dataclass
class Place:
    """Where rotations are hurt. `key` is what the state remembers of the last good run."""

    forge: control.Forge
    gate: rotations.Gate
    cluster: KubeClient
    flux: rotations.Flux
    kubeconfig: str
    state: dict[str, Any] = dataclasses.field(default_factory=dict[str, Any])
    rounds: int = 0

    def job(
        self, *, rotation: str = "", host_keys: tuple[str, ...] = (), **more: Any
    ) -> rotations.Job:
        """Return one run, which knows what the last good one saved."""
        inputs = {
            "kubeconfig": "kubeconfig",
            "cluster": "kyrion",
            "namespace": rotations.NAMESPACE,
            "secretName": "flux-system",
            "gitUrl": self.forge.ssh_url,
            "branch": "main",
            "readWrite": True,
            "algorithm": "ed25519",
            "hostKeys": list(host_keys),
            "rotation": rotation,
        }
        return rotations.Job(
            root=str(self.forge.info.root),
            repository=self.forge.info.repository,
            kubeconfig=self.kubeconfig,
            inputs=inputs,
            state=self.state,
            **more,
        )

    def mend(self) -> None:
        """End every fault."""
        self.forge.clear_faults()
        self.forge.ssh("ok")
        self.gate.open()
        self.flux.mode = "ok"

    def secret(self) -> dict[str, Any]:
        """Return the Secret that Flux reads, past the gate."""
        found = self.cluster.get("v1", "Secret", "flux-system", rotations.NAMESPACE)
        assert found is not None, "the Secret is absent"
        return found


@pytest.fixture(scope="session")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    if os.geteuid() != 0:
        pytest.fail("the forge's sshd needs root")
    crds = fluxcluster.definitions(apiserver.binaries("kube-apiserver", "kine"))
    with contextlib.ExitStack() as stack:
        forge = stack.enter_context(
            control.start_forge(tmp_path_factory.mktemp("forge") / "root")
        ).with_repository("faults")
        forge.seed_repository({"README.md": "# home\n"})
        server = stack.enter_context(apiserver.running(tmp_path_factory.mktemp("cluster")))
        client = stack.enter_context(KubeClient.from_kubeconfig(server.kubeconfig))
        cluster = fluxcluster.FluxCluster(server=server, client=client, crds=crds)
        cluster.install("source.", "image.")
        gate = rotations.Gate(server.port)
        stack.callback(gate.close)
        through = server.kubeconfig_for("admin", "system:masters", gate.port)
        stack.enter_context(rotations.objects(client, forge))
        flux = stack.enter_context(rotations.Flux(client, forge))
        yield Place(forge=forge, gate=gate, cluster=client, flux=flux, kubeconfig=through)

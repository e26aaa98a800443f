"""A program of pulumi_kubernetes types on the embedded engine, against a real API server."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from pathlib import Path

import pulumi
import pulumi_kubernetes
import pytest
from pulumi_kubernetes.core import v1 as core
from pulumi_kubernetes.meta import v1 as meta

from provision.engine import api, events
from provision.kube import provider
from provision.kube.client import KubeClient
from provision.secret import Secret

pytestmark = pytest.mark.sandbox

CANARY = "canary-in-the-cluster"


class Runs:
    """One stack and what its runs said."""

    def __init__(self, root: Path) -> None:
        self.ref = api.StackRef(
            root=root, project="elysium", stack="kyrion", backend=f"file://{root}/state"
        )
        self.seen: list[events.Event] = []

    def engine(self) -> api.Engine:
        providers = {"kubernetes": provider.KubernetesProvider}
        return api.open_engine("embedded", self.ref, Secret("passphrase"), providers)

    def up(self, program: Callable[[], None]) -> api.Result:
        return self.engine().up(program, options=api.Options(), on_event=self.seen.append)

    def preview(self, program: Callable[[], None]) -> api.Result:
        return self.engine().preview(program, options=api.Options(), on_event=self.seen.append)

    def destroy(self) -> api.Result:
        return self.engine().destroy(options=api.Options(), on_event=self.seen.append)


@pytest.fixture
def runs(tmp_path: Path) -> Runs:
    return Runs(tmp_path)


def program(kubeconfig: str, namespace: str, **data: str) -> Callable[[], None]:
    def made() -> None:
        cluster = pulumi_kubernetes.Provider(
            "kubernetes",
            kubeconfig=pulumi.Output.secret(kubeconfig),
            cluster_identifier="kyrion",
            enable_server_side_apply=True,
            enable_secret_mutable=True,
            upsert_existing_objects=True,
        )
        opts = pulumi.ResourceOptions(provider=cluster)
        space = core.Namespace("space", metadata=meta.ObjectMetaArgs(name=namespace), opts=opts)
        core.Secret(
            "secret",
            metadata=meta.ObjectMetaArgs(name="secret", namespace=space.metadata["name"]),
            string_data={"token": CANARY, **data},
            opts=opts,
        )
        vars_ = core.ConfigMap(
            "vars",
            metadata=meta.ObjectMetaArgs(namespace=space.metadata["name"]),
            data={"TZ": "Europe/Berlin"},
            opts=opts,
        )
        pulumi.export("name", vars_.metadata["name"])

    return made


def test_life_of_a_stack(apiserver, client: KubeClient, runs: Runs) -> None:
    kubeconfig = apiserver.kubeconfig
    first = program(kubeconfig, "engine")
    assert runs.preview(first).changed
    assert client.get("v1", "Namespace", "engine") is None
    made = runs.up(first)
    assert made.counts["create"] == 5  # with stack and provider
    name = made.outputs["name"]
    assert name.startswith("vars-")
    assert not runs.up(first).changed
    assert not runs.preview(first).changed

    uid = client.get("v1", "Secret", "secret", "engine")["metadata"]["uid"]
    changed = runs.up(program(kubeconfig, "engine", more="x"))
    assert changed.counts.get("update") == 1
    live = client.get("v1", "Secret", "secret", "engine")
    assert (live["metadata"]["uid"], set(live["data"])) == (uid, {"token", "more"})

    client.delete("v1", "Secret", "secret", "engine")
    client.patch(
        "v1", "ConfigMap", name, "engine", {"data": {"TZ": "UTC"}}, field_manager="kubectl-edit"
    )
    again = program(kubeconfig, "engine", more="x")
    assert runs.preview(again).changed
    repaired = runs.up(again)
    assert client.get("v1", "Secret", "secret", "engine")["data"] == live["data"]
    assert client.get("v1", "ConfigMap", name, "engine")["data"] == {"TZ": "Europe/Berlin"}
    assert repaired.changed
    assert not runs.up(again).changed


def test_no_secret_in_state_or_events(apiserver, runs: Runs) -> None:
    runs.up(program(apiserver.kubeconfig, "canary"))
    shown = json.dumps(runs.engine().state()) + repr(runs.seen)
    for text in (CANARY, base64.b64encode(CANARY.encode()).decode(), "client-key-data"):
        assert text not in shown

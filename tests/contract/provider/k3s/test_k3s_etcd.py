"""A cluster on etcd: its snapshot taken while it runs, and k3s restoring it on an empty disk."""

from __future__ import annotations

import dataclasses
import types
from typing import Any

import pytest

from provision import config, errors
from provision.kube.client import KubeClient
from provision.progress import silent
from provision.provider.k3s import server as k3s_server
from provision.recovery.backup import node_files
from provision.recovery.bundle import archive, datastore, manifest, parts
from provision.recovery.drill import repoint
from provision.recovery.restore import etcd_snapshot
from provision.recovery.restore import node as restore_node
from tests.support import bundles

pytestmark = [pytest.mark.sandbox, pytest.mark.timeout(300)]

DATA = "/var/lib/rancher/k3s"
SOURCES = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": "gitrepositories.source.toolkit.fluxcd.io"},
    "spec": {
        "group": "source.toolkit.fluxcd.io",
        "names": {"kind": "GitRepository", "plural": "gitrepositories"},
        "scope": "Namespaced",
        "versions": [
            {
                "name": "v1",
                "served": True,
                "storage": True,
                "schema": {
                    "openAPIV3Schema": {
                        "type": "object",
                        "x-kubernetes-preserve-unknown-fields": True,
                    }
                },
            }
        ],
    },
}
REAL = "ssh://git@github.com/me/homelab.git"


@pytest.fixture(scope="module")
def cfg(box) -> config.Config:
    return config.Config.model_validate(
        {
            "cluster": "kyrion",
            "nodes": [box.configured().model_dump(by_alias=True)],
            "github": {"owner": "me", "repository": "drill", "sshHost": "10.0.0.9"},
            "k3s": {"datastore": "etcd"},
        }
    )


@pytest.fixture
def stack(cfg, world) -> Any:
    """As much of a stack as placing a datastore asks for."""
    return types.SimpleNamespace(config=cfg, live=world)


def emptied(world, box) -> None:
    k3s_server.K3sServer().delete(world, box.inputs(), {})
    box.on("rm -rf /etc/rancher /var/lib/rancher")


def cluster(state: dict[str, Any]) -> KubeClient:
    return KubeClient.from_kubeconfig(state["kubeconfig"])


def source(name: str, url: str) -> dict[str, Any]:
    return {
        "apiVersion": "source.toolkit.fluxcd.io/v1",
        "kind": "GitRepository",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {"url": url, "secretRef": {"name": f"key-of-{name}"}},
    }


def secret(name: str) -> dict[str, Any]:
    metadata = {"name": name, "namespace": "default"}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": {"a": "b"}}


@pytest.fixture(scope="module")
def backed_up(box, cfg) -> Any:
    """A bundle of a cluster on etcd, and what its Secrets held; the node is empty afterwards."""
    from provision.provider import resource

    world, kind = box.world(), k3s_server.K3sServer()
    emptied(world, box)
    inputs = box.inputs(datastore="etcd")
    after, _ = resource.converge(kind, world, inputs, {})
    state = kind.outputs(after.facts, inputs, {})
    with cluster(state) as kube:
        kube.apply(SOURCES, field_manager="test")
        box.on(
            "kubectl --cache-dir /tmp/kube wait --for=condition=established "
            "crd/gitrepositories.source.toolkit.fluxcd.io"
        )
        for name, url in (("real", REAL), ("web", "https://GitHub.com/me/homelab"), ("other", "x")):
            kube.create(source(name, url), field_manager="test")
            kube.create(secret(f"key-of-{name}"), field_manager="test")
        copied = datastore.copy(world.session, "etcd", DATA, stamp="20260301020304")
        kube.create(secret("later"), field_manager="test")
    files = node_files.collect(world.session, cfg, authorities=True)
    described = bundles.described(
        datastore=manifest.Datastore(kind="etcd", part=copied.part, how=copied.how)
    )
    kept = archive.Part(name=copied.part, content=copied.content)
    packed = archive.pack(described, [*bundles.contents(), kept, *files.parts])[1]
    emptied(world, box)
    world.session.close()  # it holds the node's lock
    yield archive.unpack(packed), copied
    world = box.world()
    emptied(world, box)
    world.session.close()


def test_a_snapshot_is_taken_without_a_stop_and_leaves_nothing(backed_up, box) -> None:
    _, copied = backed_up
    assert copied.how == "etcd, a snapshot taken by k3s: no downtime; checksum verified"
    datastore.check("etcd", copied.content)


def test_k3s_makes_a_datastore_of_it_on_an_empty_disk(backed_up, stack, box, converge) -> None:
    found, _ = backed_up
    for _again in range(2):  # the second as after a run that was cut off
        restore_node.place_datastore(stack, found, silent)
    assert box.on("systemctl is-active k3s || true") == "inactive"
    assert box.on(f"ls {DATA}/server/*.snapshot 2>/dev/null || true") == ""
    assert box.on(f"ls {DATA}/server/db") == "etcd\nreset-flag"
    planned, state = converge(box.inputs(datastore="etcd"))
    assert "create files./usr/local/bin/k3s" not in planned
    assert "update files./etc/rancher/k3s/config.yaml" not in planned
    assert not box.on(f"ls {DATA}/server/db | grep flag || true"), "the start takes the flag away"
    assert state["token"] == box.on(f"cat {DATA}/server/token")
    with cluster(state) as kube:
        assert (kube.get("v1", "Secret", "key-of-real", "default") or {})["data"] == {"a": "Yg=="}
        assert kube.get("v1", "Secret", "later", "default") is None
        assert kube.get("v1", "Secret", "kyrion.node-password.k3s", "kube-system") is not None
    assert converge(box.inputs(datastore="etcd"), state)[0] == ()


def test_turned_away_from_the_real_repository_before_anything_runs(
    backed_up, stack, box, converge, monkeypatch: pytest.MonkeyPatch
) -> None:
    found, _ = backed_up
    restore_node.place_datastore(stack, found, silent)
    work: Any = types.SimpleNamespace(stack=stack, bundle=found, progress=silent)
    ran: list[str] = []
    point = repoint.point

    def watched(kube: KubeClient, real: tuple[str, ...], ours: str) -> None:
        point(kube, real, ours)
        ran.append(box.on("systemctl is-active k3s elysium-k3s-alone || true"))
        # Nothing renews what a kubelet would: no pod can have started.
        ran.append(box.on("pgrep -f '[s]ource-controller' || true"))

    monkeypatch.setattr(repoint, "point", watched)
    repoint.turn(work, (REAL,))
    assert ran == ["inactive\nactive", ""]
    assert box.on("systemctl is-active elysium-k3s-alone || true") == "inactive"
    ours = stack.config.github.git_url
    state = converge(box.inputs(datastore="etcd"))[1]
    with cluster(state) as kube:
        listed = kube.list("source.toolkit.fluxcd.io/v1", "GitRepository")
        urls = {each["metadata"]["name"]: each["spec"]["url"] for each in listed}
        assert urls == {"real": ours, "web": ours, "other": "x"}
        left = {each["metadata"]["name"] for each in kube.list("v1", "Secret", "default")}
        assert "key-of-other" in left and not left & {"key-of-real", "key-of-web"}


def test_another_token_does_not_open_it(backed_up, stack, box) -> None:
    found, _ = backed_up
    (info,) = [i for i in found.manifest.of_kind(parts.TOKEN_KIND) if i.source.endswith("r/token")]
    contents = {**found.contents, info.name: b"K10aa::server:another\n"}
    other = dataclasses.replace(found, contents=contents)
    with pytest.raises(errors.CommandError) as raised:
        restore_node.place_datastore(stack, other, silent)
    assert "different token" in raised.value.stderr
    assert etcd_snapshot._UNIT not in box.on("systemctl list-units --failed --plain --no-legend")


def test_a_node_with_another_password_is_taken_after_a_reset_and_refused_without(
    backed_up, stack, box, converge
) -> None:
    found, _ = backed_up
    restore_node.place_datastore(stack, found, silent)
    box.on("echo another >/etc/rancher/node/password")
    state = converge(box.inputs(datastore="etcd"))[1]  # k3s itself forgets the old one
    box.on("systemctl stop k3s; echo third >/etc/rancher/node/password; systemctl start k3s")
    box.on("until journalctl -q -u k3s | grep -q 'Node password rejected'; do sleep 0.2; done")
    with cluster(state) as kube:
        assert kube.get("v1", "Secret", "kyrion.node-password.k3s", "kube-system") is not None

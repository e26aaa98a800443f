"""Other shapes of the cluster folder, each from an empty cluster."""

from __future__ import annotations

import json

import pytest

from provision.gitops.sealing import keys as sealing_keys
from tests.support import coldstarts
from tests.support import lab as labs

ALL = {"flux-system", "infra-controllers", "infra-configs", "apps"}
FOLDER = f"{coldstarts.PATH}/flux-system"


def flux_files(forge) -> set[str]:
    listed = forge.git("ls-tree", "-r", "--name-only", "main").splitlines()
    return {path for path in listed if path.startswith(f"{FOLDER}/")}


@pytest.fixture(scope="module")
def rootless(lab: labs.Lab, key: sealing_keys.SealingKey):
    """A cluster folder without a kustomization.yaml."""
    coldstarts.emptied(lab)
    return coldstarts.use(lab, "rootless", coldstarts.repository(key, root=False))


def test_without_a_kustomization_file(lab: labs.Lab, rootless) -> None:
    lab.elysium("up", "--yes").ok()
    assert coldstarts.ready(lab) >= ALL
    assert flux_files(rootless)
    assert rootless.read_file(f"{coldstarts.PATH}/kustomization.yaml") is None


def test_with_flux_manifests_in_git(lab: labs.Lab, rootless) -> None:
    assert flux_files(rootless) >= {f"{FOLDER}/gotk-components.yaml", f"{FOLDER}/gotk-sync.yaml"}
    head = rootless.head()
    coldstarts.emptied(lab)
    lab.elysium("up", "--yes").ok()
    assert coldstarts.ready(lab) >= ALL
    assert rootless.head() == head


@pytest.fixture(scope="module")
def operated(lab: labs.Lab, key: sealing_keys.SealingKey):
    """A repository whose Flux is Flux Operator's: none of it is in Git."""
    coldstarts.emptied(lab)
    lab.elysium("config", "set", "flux.commit", "none").ok()
    try:
        yield coldstarts.use(lab, "operated", coldstarts.repository(key, root=False))
    finally:
        lab.elysium("config", "set", "flux.commit", "push").ok()


def test_with_none_in_git_nothing_is_committed(lab: labs.Lab, operated) -> None:
    head = operated.head()
    lab.elysium("up", "--yes").ok()
    assert coldstarts.ready(lab) >= ALL
    assert operated.head() == head
    assert flux_files(operated) == set()


def test_what_flux_operator_makes_of_it_is_left_alone(lab: labs.Lab, operated) -> None:
    source = lab.kubectl("get", "gitrepository", "flux-system", "-n", "flux-system")
    root = lab.kubectl(
        "get", "kustomization.kustomize.toolkit.fluxcd.io", "flux-system", "-n", "flux-system"
    )
    assert source["spec"]["secretRef"] == {"name": "flux-system"}
    assert root["spec"]["path"] == f"./{coldstarts.PATH}"
    assert root["spec"]["sourceRef"] == {"kind": "GitRepository", "name": "flux-system"}
    assert root["spec"]["prune"] is True
    # As a FluxInstance named `flux` with the same sync renders them.
    labels = {
        "app.kubernetes.io/managed-by": "flux-operator",
        "fluxcd.controlplane.io/name": "flux",
        "fluxcd.controlplane.io/namespace": "flux-system",
    }
    adopted = [
        {
            "apiVersion": found["apiVersion"],
            "kind": found["kind"],
            "metadata": {"name": "flux-system", "namespace": "flux-system", "labels": labels},
            "spec": spec,
        }
        for found, spec in (
            (
                source,
                {
                    "interval": "1m0s",
                    "ref": {"name": "refs/heads/main"},
                    "secretRef": {"name": "flux-system"},
                    "url": source["spec"]["url"],
                },
            ),
            (
                root,
                {
                    "interval": "10m0s",
                    "path": coldstarts.PATH,
                    "prune": True,
                    "sourceRef": {"kind": "GitRepository", "name": "flux-system"},
                },
            ),
        )
    ]
    text = json.dumps({"apiVersion": "v1", "kind": "List", "items": adopted})
    apply = "k3s kubectl apply --server-side --force-conflicts --field-manager=flux-operator -f -"
    lab.on_node(f"{apply} <<'END'\n{text}\nEND")
    head = operated.head()
    lab.elysium("preview", "--expect-no-changes").ok()
    lab.elysium("up", "--yes").ok()
    assert operated.head() == head
    found = lab.kubectl("get", "gitrepository", "flux-system", "-n", "flux-system")
    assert found["metadata"]["labels"] == source["metadata"].get("labels", {}) | labels
    assert found["spec"]["interval"] == "1m0s"

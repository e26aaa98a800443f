"""A FluxInstance manages Flux: nothing of Flux is committed beside it."""

from __future__ import annotations

import pytest

from provision import errors
from provision.provider.flux import operator
from tests.support import fluxparts

INSTANCE = """\
# Flux itself.
apiVersion: fluxcd.controlplane.io/v1
kind: FluxInstance
metadata: {name: flux, namespace: flux-system}
spec:
  distribution: {version: 2.x, registry: ghcr.io/fluxcd}
"""
SYNC = "  sync: {kind: GitRepository, url: x, ref: refs/heads/main, path: ./clusters/kyrion/}\n"
OTHER = "  sync: {kind: GitRepository, url: x, ref: refs/heads/main, path: clusters/other}\n"
RELEASE = """\
apiVersion: helm.toolkit.fluxcd.io/v2
kind: HelmRelease
metadata: {name: flux, namespace: flux-system}
spec:
  chart: {spec: {chart: flux-instance, sourceRef: {kind: HelmRepository, name: x}}}
  values: {instance: {distribution: {version: 2.x}}}
"""
BY_OCI = """\
apiVersion: source.toolkit.fluxcd.io/v1
kind: OCIRepository
metadata: {name: flux-instance, namespace: flux-system}
spec: {url: "oci://ghcr.io/controlplaneio-fluxcd/charts/flux-instance"}
"""


@pytest.mark.parametrize(
    ("path", "text"),
    [
        (f"{fluxparts.FOLDER}/flux-instance.yaml", INSTANCE),
        (f"{fluxparts.PATH}/apps/flux.yml", "a: b\n---\n" + INSTANCE),
        ("infrastructure/flux.yaml", INSTANCE + SYNC),
        (f"{fluxparts.PATH}/flux.yaml", RELEASE),
        (f"{fluxparts.PATH}/flux.yaml", BY_OCI),
        (
            f"{fluxparts.PATH}/all.yaml",
            "apiVersion: v1\nkind: List\nitems:\n- "
            + INSTANCE.partition("\n")[2].replace("\n", "\n  "),
        ),
    ],
)
def test_one_in_the_repository_is_refused_before_anything(world, path, text):
    world.hub.write("main", "x", {path: text})
    world.calls.clear()
    with pytest.raises(errors.PreflightError) as caught:
        fluxparts.plan(fluxparts.COMPONENTS, world, fluxparts.C_INPUTS)
    assert f"{path}:" in str(caught.value)
    assert "flux.commit none" in caught.value.hint
    assert world.calls == []
    fluxparts.plan(fluxparts.COMPONENTS, world, fluxparts.C_INPUTS | {"commit": "none"})


@pytest.mark.parametrize(
    ("path", "text", "warns"),
    [
        ("clusters/other/flux.yaml", INSTANCE + OTHER, False),
        ("shared/flux.yaml", INSTANCE, True),
        ("docs/flux.yaml", "kind: [FluxInstance\n", False),
        (f"{fluxparts.PATH}/x.yaml", "kind: ConfigMap\ndata: {x: FluxInstance}\n", False),
        (f"{fluxparts.PATH}/x.md", INSTANCE, False),
    ],
)
def test_one_of_another_cluster_is_no_reason_to_refuse(world, path, text, warns):
    world.hub.write("main", "x", {path: text})
    assert fluxparts.plan(fluxparts.COMPONENTS, world, fluxparts.C_INPUTS)
    assert bool(world.warned) == warns


def test_one_in_the_cluster_is_refused_also_when_flux_works(world):
    state, _ = fluxparts.all_up(world)
    world.cluster.put(
        {
            "apiVersion": "fluxcd.controlplane.io/v1",
            "kind": "FluxInstance",
            "metadata": {"name": "flux", "namespace": "elsewhere"},
            "spec": {},
        }
    )
    assert [one.ref for one in operator.in_cluster(world.cluster)] == [
        "FluxInstance elsewhere/flux"
    ]
    with pytest.raises(errors.PreflightError) as caught:
        fluxparts.plan(fluxparts.COMPONENTS, world, fluxparts.C_INPUTS, state)
    assert "FluxInstance elsewhere/flux" in str(caught.value)
    assert "flux.commit none" in caught.value.hint
    fluxparts.plan(fluxparts.COMPONENTS, world, fluxparts.C_INPUTS | {"commit": "none"}, state)

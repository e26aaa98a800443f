"""A Flux that is not where the configuration has it is found, and no second one is installed."""

from __future__ import annotations

from typing import Any

import pytest

from provision import errors
from tests.support import flux_objects as made
from tests.support import fluxparts

SPELLINGS = [
    "https://github.com/me/home",
    "https://github.com/Me/Home.git",
    "https://x:secret@github.com/me/home/",
    "ssh://git@github.com/me/home.git",
    "ssh://git@ssh.github.com:443/me/home",
    "git@github.com:me/home.git",
]


def refused(world, *objects: dict[str, Any], **changed: Any) -> str:
    for obj in objects:
        world.cluster.put(obj)
    with pytest.raises(errors.PreflightError) as caught:
        fluxparts.plan(fluxparts.COMPONENTS, world, fluxparts.C_INPUTS | changed)
    assert "elysium adopt" in caught.value.hint
    assert not any(call.startswith(("apply", "commit", "patch")) for call in world.calls)
    return str(caught.value)


@pytest.mark.parametrize("commit", ["push", "pull-request", "none"])
def test_controllers_in_another_namespace(world, commit) -> None:
    text = refused(
        world,
        made.definition(),
        made.controller("source-controller", "gitops"),
        made.controller("flux-kustomize", "gitops", program="kustomize-controller"),
        commit=commit,
    )
    assert "namespace gitops" in text
    assert "flux-kustomize and source-controller run there" in text
    assert "watch only" not in text


def test_controllers_of_one_namespace_are_told(world) -> None:
    narrow = made.controller("source-controller", "team", "--watch-all-namespaces=false")
    assert "they watch only that namespace" in refused(world, made.definition(), narrow)


@pytest.mark.parametrize(
    "metadata",
    [
        {
            "labels": {
                "app.kubernetes.io/part-of": "flux",
                "app.kubernetes.io/instance": "gitops",
            }
        },
        {
            "labels": {
                "kustomize.toolkit.fluxcd.io/namespace": "gitops",
                "kustomize.toolkit.fluxcd.io/name": "gone",
            }
        },
        {"annotations": {"meta.helm.sh/release-namespace": "gitops"}},
    ],
)
def test_the_labels_of_the_crds(world, metadata) -> None:
    world.cluster.put(made.definition(**metadata))
    # What an uninstalled Flux left behind is none.
    assert fluxparts.plan(fluxparts.COMPONENTS, world, fluxparts.C_INPUTS)
    assert "its labels name the namespace gitops" in refused(world, made.namespace("gitops"))
    # Labels that a patch made wrong do not count where the controllers are seen.
    world.cluster.put(made.controller("source-controller", "flux-system"))
    assert fluxparts.plan(fluxparts.COMPONENTS, world, fluxparts.C_INPUTS)


@pytest.mark.parametrize("url", SPELLINGS)
@pytest.mark.parametrize(
    ("home", "name"),
    [("default", "home"), ("flux-system", "home"), ("gitops", "gitops")],
)
def test_a_kustomization_of_the_same_repository(world, url, home, name) -> None:
    text = refused(
        world,
        made.definition(),
        made.repository(home, name, url),
        made.kustomization("default", "cluster", f"{home}/{name}", "./clusters/other"),
    )
    assert "Kustomization default/cluster" in text
    assert "./clusters/other" in text
    assert "secret" not in text


def test_a_root_of_another_name_that_follows_our_source(world) -> None:
    world.cluster.put(made.definition())
    world.cluster.put(made.repository("flux-system", "flux-system"))
    world.cluster.put(made.kustomization("flux-system", "tenant", "flux-system", "./tenants"))
    assert fluxparts.plan(fluxparts.COMPONENTS, world, fluxparts.C_INPUTS)
    root = made.kustomization("flux-system", "cluster", "flux-system", f"{fluxparts.PATH}/")
    assert "Kustomization flux-system/cluster" in refused(world, root)


def test_a_source_that_nothing_follows(world) -> None:
    source = made.repository("flux-system", "home", SPELLINGS[5])
    assert "GitRepository flux-system/home" in refused(world, made.definition(), source)


def test_what_applies_the_crds_may_follow_another_repository(world) -> None:
    other = {
        "kustomize.toolkit.fluxcd.io/namespace": "platform",
        "kustomize.toolkit.fluxcd.io/name": "flux",
    }
    text = refused(
        world,
        made.definition(labels=other),
        made.controller("source-controller", "flux-system"),
        made.repository("platform", "platform", "https://example.org/them/platform"),
        made.kustomization("platform", "flux", "platform", "./flux", by=("platform", "root")),
        made.kustomization("platform", "root", "platform", "./", by=("platform", "root")),
    )
    assert "Kustomization platform/root" in text
    assert "applies Flux' CRDs" in text


def test_what_our_own_root_brought_is_not_another_flux(world) -> None:
    """As `destroy` without the node leaves it: the root is gone, and its children are there."""
    ours = {
        "kustomize.toolkit.fluxcd.io/namespace": "flux-system",
        "kustomize.toolkit.fluxcd.io/name": "flux-system",
    }
    child = {**ours, "kustomize.toolkit.fluxcd.io/name": "apps"}
    for obj in (
        made.definition(labels=ours),
        made.namespace("flux-system"),
        made.repository("flux-system", "for-images", SPELLINGS[5], **child),
        made.kustomization("flux-system", "apps", "for-images", "./apps", by=("flux-system",) * 2),
        made.kustomization(
            "web", "site", "flux-system/for-images", "./web", by=("flux-system", "apps")
        ),
        made.repository("tenant", "theirs", "https://example.org/them/theirs"),
        made.kustomization("tenant", "theirs", "theirs", "./"),
    ):
        world.cluster.put(obj)
    assert fluxparts.plan(fluxparts.COMPONENTS, world, fluxparts.C_INPUTS)


def test_a_flux_that_works_is_not_searched_for_again(world) -> None:
    state, _ = fluxparts.all_up(world)
    world.cluster.reads = 0
    fluxparts.plan(fluxparts.COMPONENTS, world, fluxparts.C_INPUTS, state)
    reads = world.cluster.reads
    world.cluster.put(made.repository("tenant", "same", SPELLINGS[1]))
    assert fluxparts.plan(fluxparts.COMPONENTS, world, fluxparts.C_INPUTS, state) == ()
    assert world.cluster.reads == 2 * reads
    # Without its root it may be one that was set up by hand meanwhile.
    del world.cluster.objects["Kustomization", "flux-system", "flux-system"]
    world.calls.clear()
    assert "GitRepository tenant/same" in refused(world)


def test_the_configured_names_are_ours(world) -> None:
    for obj in (
        made.definition(
            {"app.kubernetes.io/part-of": "flux", "app.kubernetes.io/instance": "gitops"}
        ),
        made.namespace("gitops"),
        made.controller("source-controller", "gitops"),
        made.repository("gitops", "home"),
        made.kustomization("gitops", "cluster", "home", f"./{fluxparts.PATH}"),
    ):
        world.cluster.put(obj)
    names = {"namespace": "gitops", "sourceName": "home", "rootName": "cluster"}
    changes = fluxparts.plan(fluxparts.COMPONENTS, world, fluxparts.C_INPUTS | names)
    assert f"git.{fluxparts.PATH}/gitops/gotk-components.yaml" in {one.property for one in changes}


@pytest.mark.parametrize(
    ("path", "text"),
    [
        (f"{fluxparts.PATH}/flux/gotk-components.yaml", fluxparts.manifests()),
        (f"{fluxparts.PATH}/flux.yml", fluxparts.manifests(header=False)),
        (
            f"{fluxparts.FOLDER}/kustomization.yaml",
            "resources:\n- https://github.com/fluxcd/flux2//manifests/install?ref=v2.9.3\n",
        ),
        (
            f"{fluxparts.PATH}/kustomization.yaml",
            "resources:\n- https://github.com/fluxcd/flux2/releases/download/v2.9.3/install.yaml\n",
        ),
    ],
)
def test_components_in_another_file_are_not_committed_again(world, path, text) -> None:
    world.hub.write("main", "x", {path: text})
    world.calls.clear()
    with pytest.raises(errors.PreflightError) as caught:
        fluxparts.plan(fluxparts.COMPONENTS, world, fluxparts.C_INPUTS)
    assert path in str(caught.value)
    assert "flux.commit none" in caught.value.hint
    assert fluxparts.plan(fluxparts.COMPONENTS, world, fluxparts.C_INPUTS | {"commit": "none"})


def test_components_of_another_cluster_are_its_own(world) -> None:
    text = fluxparts.manifests()
    world.hub.write("main", "x", {"clusters/other/flux-system/gotk-components.yaml": text})
    assert fluxparts.plan(fluxparts.COMPONENTS, world, fluxparts.C_INPUTS)
    assert world.warned == []
    world.hub.write("main", "x", {"base/flux.yaml": text})
    assert fluxparts.plan(fluxparts.COMPONENTS, world, fluxparts.C_INPUTS)
    assert "base/flux.yaml" in world.warned[0]


def test_manifests_of_another_namespace_are_not_applied(world, tmp_path) -> None:
    file = tmp_path / "components.yaml"
    file.write_text(fluxparts.manifests())
    inputs = fluxparts.C_INPUTS | {"manifests": str(file), "namespace": "gitops"}
    with pytest.raises(errors.GitOpsError) as caught:
        fluxparts.run(fluxparts.COMPONENTS, world, inputs)
    assert "no Deployment source-controller in the namespace gitops" in str(caught.value)
    assert "--namespace=gitops" in caught.value.hint
    assert world.cluster.objects == {}
    assert world.hub.messages == []


@pytest.mark.parametrize(
    "url", ["https://u:hunter2@github.com/me/other", "git@github.com:you/home"]
)
def test_a_first_run_does_not_point_flux_at_another_repository(world, url) -> None:
    """Flux would remove all that it applied from the other one."""
    state = fluxparts.all_up(world)[1]
    world.cluster.objects["GitRepository", "flux-system", "flux-system"]["spec"]["url"] = url
    before = len(world.calls)
    with pytest.raises(errors.PreflightError) as caught:
        fluxparts.run(fluxparts.SYNC, world, fluxparts.S_INPUTS)
    assert "GitRepository flux-system/flux-system" in str(caught.value)
    assert "hunter2" not in str(caught.value)
    assert len(world.calls) == before
    # A stack that knows its Flux may move it: the repository was renamed, or is another one now.
    assert fluxparts.plan(fluxparts.SYNC, world, fluxparts.S_INPUTS, state)

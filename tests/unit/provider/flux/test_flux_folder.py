"""Flux' folder with files of the user's: none of them is pruned, and none comes twice."""

from __future__ import annotations

import pytest

from provision.gitops import tree
from provision.gitops.build import layout
from provision.provider.flux import repository, sync_files
from tests.support import fluxparts

OBJECT = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {}\n"
FILES = {
    f"{fluxparts.FOLDER}/notify.yaml": OBJECT.format("notify"),
    f"{fluxparts.FOLDER}/b c.yml": OBJECT.format("bc"),
    f"{fluxparts.FOLDER}/sub/deep/x.yaml": OBJECT.format("deep"),
    f"{fluxparts.FOLDER}/own/kustomization.yml": "resources: [in.yaml]\n",
    f"{fluxparts.FOLDER}/own/in.yaml": OBJECT.format("in"),
    f"{fluxparts.FOLDER}/own/not-listed.yaml": OBJECT.format("unlisted"),
    f"{fluxparts.FOLDER}/README.md": "# words\n",
    f"{fluxparts.FOLDER}/ignored.yaml": OBJECT.format("ignored"),
    ".sourceignore": "ignored.yaml\n",
    "clusters/other/flux-system/x.yaml": OBJECT.format("x"),
}
PATHS = repository.Paths.of(fluxparts.PATH)


def test_all_that_was_applied_stays_listed(world) -> None:
    fluxparts.put_in_git(world, components=fluxparts.manifests())
    world.hub.write("main", "mine", FILES)
    before = set(layout.scan(tree.Tree.of(fluxparts.tree(world)), fluxparts.PATH))
    fluxparts.run(fluxparts.SYNC, world, fluxparts.S_INPUTS)
    text = fluxparts.tree(world)[fluxparts.KUSTOMIZATION_FILE]
    assert text == sync_files.KUSTOMIZATION + (
        '- "b c.yml"\n- notify.yaml\n- own\n- sub/deep/x.yaml\n'
    )
    read = tree.Tree.of(fluxparts.tree(world))
    walked = layout.walk(read, fluxparts.PATH, check=True)
    assert walked.problems == []
    assert before - {f"{fluxparts.FOLDER}/own"} <= set(walked.files)
    assert fluxparts.plan(fluxparts.SYNC, world, fluxparts.S_INPUTS) == ()


def test_a_folder_of_flux_alone_gets_the_usual_file(world) -> None:
    fluxparts.all_up(world)
    assert fluxparts.tree(world)[fluxparts.KUSTOMIZATION_FILE] == sync_files.KUSTOMIZATION


def test_where_the_cluster_lists_its_files_itself_nothing_is_added(world) -> None:
    """What its kustomization does not list was never applied, or comes by that list."""
    listing = f"{fluxparts.PATH}/kustomization.yaml"
    files = FILES | {listing: "resources:\n- flux-system/notify.yaml\n- flux-system\n"}
    assert sync_files.kustomization(files, PATHS) == sync_files.KUSTOMIZATION


@pytest.mark.parametrize("name", ["kustomization.yml", "Kustomization"])
def test_a_kustomization_of_another_name_is_the_users(world, name) -> None:
    text = (
        "resources: [gotk-components.yaml, gotk-sync.yaml]\n"
        "patches:\n- target: {kind: Deployment, name: source-controller}\n"
        "  patch: |\n    - op: add\n      path: /metadata/labels/patched\n      value: 'yes'\n"
    )
    fluxparts.put_in_git(
        world, components=fluxparts.manifests(), sync=sync_files.render(fluxparts.S_INPUTS)
    )
    world.hub.write("main", "mine", {f"{fluxparts.FOLDER}/{name}": text})
    fluxparts.all_up(world)
    assert fluxparts.KUSTOMIZATION_FILE not in fluxparts.tree(world)
    found = world.cluster.objects["Deployment", "source-controller", "flux-system"]
    assert found["metadata"]["labels"]["patched"] == "yes"


def test_what_lies_elsewhere_is_named(world) -> None:
    url = "https://github.com/me/extras//base?ref=v1"
    fluxparts.put_in_git(
        world,
        components=fluxparts.manifests(),
        sync=sync_files.render(fluxparts.S_INPUTS),
        kustomization=f"resources:\n- gotk-components.yaml\n- gotk-sync.yaml\n- {url}\n",
    )
    fluxparts.run(fluxparts.COMPONENTS, world, fluxparts.C_INPUTS)
    assert any(url in text and "Flux itself applies it" in text for text in world.warned)


OWN = f"{fluxparts.PATH}/flux/source-and-root.yaml"


def test_sync_objects_in_a_file_of_ones_own_are_not_written_again(world) -> None:
    inputs = fluxparts.S_INPUTS | {"namespace": "gitops", "name": "home", "rootName": "cluster"}
    text = "# Mine.\n" + sync_files.render(inputs).replace("interval: 1m", "interval: 1h", 1)
    chart = "apiVersion: helm.toolkit.fluxcd.io/v2\nkind: {{ .kind }}\nx: {{\n"
    world.hub.write("main", "mine", {OWN: text, f"{fluxparts.PATH}/chart/t.yaml": chart})
    (change,) = [
        one
        for one in fluxparts.plan(fluxparts.SYNC, world, inputs)
        if one.property.startswith("git.")
    ]
    assert change.property == f"git.{OWN}"
    assert "-  interval: 1h" in change.diff
    same = text.replace("interval: 1h", "interval: 1m")
    world.hub.write("main", "mine", {OWN: same})
    assert not any(
        one.property.startswith("git.") for one in fluxparts.plan(fluxparts.SYNC, world, inputs)
    )


def test_at_the_root_another_clusters_file_is_not_ours(world) -> None:
    other = sync_files.render(fluxparts.S_INPUTS)
    world.hub.write("main", "other", {"clusters/b/flux-system/gotk-sync.yaml": other})
    changes = fluxparts.plan(fluxparts.SYNC, world, fluxparts.S_INPUTS | {"path": "./"})
    assert "git.flux-system/gotk-sync.yaml" in {one.property for one in changes}

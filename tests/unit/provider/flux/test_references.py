"""A GitRepository that follows a tag, a version or a commit is not turned into one of a branch."""

from __future__ import annotations

import pytest

from provision import errors
from provision.provider.flux import sync_files
from tests.support import fluxparts

WINNERS = [
    ({"tag": "v1"}, "tag"),
    ({"branch": "main", "tag": "v1"}, "tag"),
    ({"branch": "main", "tag": "v1", "semver": ">=1"}, "semver"),
    ({"branch": "main", "semver": ">=1", "name": "refs/tags/v1"}, "name"),
    ({"branch": "main", "name": "refs/pull/1/head", "commit": "abc"}, "commit"),
    ({"name": "refs/heads/other"}, "name"),
    ({"name": "refs/heads/main", "tag": "v1"}, ""),
    ({"branch": "main", "tag": ""}, ""),
    ({}, ""),
]


@pytest.mark.parametrize(("reference", "winner"), WINNERS)
def test_what_wins(reference, winner) -> None:
    assert sync_files.overriding(reference, "main") == winner


def test_one_in_git_is_refused_with_its_line(world) -> None:
    text = sync_files.render(fluxparts.S_INPUTS).replace(
        "    branch: main\n", "    branch: main\n    tag: v1.2  # pinned\n"
    )
    fluxparts.put_in_git(world, components=fluxparts.manifests(), sync=text)
    line = text[: text.index("tag: v1.2")].count("\n") + 1
    with pytest.raises(errors.PreflightError) as caught:
        fluxparts.plan(fluxparts.SYNC, world, fluxparts.S_INPUTS)
    assert f"{fluxparts.SYNC_FILE}:{line}" in str(caught.value)
    assert "the tag v1.2, which wins over a branch" in str(caught.value)
    assert fluxparts.tree(world)[fluxparts.SYNC_FILE] == text
    assert fluxparts.plan(fluxparts.SYNC, world, fluxparts.S_INPUTS | {"commit": "none"})


def test_one_in_the_cluster_is_refused(world) -> None:
    fluxparts.all_up(world)
    source = world.cluster.objects["GitRepository", "flux-system", "flux-system"]
    source["spec"]["ref"]["semver"] = ">=1.0"
    before = len(world.calls)
    with pytest.raises(errors.PreflightError) as caught:
        fluxparts.run(fluxparts.SYNC, world, fluxparts.S_INPUTS)
    assert "GitRepository flux-system/flux-system" in str(caught.value)
    assert "the semver >=1.0" in str(caught.value)
    assert len(world.calls) == before


def test_the_branch_by_its_full_name_is_the_branch(world) -> None:
    state = fluxparts.all_up(world)[1]
    source = world.cluster.objects["GitRepository", "flux-system", "flux-system"]
    source["spec"]["ref"]["name"] = "refs/heads/main"
    assert fluxparts.plan(fluxparts.SYNC, world, fluxparts.S_INPUTS, state) == ()

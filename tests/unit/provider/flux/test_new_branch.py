"""The plan shows a branch, or a first commit, that is to come; it is made with the components."""

from __future__ import annotations

import pytest

from provision.github import failures
from tests.support import fluxparts


@pytest.fixture
def branch(world, monkeypatch):
    """GitHub without the branch, until something is committed to it."""
    made: list[str] = []

    def new_branch(name):
        return None if made else "trunk"

    real = world.hub.commit

    def commit(name, message, files, **given):
        made.append(name)
        return real(name, message, files, **given)

    monkeypatch.setattr(world.hub, "new_branch", new_branch)
    monkeypatch.setattr(world.hub, "commit", commit)
    return made


def test_a_missing_branch_is_in_the_plan_and_comes_with_the_first_commit(world, branch):
    fluxparts.Flux(world)
    changes = fluxparts.plan(fluxparts.COMPONENTS, world, fluxparts.C_INPUTS)
    assert changes[0].summary == "create the branch main from trunk"
    state = fluxparts.run(fluxparts.COMPONENTS, world, fluxparts.C_INPUTS)
    assert branch == ["main"]
    assert fluxparts.plan(fluxparts.COMPONENTS, world, fluxparts.C_INPUTS, state) == ()


def test_it_comes_also_where_the_default_branch_has_everything(world, branch):
    fluxparts.Flux(world)
    fluxparts.put_in_git(world, components=fluxparts.manifests())
    fluxparts.run(fluxparts.COMPONENTS, world, fluxparts.C_INPUTS)
    assert branch == ["main"]


def test_a_first_commit_is_in_the_plan(world, monkeypatch):
    monkeypatch.setattr(world.hub, "new_branch", lambda name: "")
    changes = fluxparts.plan(fluxparts.COMPONENTS, world, fluxparts.C_INPUTS)
    assert changes[0].summary == "make the first commit of the repository, on main"


def test_without_commits_a_missing_branch_stays_an_error(world, monkeypatch):
    def new_branch(name):
        raise failures.NotFoundError("no branch", operation="read", status=404)

    monkeypatch.setattr(world.hub, "new_branch", new_branch)
    fluxparts.plan(fluxparts.COMPONENTS, world, fluxparts.C_INPUTS | {"commit": "none"})

"""Commit: files on a branch, pushed or proposed."""

from __future__ import annotations

from provision.provider import commit
from tests.support import fluxparts

COMMIT = commit.Commit()


def files(**contents: str) -> dict:
    return {
        "branch": "main",
        "message": "Say it",
        "commit": "push",
        "files": [{"path": path, "content": text} for path, text in contents.items()],
    }


def test_a_commit_is_made_once(world):
    inputs = files(a="1\n", b="2\n")
    assert [c.property for c in fluxparts.plan(COMMIT, world, inputs)] == ["files.a", "files.b"]
    state = fluxparts.run(COMMIT, world, inputs)
    assert state["revision"] == world.hub.head()
    assert world.hub.messages == ["Say it"]
    assert fluxparts.plan(COMMIT, world, inputs, state) == ()


def test_a_file_that_may_exist_is_left_alone(world):
    world.hub.write("main", "x", {"a": "theirs\n"})
    inputs = files(a="ours\n")
    inputs["files"][0]["ifAbsent"] = True
    assert fluxparts.plan(COMMIT, world, inputs) == ()


def test_a_proposed_commit_waits_without_being_made_again(world):
    inputs = files(a="1\n") | {"commit": "pull-request"}
    state = fluxparts.run(COMMIT, world, inputs)
    assert state["pullRequest"] == "https://pull"
    assert fluxparts.plan(COMMIT, world, inputs, state) == ()
    world.hub.merge(world.hub.pulls[0].branch)
    assert fluxparts.run(COMMIT, world, inputs, state)["pullRequest"] == ""


def test_the_same_path_twice_is_a_problem():
    _, problems = COMMIT.check(files(a="1") | {"files": [{"path": "a"}, {"path": "a"}]})
    assert "twice" in problems[0].message

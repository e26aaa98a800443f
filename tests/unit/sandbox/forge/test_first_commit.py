"""The first commit of an empty repository, and a branch that is missing."""

from __future__ import annotations

import pytest

from provision.github import failures, preflight

FILES = {"clusters/k/big.yaml": "x: 1\n" * 1000, "clusters/k/small.yaml": "a: b\n"}


def kinds(repo, **given):
    where = "github"
    given = {"commit": "push", "is_new_cluster": lambda: True} | given
    found = preflight._head(repo, "clusters/k", where, namespace="flux-system", **given)
    return [problem.kind for problem in found]


@pytest.mark.parametrize("branch", ["main", "staging"])
def test_an_empty_repository_gets_its_first_commit(opened, branch):
    repo = opened(branch)
    assert (repo.start(branch), repo.new_branch(branch)) == ("", "")
    assert repo.read_tree("") == {}
    assert kinds(repo) == []
    assert repo.differing("", FILES) == FILES
    head = repo.commit(branch, "Add files", FILES)
    assert repo.read_tree(head) == FILES
    assert repo.new_branch(branch) is None
    again = opened(branch)
    assert again.head() == head
    assert again.commit(branch, "Add files", FILES) == head


def test_a_missing_branch_is_created_from_the_default_branch(opened):
    opened().commit("main", "one", {"README.md": "# home\n"})
    repo = opened("staging")
    assert repo.new_branch("staging") == "main"
    assert repo.read_tree(repo.start("staging")) == {"README.md": "# home\n"}
    assert kinds(repo) == []
    head = repo.commit("staging", "two", FILES)
    assert repo.new_branch("staging") is None
    assert opened("staging").read_tree(head) == {"README.md": "# home\n", **FILES}
    assert opened().read_tree(opened().head()) == {"README.md": "# home\n"}


def test_a_missing_branch_without_a_change_is_created_too(opened):
    head = opened().commit("main", "one", FILES)
    repo = opened("staging")
    assert repo.commit("staging", "", {}) == head
    assert opened("staging").new_branch("staging") is None


def test_a_branch_that_comes_meanwhile_is_committed_to(opened):
    opened().commit("main", "one", {"README.md": "# home\n"})
    repo = opened("staging")
    repo.start("staging")
    opened("staging").commit("staging", "theirs", {"theirs": "1\n"})
    head = repo.commit("staging", "mine", {"mine": "2\n"})
    assert set(opened("staging").read_tree(head)) == {"README.md", "theirs", "mine"}


def test_a_pull_request_into_a_missing_branch_creates_it(opened):
    opened().commit("main", "one", {"README.md": "# home\n"})
    pull = opened("staging").open_pull_request("staging", "two", FILES)
    assert pull is not None and pull.state == "open"
    assert opened("staging").new_branch("staging") is None


def test_an_empty_repository_takes_no_pull_request(opened):
    with pytest.raises(failures.EmptyRepositoryError):
        opened().open_pull_request("main", "two", FILES)


@pytest.mark.parametrize(
    ("given", "empty", "missing"),
    [
        ({"commit": "none"}, ["repository-empty"], ["branch-missing"]),
        ({"commit": "pull-request"}, ["repository-empty"], []),
        ({"is_new_cluster": lambda: False}, ["repository-empty"], ["branch-missing"]),
    ],
)
def test_what_may_not_be_created_is_told_before(opened, given, empty, missing):
    assert kinds(opened(), **given) == empty
    opened().commit("main", "one", {"README.md": "# home\n"})
    assert kinds(opened("staging"), **given) == missing

"""Pull requests, as "REST API endpoints for pull requests" describes them."""

from __future__ import annotations

from typing import Any

import pytest


@pytest.fixture
def branch(forge: Any) -> str:
    """A branch one commit ahead of main."""
    forge.git("branch", "elysium/flux", "main")
    forge.commit_files({"new.yaml": "a\nb\n"}, branch="elysium/flux", message="Add new")
    return "elysium/flux"


def test_a_pull_request_is_made_found_and_merged(forge: Any, hub: Any, branch: str) -> None:
    forge.protect()
    pull = hub.create_pull(base="main", head=branch, title="Add Flux", body="because")
    assert (pull.number, pull.state, pull.mergeable, pull.merged) == (1, "open", None, False)
    assert (pull.commits, pull.additions, pull.changed_files) == (1, 2, 1)
    owner = forge.info.owner
    assert [p.number for p in hub.get_pulls(head=f"{owner}:{branch}", base="main")] == [1]
    assert [p.number for p in hub.get_pulls(head=f"{owner}:none")] == []
    assert [p["number"] for p in forge.pulls()] == [1]
    status = pull.merge()
    assert status.merged
    assert forge.head() == status.sha
    assert forge.read_file("new.yaml") == "a\nb\n"
    assert forge.commits()[0] == f"Merge pull request #1 from {owner}/{branch}"
    found = hub.get_pull(1)
    assert (found.merged, found.state, found.merge_commit_sha) == (True, "closed", status.sha)
    assert list(hub.get_pulls()) == []
    assert [p.number for p in hub.get_pulls(state="all")] == [1]


def test_a_pull_request_follows_its_branch(forge: Any, hub: Any, branch: str) -> None:
    pull = hub.create_pull(base="main", head=f"{forge.info.owner}:{branch}", title="t")
    new = forge.commit_files({"more": "x"}, branch=branch)
    assert hub.get_pull(pull.number).head.sha == new
    pull.edit(state="closed", title="u")
    forge.commit_files({"more": "y"}, branch=branch)
    found = hub.get_pull(pull.number)
    assert (found.head.sha, found.state, found.title) == (new, "closed", "u")


def test_a_pull_request_is_squashed(forge: Any, hub: Any, branch: str) -> None:
    old = forge.head()
    hub.create_pull(base="main", head=branch, title="One").merge(merge_method="squash")
    assert forge.commits() == ["One (#1)", "Initial commit"]
    assert forge.git("rev-parse", "main^").strip() == old


def test_pull_requests_that_cannot_be(forge: Any, raw: Any, branch: str) -> None:
    body = {"title": "t", "head": branch, "base": "main"}
    assert raw("POST", "~/pulls", body).status == 201
    again = raw("POST", "~/pulls", body)
    assert again.status == 422
    assert again.body["errors"][0]["message"] == (
        f"A pull request already exists for {forge.info.owner}:{branch}."
    )
    forge.git("branch", "same", "main")
    same = raw("POST", "~/pulls", {**body, "head": "same"})
    assert same.body["errors"][0]["message"] == "No commits between main and same"
    missing = raw("POST", "~/pulls", {**body, "head": "none"})
    assert missing.body["errors"][0] == {
        "resource": "PullRequest",
        "code": "invalid",
        "field": "head",
    }
    assert raw("GET", "~/pulls/7").status == 404


def test_merges_that_cannot_be(forge: Any, raw: Any, helpers: Any, branch: str) -> None:
    raw("POST", "~/pulls", {"title": "t", "head": branch, "base": "main"})
    assert raw("PUT", "~/pulls/1/merge", {"sha": "1" * 40}).status == 409
    forge.commit_files({"new.yaml": "other"})
    assert [raw("GET", "~/pulls/1").body["mergeable"] for _ in range(2)] == [None, False]
    answer = raw("PUT", "~/pulls/1/merge", {})
    assert (answer.status, answer.body["message"]) == (405, "Pull Request is not mergeable")
    forge.commit_files({"new.yaml": None})
    hold = {"required_status_checks": None, "enforce_admins": True, "restrictions": None}
    raw("PUT", "~/branches/main/protection", {**hold, "required_pull_request_reviews": {}})
    token, _ = forge.create_token(role="write")
    writer = helpers.Raw(forge, token.reveal())
    answer = writer("PUT", "~/pulls/1/merge", {})
    assert answer.status == 405
    assert "approving review" in answer.body["message"]


def test_whether_it_can_be_merged_is_unknown_at_first(forge: Any, raw: Any, branch: str) -> None:
    """As GitHub finds it out in the background, anew when either branch moves."""

    def seen() -> tuple[Any, str]:
        body = raw("GET", "~/pulls/1").body
        return body["mergeable"], body["mergeable_state"]

    made = raw("POST", "~/pulls", {"title": "t", "head": branch, "base": "main"}).body
    assert (made["mergeable"], made["rebaseable"]) == (None, None)
    assert [seen(), seen(), seen()] == [(None, "unknown"), (True, "clean"), (True, "clean")]
    forge.commit_files({"more": "x"}, branch=branch)
    assert [seen(), seen()] == [(None, "unknown"), (True, "clean")]
    forge.commit_files({"new.yaml": "other"})
    assert [seen(), seen()] == [(None, "unknown"), (False, "dirty")]
    assert raw("PATCH", "~/pulls/1", {"title": "u"}).body["mergeable"] is False


def test_what_a_pull_request_changes_is_seen_from_where_it_began(
    forge: Any, raw: Any, branch: str
) -> None:
    forge.commit_files({"later": "on main\n"})
    body = raw("POST", "~/pulls", {"title": "t", "head": branch, "base": "main"}).body
    assert (body["changed_files"], body["additions"], body["deletions"]) == (1, 2, 0)

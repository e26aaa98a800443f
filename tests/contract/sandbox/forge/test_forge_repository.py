"""Repository, branches, Git database, contents: each call through PyGithub and by hand."""

from __future__ import annotations

import base64
import subprocess
import threading
from typing import Any

import github
import pytest


def test_repository_and_user(forge: Any, hub: Any, helpers: Any) -> None:
    assert hub.full_name == forge.slug
    assert hub.default_branch == "main"
    assert hub.ssh_url == forge.ssh_url
    assert hub.permissions.admin
    hub.edit(description="mine", has_wiki=True)
    assert hub.description == "mine"
    connection = helpers.client(forge)
    assert connection.get_user().login == forge.info.owner
    assert connection.get_rate_limit().resources.core.limit == 5000
    connection.close()


def test_repository_names_are_not_case_sensitive(raw: Any, forge: Any) -> None:
    assert raw("GET", f"/repos/{forge.slug.upper()}").body["full_name"] == forge.slug


def test_the_default_branch_must_exist(raw: Any, forge: Any) -> None:
    assert raw("PATCH", "~", {"default_branch": "none"}).status == 422
    forge.git("branch", "other", "main")
    assert raw("PATCH", "~", {"default_branch": "other"}).body["default_branch"] == "other"
    assert forge.git("symbolic-ref", "HEAD").strip() == "refs/heads/other"


def test_enterprise_paths_lead_to_enterprise_addresses(
    forge: Any, helpers: Any, checked: Any
) -> None:
    connection = helpers.client(forge, prefix="/api/v3")
    repository = connection.get_repo(forge.slug)
    assert repository.url == f"{forge.info.api}/api/v3/repos/{forge.slug}"
    assert repository.html_url == f"{forge.info.api}/{forge.slug}"
    assert repository.get_branch("main").commit.sha == forge.head()
    assert all(path.startswith("/api/v3/") for _, path, _ in checked)
    connection.close()


def test_an_empty_repository_says_so(empty: Any, helpers: Any) -> None:
    raw = helpers.Raw(empty)
    for method, path, body in (
        ("GET", "~/git/ref/heads/main", None),
        ("GET", "~/git/trees/main", None),
        ("POST", "~/git/trees", {"tree": []}),
        ("POST", "~/git/blobs", {"content": "x"}),
        ("GET", "~/commits", None),
    ):
        answer = raw(method, path, body)
        assert (answer.status, answer.body["message"]) == (409, "Git Repository is empty.")
    assert raw("GET", "~/contents/").status == 404
    assert raw("GET", "~/branches").body == []


def test_a_commit_through_the_git_database(forge: Any, hub: Any) -> None:
    """What `elysium:github:Commit` does, with real git looking at the result."""
    old = hub.get_git_ref("heads/main").object.sha
    base = hub.get_git_commit(old).tree
    tree = hub.create_git_tree(
        [
            github.InputGitTreeElement("clusters/new/ü.yaml", "100644", "blob", content="é: 1\n"),
            github.InputGitTreeElement("run.sh", "100755", "blob", content="#!/bin/sh\n"),
            github.InputGitTreeElement("README.md", "100644", "blob", sha=None),
        ],
        base,
    )
    author = github.InputGitAuthor("Flux", "flux@example.com", "2026-08-01T12:00:00+02:00")
    message = "Add Flux\n\nbecause"
    made = hub.create_git_commit(message, tree, [hub.get_git_commit(old)], author)
    hub.get_git_ref("heads/main").edit(made.sha)
    assert forge.head() == made.sha
    assert forge.files() == [
        "apps/ä.yaml",
        "clusters/kyrion/flux-system/kustomization.yaml",
        "clusters/new/ü.yaml",
        "run.sh",
    ]
    assert forge.read_file("clusters/new/ü.yaml") == "é: 1\n"
    raw = forge.git("cat-file", "commit", made.sha)
    assert "author Flux <flux@example.com> 1785578400 +0200\n" in raw
    assert "committer Flux <flux@example.com> 1785578400 +0200\n" in raw
    assert raw.endswith("\n\nAdd Flux\n\nbecause")
    assert "100755 blob" in forge.git("ls-tree", "main", "run.sh")
    assert subprocess.run(["git", "fsck", "--strict"], cwd=forge.path, check=False).returncode == 0
    assert hub.get_git_commit(made.sha).author.name == "Flux"


def test_trees_are_listed_flat_and_whole(forge: Any, hub: Any, raw: Any) -> None:
    tree = hub.get_git_tree("main")
    assert [entry.path for entry in tree.tree] == ["README.md", "apps", "clusters"]
    whole = hub.get_git_tree(forge.head(), recursive=True)
    assert {entry.path for entry in whole.tree if entry.type == "blob"} == set(forge.files())
    assert {entry.path for entry in whole.tree if entry.type == "tree"} >= {"apps", "clusters"}
    assert raw("GET", f"~/git/trees/{tree.sha}").body["sha"] == tree.sha
    assert raw("GET", "~/git/trees/nothing").status == 404


def test_blobs_come_back_as_they_were(hub: Any, raw: Any) -> None:
    content = bytes(range(256)) * 5
    made = hub.create_git_blob(base64.b64encode(content).decode(), "base64")
    found = hub.get_git_blob(made.sha)
    assert base64.b64decode(found.content) == content
    assert found.size == len(content)
    assert max(map(len, found.content.splitlines())) == 60
    assert raw("GET", f"~/git/blobs/{'0' * 40}").status == 404
    assert raw("POST", "~/git/blobs", {"content": "a", "encoding": "base64"}).status == 422


@pytest.mark.parametrize(
    ("tree", "words"),
    [
        ([], "Invalid tree info"),
        ([{"path": "a", "mode": "1", "type": "blob", "content": ""}], "valid tree.mode"),
        ([{"path": "a", "mode": "100644"}], "either tree.sha or tree.content"),
        ([{"path": "../a", "mode": "100644", "content": ""}], "malformed path"),
        ([{"path": ".git/config", "mode": "100644", "content": ""}], "malformed path"),
        ([{"path": "a", "mode": "100644", "sha": "1" * 40}], "not a valid blob"),
        ([{"path": "not/there", "mode": "100644", "sha": None}], "GitRPC::BadObjectState"),
    ],
)
def test_a_bad_tree_is_refused(raw: Any, tree: Any, words: str) -> None:
    answer = raw("POST", "~/git/trees", {"base_tree": "main", "tree": tree})
    assert answer.status == 422
    assert words in answer.body["message"]


def test_a_folder_goes_and_a_file_takes_its_place(forge: Any, raw: Any) -> None:
    deletion = {"path": "clusters", "mode": "040000", "type": "tree", "sha": None}
    body = {"base_tree": forge.head(), "tree": [deletion]}
    paths = [row["path"] for row in raw("POST", "~/git/trees", body).body["tree"]]
    assert paths == ["README.md", "apps"]
    body = {"base_tree": forge.head(), "tree": [{"path": "apps", "mode": "100644", "content": "x"}]}
    rows = raw("POST", "~/git/trees", body).body["tree"]
    assert {row["path"]: row["type"] for row in rows}["apps"] == "blob"


def _commit(raw: Any, parents: list[str], **values: Any) -> str:
    tree = raw("GET", f"~/git/commits/{parents[0]}").body["tree"]["sha"]
    body = {"message": "next", "tree": tree, "parents": parents, **values}
    return raw("POST", "~/git/commits", body).body["sha"]


def test_only_fast_forwards_unless_forced(forge: Any, raw: Any) -> None:
    start = forge.head()
    one, two = _commit(raw, [start], message="1"), _commit(raw, [start], message="2")
    assert raw("PATCH", "~/git/refs/heads/main", {"sha": one}).status == 200
    answer = raw("PATCH", "~/git/refs/heads/main", {"sha": two})
    assert (answer.status, answer.body["message"]) == (422, "Update is not a fast forward")
    assert answer.body["documentation_url"].endswith("/git/refs#update-a-reference")
    assert forge.head() == one
    assert raw("PATCH", "~/git/refs/heads/main", {"sha": two, "force": True}).status == 200
    assert forge.head() == two


def test_of_many_writers_at_once_exactly_one_wins_each_round(forge: Any, raw: Any) -> None:
    start = forge.head()
    shas = [_commit(raw, [start], message=str(n)) for n in range(6)]
    statuses: list[int] = []

    def update(sha: str) -> None:
        statuses.append(raw("PATCH", "~/git/refs/heads/main", {"sha": sha}).status)

    threads = [threading.Thread(target=update, args=(sha,)) for sha in shas]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(statuses) == [200, 422, 422, 422, 422, 422]
    assert forge.head() in shas


def test_references(forge: Any, hub: Any, raw: Any) -> None:
    head = forge.head()
    made = hub.create_git_ref("refs/heads/side/one", head)
    assert [ref.ref for ref in hub.get_git_matching_refs("heads/side")] == ["refs/heads/side/one"]
    assert {row["ref"] for row in raw("GET", "~/git/refs").body} >= {"refs/heads/main", made.ref}
    bodies = {
        "Reference already exists": {"ref": made.ref, "sha": head},
        "Object does not exist": {"ref": "refs/heads/x", "sha": "1" * 40},
        "Reference name must start": {"ref": "heads/x", "sha": head},
    }
    for words, body in bodies.items():
        answer = raw("POST", "~/git/refs", body)
        assert answer.status == 422
        assert words in answer.body["message"]
    made.delete()
    assert raw("GET", "~/git/ref/heads/side/one").status == 404
    assert raw("GET", "~/git/ref/heads/si").status == 404
    answer = raw("PATCH", "~/git/refs/heads/none", {"sha": head})
    assert (answer.status, answer.body["message"]) == (422, "Reference does not exist")
    assert raw("DELETE", "~/git/refs/heads/none").status == 422
    assert raw("DELETE", "~/git/refs/heads/main").status == 422


@pytest.mark.parametrize(
    "change", [{"tree": "1" * 40}, {"parents": ["1" * 40]}, {"message": ""}, {"author": {}}]
)
def test_a_commit_of_nothing_is_refused(forge: Any, raw: Any, change: dict[str, Any]) -> None:
    tree = raw("GET", f"~/git/commits/{forge.head()}").body["tree"]["sha"]
    body = {"message": "m", "tree": tree, "parents": [forge.head()], **change}
    assert raw("POST", "~/git/commits", body).status == 422


def test_contents(hub: Any, raw: Any, forge: Any) -> None:
    file = hub.get_contents("README.md")
    assert file.decoded_content == b"# home\n"
    assert {entry.path for entry in hub.get_contents("")} == {"README.md", "apps", "clusters"}
    (entry,) = hub.get_contents("apps")
    assert (entry.path, entry.type) == ("apps/ä.yaml", "file")
    assert raw("GET", "~/contents/none").status == 404
    assert raw("GET", "~/contents/README.md?ref=none").status == 404
    first = forge.head()
    forge.commit_files({"README.md": "changed", "big": "x" * 1_100_000})
    assert hub.get_contents("README.md", ref=first).decoded_content == b"# home\n"
    big = raw("GET", "~/contents/big").body
    assert (big["encoding"], big["content"], big["size"]) == ("none", "", 1_100_000)


def test_branches_and_commits(forge: Any, hub: Any, raw: Any) -> None:
    first = forge.head()
    forge.commit_files({"apps/b.yaml": "b\nc\n"}, message="Add b")
    forge.git("branch", "feature/x", first)
    assert [branch.name for branch in hub.get_branches()] == ["feature/x", "main"]
    assert hub.get_branch("feature/x").commit.sha == first
    answer = raw("GET", "~/branches/none")
    assert (answer.status, answer.body["message"]) == (404, "Branch not found")
    assert [c.commit.message for c in hub.get_commits()] == ["Add b", "Initial commit"]
    assert [c.sha for c in hub.get_commits(path="README.md")] == [first]
    assert [c.sha for c in hub.get_commits(sha="feature/x")] == [first]
    commit = hub.get_commit("main")
    assert (commit.stats.additions, commit.stats.deletions) == (2, 0)
    assert [(f.filename, f.status) for f in commit.files] == [("apps/b.yaml", "added")]
    assert hub.get_commit(first).stats.additions == 3
    assert raw("GET", "~/commits/none").status == 422


def test_protection_is_kept_told_and_in_force(forge: Any, hub: Any, raw: Any) -> None:
    branch = hub.get_branch("main")
    assert not branch.protected
    answer = raw("GET", "~/branches/main/protection")
    assert (answer.status, answer.body["message"]) == (404, "Branch not protected")
    assert raw("PUT", "~/branches/main/protection", {"enforce_admins": True}).status == 422
    branch.edit_protection(enforce_admins=True, required_approving_review_count=0)
    found = hub.get_branch("main")
    assert found.protected
    assert found.get_protection().enforce_admins
    assert found.get_protection().required_pull_request_reviews is not None
    body = {"sha": _commit(raw, [forge.head()])}
    answer = raw("PATCH", "~/git/refs/heads/main", body)
    assert answer.status == 422
    assert answer.body["message"] == "Changes must be made through a pull request."
    assert raw("DELETE", "~/git/refs/heads/main").status == 422
    found.remove_protection()
    assert raw("PATCH", "~/git/refs/heads/main", body).status == 200


def test_administrators_pass_a_protection_that_does_not_hold_them(
    forge: Any, helpers: Any, raw: Any
) -> None:
    hold = {"required_status_checks": None, "enforce_admins": False, "restrictions": None}
    body = {**hold, "required_pull_request_reviews": {}}
    assert raw("PUT", "~/branches/main/protection", body).status == 200
    token, _ = forge.create_token(role="write")
    update = {"sha": _commit(raw, [forge.head()])}
    writer = helpers.Raw(forge, token.reveal())
    assert writer("PATCH", "~/git/refs/heads/main", update).status == 422
    assert raw("PATCH", "~/git/refs/heads/main", update).status == 200


def test_rulesets_hold_everybody(forge: Any, raw: Any) -> None:
    assert raw("GET", "~/rules/branches/main").body == []
    forge.protect(ruleset=True)
    assert [rule["type"] for rule in raw("GET", "~/rules/branches/main").body] == ["pull_request"]
    answer = raw("PATCH", "~/git/refs/heads/main", {"sha": _commit(raw, [forge.head()])})
    assert answer.status == 422
    assert answer.body["message"].startswith("Repository rule violations found")
    forge.unprotect()
    assert raw("GET", "~/rules/branches/main").body == []


def test_an_archived_repository_is_read_only(raw: Any) -> None:
    assert raw("PATCH", "~", {"archived": True}).status == 200
    answer = raw("POST", "~/git/blobs", {"content": "x"})
    assert (answer.status, answer.body["message"]) == (
        403,
        "Repository was archived so is read-only.",
    )
    assert raw("GET", "~/git/ref/heads/main").status == 200

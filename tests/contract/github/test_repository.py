"""Keys, trees, commits and pull requests against the forge."""

from __future__ import annotations

import threading

import pytest

from provision import errors
from provision.github import commits, deploy_keys, failures, trees
from tests.support import gitserver


def public() -> str:
    return gitserver.public_line(gitserver.new_key())


def mark(forge) -> int:
    return len(forge.calls())


def methods(forge, since: int) -> list[str]:
    return [call["method"] for call in forge.calls(since)]


def test_a_key_is_registered_listed_and_removed(forge, repo):
    line = public()
    made = repo.create_deploy_key(title="elysium/x/1-abc", key=line + " comment", read_only=False)
    assert made.fingerprint == deploy_keys.fingerprint(line)
    assert made.read_only is False
    assert made.added_by
    assert made.created_at is not None
    assert repo.deploy_keys() == (made,)
    repo.delete_deploy_key(made.id)
    assert repo.deploy_keys() == ()
    repo.delete_deploy_key(made.id)  # gone already is fine


def test_all_pages_of_keys_are_read(forge, repo):
    for number in range(103):
        forge.register_key(public(), title=f"key {number}")
    assert len({key.fingerprint for key in repo.deploy_keys()}) == 103


def test_keys_are_listed_once(forge, repo):
    since = mark(forge)
    repo.deploy_keys()
    repo.deploy_keys()
    assert len(forge.calls(since)) == 1


def test_a_key_of_another_repository_is_refused(forge, repo, server):
    line = public()
    other = server.with_repository(f"{forge.info.repository}-other")
    other.register_key(line)
    with pytest.raises(failures.KeyInUseError) as caught:
        repo.create_deploy_key(title="t", key=line, read_only=True)
    assert caught.value.status == 422


def test_a_registration_whose_answer_is_lost_succeeds(forge, open_as):
    said: list[str] = []
    repo = open_as(said=said)
    forge.fault("reset", method="POST", path="/keys$", when="after")
    made = repo.create_deploy_key(title="lost", key=public(), read_only=True)
    assert [key["id"] for key in forge.deploy_keys()] == [made.id]
    assert said


def test_a_removal_whose_answer_is_lost_succeeds(forge, repo):
    made = repo.create_deploy_key(title="lost", key=public(), read_only=True)
    forge.fault("close", method="DELETE", path="/keys/", when="after")
    repo.delete_deploy_key(made.id)
    assert forge.deploy_keys() == []


def test_host_keys_come_from_meta(forge, repo):
    assert set(repo.host_keys()) == set(forge.info.git_host_keys)


def test_the_tree_is_one_request_and_contents_are_fetched_once(forge, repo):
    head = repo.head()
    assert head == forge.api("GET", "~/git/ref/heads/main")["object"]["sha"]
    since = mark(forge)
    assert repo.read_tree(head, "apps") == {"apps/ä.yaml": "kind: App\n"}
    assert repo.read_file("README.md", head) == "# home\n"
    assert repo.read_file("nothing", head) is None
    assert repo.read_tree(head) == {
        "README.md": "# home\n",
        "clusters/kyrion/apps.yaml": "kind: Kustomization\n",
        "apps/ä.yaml": "kind: App\n",
    }
    assert len(forge.calls(since)) == 4  # one tree, three blobs


def test_blob_ids_are_gits(forge, repo):
    entries = repo.snapshot(repo.head()).entries
    assert entries["apps/ä.yaml"].sha == trees.blob_sha("kind: App\n")


def test_a_commit_changes_what_differs_and_nothing_else(forge, repo):
    before = repo.head()
    made = repo.commit("main", "Say more\n\nin two lines", {"README.md": "# more\n", "a/b": "c\n"})
    commit = forge.api("GET", f"~/git/commits/{made}")
    assert commit["message"] == "Say more\n\nin two lines"
    assert [parent["sha"] for parent in commit["parents"]] == [before]
    assert repo.head() == made
    assert forge.api("GET", "~/git/ref/heads/main")["object"]["sha"] == made
    assert repo.read_tree(made) == {
        "README.md": "# more\n",
        "a/b": "c\n",
        "clusters/kyrion/apps.yaml": "kind: Kustomization\n",
        "apps/ä.yaml": "kind: App\n",
    }


def test_nothing_is_written_where_nothing_differs(forge, repo):
    head = repo.head()
    since = mark(forge)
    files = {"README.md": "# home\n", "absent": None}
    assert repo.commit("main", "nothing", files) == head
    assert methods(forge, since) == ["GET"]


def test_files_are_removed_and_left_alone(forge, repo):
    made = repo.commit(
        "main",
        "change",
        {"apps/ä.yaml": None, "README.md": "mine\n", "new": "mine\n"},
        if_absent=("README.md", "new"),
    )
    assert repo.read_file("apps/ä.yaml", made) is None
    assert repo.read_file("README.md", made) == "# home\n"
    assert repo.read_file("new", made) == "mine\n"


def test_a_lost_race_is_committed_on_top_of_the_other(forge, open_as):
    said: list[str] = []
    repo, other = open_as(said=said), open_as()
    repo.head()
    repo.snapshot(repo.head())
    theirs = other.commit("main", "theirs", {"theirs": "1\n", "both": "theirs\n"})
    ours = repo.commit("main", "ours", {"ours": "1\n", "both": "ours\n"}, if_absent=("both",))
    parents = forge.api("GET", f"~/git/commits/{ours}")["parents"]
    assert [parent["sha"] for parent in parents] == [theirs]
    assert repo.read_file("both", ours) == "theirs\n"
    assert any("moved on" in text for text in said)


def test_many_committers_lose_nothing(forge, open_as):
    failures_: list[BaseException] = []

    def work(number: int) -> None:
        try:
            open_as().commit("main", f"commit {number}", {f"file{number}": "x\n"})
        except BaseException as error:  # noqa: BLE001
            failures_.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures_
    fresh = open_as()
    assert {f"file{n}" for n in range(4)} <= set(fresh.snapshot(fresh.head()).entries)


def test_a_ref_update_whose_answer_is_lost_is_one_commit(forge, repo):
    before = repo.head()
    forge.fault("reset", method="PATCH", path="/git/refs/", when="after")
    made = repo.commit("main", "once", {"a": "b\n"})
    assert forge.api("GET", "~/git/ref/heads/main")["object"]["sha"] == made
    assert [p["sha"] for p in forge.api("GET", f"~/git/commits/{made}")["parents"]] == [before]


def test_the_mode_of_a_script_stays(forge, repo):
    tree = forge.api(
        "POST",
        "~/git/trees",
        {
            "base_tree": forge.api("GET", f"~/git/commits/{repo.head(fresh=True)}")["tree"]["sha"],
            "tree": [
                {"path": "run.sh", "mode": "100755", "type": "blob", "content": "#!/bin/sh\n"}
            ],
        },
    )["sha"]
    parent = repo.head(fresh=True)
    commit = forge.api("POST", "~/git/commits", {"message": "m", "tree": tree, "parents": [parent]})
    forge.api("PATCH", "~/git/refs/heads/main", {"sha": commit["sha"]})
    assert repo.head(fresh=True) == commit["sha"]
    made = repo.commit("main", "edit", {"run.sh": "#!/bin/sh\ntrue\n"})
    assert repo.snapshot(made).entries["run.sh"].mode == "100755"


def test_a_missing_branch_would_begin_at_the_default_branch(repo):
    with pytest.raises(failures.NotFoundError, match="has no branch nowhere"):
        repo.head("nowhere")
    assert repo.new_branch("nowhere") == "main"
    assert repo.start("nowhere") == repo.head("main")
    assert repo.new_branch("main") is None


def test_a_pull_request_is_opened_once_completed_and_seen_merged(forge, repo):
    files = {"flux/a.yaml": "a\n"}
    first = repo.open_pull_request("main", "Add a\n\nbody", files)
    assert first is not None
    assert (first.state, first.branch) == ("open", commits.branch_for(files))
    again = repo.open_pull_request("main", "Add a", files)
    assert again is not None
    assert again.number == first.number
    assert len(forge.pulls()) == 1
    more = repo.open_pull_request("main", "Add b", {"flux/b.yaml": "b\n"}, branch=first.branch)
    assert more is not None
    assert more.number == first.number
    assert repo.read_file("flux/a.yaml", more.head) == "a\n"
    assert repo.read_file("flux/b.yaml", more.head) == "b\n"
    forge.merge(first.number)
    seen = repo.pull_request("main", first.branch)
    assert seen is not None
    assert seen.state == "merged"
    repo.refresh()
    assert repo.open_pull_request("main", "Add a", files) is None


def test_a_declined_pull_request_is_not_opened_again(forge, repo):
    files = {"flux/a.yaml": "a\n"}
    first = repo.open_pull_request("main", "Add a", files)
    assert first is not None
    forge.api("PATCH", f"~/pulls/{first.number}", {"state": "closed"})
    with pytest.raises(errors.CodeHostError) as caught:
        repo.open_pull_request("main", "Add a", files)
    assert f"#{first.number}" in caught.value.summary
    assert forge.pulls() == []


def test_a_pull_request_whose_answer_is_lost_is_found(forge, repo):
    forge.fault("reset", method="POST", path="/pulls$", when="after")
    made = repo.open_pull_request("main", "Add a", {"a": "a\n"})
    assert made is not None
    assert [pull["number"] for pull in forge.pulls()] == [made.number]


def test_a_branch_left_without_a_pull_request_starts_anew(forge, repo):
    files = {"a": "a\n"}
    forge.fault("respond", method="POST", path="/pulls$", status=422, body={"message": "no"})
    with pytest.raises(errors.CodeHostError):
        repo.open_pull_request("main", "Add a", files)
    repo.commit("main", "meanwhile", {"other": "x\n"})
    made = repo.open_pull_request("main", "Add a", files)
    assert made is not None
    assert repo.read_file("other", made.head) == "x\n"


@pytest.mark.parametrize("ruleset", [False, True])
def test_a_protected_branch_is_seen_and_refuses_a_push(forge, repo, ruleset):
    assert repo.branch_protection("main").needs_pull_request is False
    forge.protect("main", ruleset=ruleset)
    found = repo.branch_protection("main")
    assert found.needs_pull_request is True
    assert found.why
    with pytest.raises(failures.ProtectedBranchError) as caught:
        repo.commit("main", "push", {"a": "b\n"})
    assert "pull-request" in caught.value.hint
    assert repo.open_pull_request("main", "Add a", {"a": "b\n"}) is not None

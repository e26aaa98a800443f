"""git over the real sshd: exactly the registered keys, read-only enforced, all of it logged."""

from __future__ import annotations

import contextlib
import subprocess
import threading
from collections.abc import Iterator
from typing import Any

import pytest


@contextlib.contextmanager
def _new_events(forge: Any) -> Iterator[Any]:
    """Give a function that awaits the git log from here on."""
    since = len(forge.git_log())

    def wait(condition: Any) -> list[dict[str, Any]]:
        return forge.await_git(condition, since=since)

    yield wait


@pytest.mark.parametrize("algorithm", ["ed25519", "ecdsa-384", "rsa-3072"])
def test_a_registered_key_clones(forge: Any, git: Any, make_key: Any, algorithm: str) -> None:
    with _new_events(forge) as events:
        working = git(key=make_key(algorithm))
        working.clone()
        assert (working.folder / "work" / "README.md").read_text() == "# home\n"
        assert working("rev-parse", "HEAD", where="work").stdout.strip() == forge.head()
        (event,) = events(lambda log: len(log) == 1)
    (key,) = forge.deploy_keys()
    assert (event["operation"], event["result"]) == ("fetch", "ok")
    assert (event["repository"], event["key_id"]) == (forge.slug, key["id"])
    assert key["last_used"] is not None


def test_a_read_write_key_pushes_and_rest_sees_it(forge: Any, git: Any, raw: Any) -> None:
    working = git(read_only=False)
    working.clone()
    old = forge.head()
    with _new_events(forge) as events:
        new = working.commit()
        done = working.push()
        assert done.returncode == 0, done.stderr
        (event,) = events(lambda log: len(log) == 1)
    assert raw("GET", "~/git/ref/heads/main").body["object"]["sha"] == new
    assert (event["operation"], event["result"]) == ("push", "ok")
    assert event["updates"] == [{"old": old, "new": new, "ref": "refs/heads/main"}]


def test_a_read_only_key_may_not_push(forge: Any, git: Any) -> None:
    working = git(read_only=True)
    working.clone()
    old = forge.head()
    working.commit()
    with _new_events(forge) as events:
        done = working.push()
        (event,) = events(lambda log: len(log) == 1)
    assert done.returncode != 0
    assert "ERROR: The key you are authenticating with has been marked as read only." in done.stderr
    assert (event["operation"], event["result"]) == ("push", "refused")
    assert forge.head() == old


def test_an_unregistered_key_is_refused(
    forge: Any, helpers: Any, tmp_path: Any, make_key: Any
) -> None:
    key = make_key()
    working = helpers.Git(forge, tmp_path / "stranger", key)
    with _new_events(forge) as events:
        done = working("ls-remote", forge.ssh_url)
        found = events(lambda log: len(log) >= 1)
    assert done.returncode != 0
    assert "Permission denied (publickey)" in done.stderr
    assert {(event["operation"], event["result"]) for event in found} == {("auth", "refused")}
    assert {event["key"] for event in found} == {key.fingerprint}


def test_a_removed_key_is_refused_at_once(forge: Any, git: Any) -> None:
    working = git()
    assert working("ls-remote", forge.ssh_url).returncode == 0
    forge.delete_key(forge.deploy_keys()[0]["id"])
    done = working("ls-remote", forge.ssh_url)
    assert done.returncode != 0
    assert "Permission denied (publickey)" in done.stderr


def test_a_key_opens_its_own_repository_only(forge: Any, git: Any) -> None:
    other = forge.with_repository("not-mine")
    other.seed_repository({"a": "a"})
    done = git()("ls-remote", other.ssh_url)
    assert done.returncode != 0
    assert "ERROR: Repository not found." in done.stderr


@pytest.mark.parametrize("command", ["id", "git-upload-pack '/../../etc'", "git-shell", ""])
def test_nothing_but_git_runs(forge: Any, git: Any, command: str) -> None:
    working = git(read_only=False)
    ssh = working.environment["GIT_SSH_COMMAND"].split()
    address = f"git@{forge.info.ssh_host}"
    done = subprocess.run(
        [*ssh, "-p", str(forge.info.ssh_port), address, *([command] if command else [])],
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        timeout=30,
        check=False,
    )
    assert done.returncode == 1
    assert done.stdout == ""
    assert "uid=" not in done.stderr


def test_the_host_keys_are_those_of_meta(forge: Any, raw: Any) -> None:
    meta = raw("GET", "/meta").body
    scanned = subprocess.run(
        ["ssh-keyscan", "-p", str(forge.info.ssh_port), forge.info.ssh_host],
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    ).stdout
    found = {" ".join(line.split()[1:]) for line in scanned.splitlines() if line[:1] != "#"}
    assert found == set(meta["ssh_keys"])
    assert set(meta["ssh_key_fingerprints"]) == {"SHA256_RSA", "SHA256_ECDSA", "SHA256_ED25519"}


@pytest.mark.parametrize("ruleset", [False, True])
def test_a_protected_branch_refuses_a_push(forge: Any, git: Any, ruleset: bool) -> None:
    working = git(read_only=False)
    working.clone()
    old = forge.head()
    forge.protect(ruleset=ruleset)
    working.commit()
    with _new_events(forge) as events:
        done = working.push()
        (event,) = events(lambda log: len(log) == 1)
    code = "GH013: Repository rule violations found" if ruleset else "GH006: Protected branch"
    assert done.returncode != 0
    assert code in done.stderr
    assert "Changes must be made through a pull request." in done.stderr
    assert (event["operation"], event["result"], event["updates"]) == ("push", "rejected", [])
    assert forge.head() == old
    assert working.push("origin", "HEAD:refs/heads/side").returncode == 0
    forge.unprotect()
    assert working.push().returncode == 0


def test_a_protected_branch_takes_no_force_push(forge: Any, git: Any) -> None:
    working = git(read_only=False)
    working.clone()
    forge.commit_files({"other": "x"})
    forge.protect(pull_requests=False)
    working.commit()
    done = working.push("--force")
    assert done.returncode != 0
    assert "Cannot force-push to this branch" in done.stderr
    assert working("pull", "--quiet", "--rebase", where="work").returncode == 0
    assert working.push().returncode == 0


def test_of_a_push_and_a_rest_update_from_one_head_one_wins(forge: Any, git: Any, raw: Any) -> None:
    """Both start from the same commit; whoever is second is told so, and nothing is lost."""
    working = git(read_only=False)
    working.clone()
    for round_ in range(5):
        assert working("fetch", "-q", where="work").returncode == 0
        assert working("reset", "-q", "--hard", "origin/main", where="work").returncode == 0
        head = forge.head()
        mine = working.commit(f"ssh-{round_}")
        tree = raw("GET", f"~/git/commits/{head}").body["tree"]["sha"]
        body = {"message": "rest", "tree": tree, "parents": [head]}
        theirs = raw("POST", "~/git/commits", body).body["sha"]
        results: list[int] = []

        def update(sha: str = theirs, into: list[int] = results) -> None:
            into.append(raw("PATCH", "~/git/refs/heads/main", {"sha": sha}).status)

        thread = threading.Thread(target=update)
        thread.start()
        pushed = working.push().returncode == 0
        thread.join()
        assert sorted([pushed, results[0] == 200]) == [False, True]
        assert forge.head() == (mine if pushed else theirs)
        assert pushed or results == [200]


@pytest.mark.parametrize(
    ("mode", "words"),
    [
        ("refuse", "Permission denied"),
        ("error", "ERROR: Internal error."),
        ("down", "Connection refused"),
    ],
)
def test_the_sshd_can_be_made_to_fail(forge: Any, git: Any, mode: str, words: str) -> None:
    working = git()
    forge.ssh(mode)
    done = working("ls-remote", forge.ssh_url)
    assert done.returncode != 0
    assert words in done.stderr
    forge.ssh("ok")
    assert working("ls-remote", forge.ssh_url).returncode == 0

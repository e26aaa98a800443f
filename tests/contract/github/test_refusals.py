"""Each refusal is an error of its own, and what may be retried is."""

from __future__ import annotations

import datetime
import time

import pytest

from provision import errors
from provision.github import failures, preflight, repository
from provision.secret import Secret
from tests.support import gitserver


def settings(forge):
    from provision import config

    return config.GitHub(
        owner=forge.info.owner,
        repository=forge.info.repository,
        base_url=forge.info.api,
        allow_http=True,
        ssh_host=forge.info.ssh_host,
        ssh_port=forge.info.ssh_port,
    )


def problems(forge, token=None, path="clusters/kyrion", **options):
    return preflight.check(settings(forge), token or forge.token(), path, **options)


def test_a_wrong_token_is_401_and_never_shown(forge, open_as):
    canary = Secret("ghp_" + "c" * 36)
    with pytest.raises(failures.TokenError) as caught:
        open_as(canary).head()
    assert caught.value.status == 401
    assert caught.value.operation
    assert canary.reveal() not in f"{caught.value}{caught.value!r}{caught.value.__cause__!r}"


def test_an_expired_token_is_401(forge, open_as):
    past = datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=1)
    token, _ = forge.create_token("fine-grained", expires_at=past.timestamp())
    with pytest.raises(failures.TokenError):
        open_as(token).head()


def test_a_missing_permission_is_named(forge, open_as):
    token, _ = forge.create_token(
        "fine-grained", permissions={"contents": "write", "metadata": "read"}
    )
    with pytest.raises(failures.ForbiddenError) as caught:
        open_as(token).deploy_keys()
    assert caught.value.status == 403
    assert "Administration" in caught.value.missing
    assert "Administration" in caught.value.hint


def test_reading_keys_and_not_writing_them_is_named(forge, open_as):
    token, _ = forge.create_token(
        "fine-grained",
        permissions={"contents": "write", "metadata": "read", "administration": "read"},
    )
    repo = open_as(token)
    repo.deploy_keys()
    with pytest.raises(failures.ForbiddenError) as caught:
        repo.create_deploy_key(
            title="t", key=gitserver.public_line(gitserver.new_key()), read_only=True
        )
    assert "Administration: write" in caught.value.hint


def test_a_classic_token_without_scope_sees_no_private_repository(forge, open_as):
    token, _ = forge.create_token("classic", scopes=["read:user"])
    with pytest.raises(failures.NotFoundError) as caught:
        open_as(token).head()
    assert caught.value.status == 404


def test_a_missing_repository_is_404(server, forge):
    cfg = settings(forge).model_copy(update={"repository": "absent"})
    with pytest.raises(failures.NotFoundError):
        repository.Repository.open(cfg, forge.token()).permissions()


def test_an_empty_repository_has_no_head_and_gets_its_branch_from_nothing(empty):
    repo = repository.Repository.open(settings(empty), empty.token())
    with pytest.raises(failures.EmptyRepositoryError, match="has no commit"):
        repo.head()
    assert (repo.start("main"), repo.new_branch("main")) == ("", "")
    repo.close()


@pytest.mark.parametrize(
    ("action", "values"),
    [
        ("respond", {"status": 502}),
        ("respond", {"status": 500}),
        ("respond", {"status": 503, "headers": {"Retry-After": "1"}}),
        ("respond", {"status": 429, "headers": {"Retry-After": "1"}}),
        ("respond", {"status": 403, "headers": {"Retry-After": "1"}}),
        ("reset", {}),
        ("close", {}),
    ],
)
def test_what_may_pass_is_tried_again_and_said(forge, open_as, action, values):
    said: list[str] = []
    repo = open_as(said=said)
    forge.fault(action, path="/git/ref/", **values)
    began = time.monotonic()
    assert repo.head()
    assert len(said) == 1
    if "headers" in values:
        assert time.monotonic() - began >= 1
        assert "1 s" in said[0]


def test_a_server_that_stays_broken_is_given_up_at_the_deadline(forge, open_as):
    forge.fault("respond", path="/git/ref/", status=503, times=0)
    began = time.monotonic()
    with pytest.raises(errors.CodeHostError) as caught:
        open_as(deadline=2).head()
    assert caught.value.status == 503
    assert time.monotonic() - began < 4


def test_a_rate_limit_longer_than_the_deadline_says_when(forge, open_as):
    token, number = forge.create_token("classic", scopes=["repo"])
    forge.limit(number, 0, 3600)
    began = time.monotonic()
    with pytest.raises(failures.RateLimitError) as caught:
        open_as(token, deadline=5).head()
    assert time.monotonic() - began < 3
    assert "run again after" in caught.value.hint


def test_nobody_there_is_unreachable(forge, open_as):
    cfg = settings(forge).model_copy(update={"base_url": "http://127.0.0.1:9"})
    repo = repository.Repository.open(cfg, forge.token(), deadline=0.3)
    with pytest.raises(failures.UnreachableError) as caught:
        repo.head()
    assert caught.value.status == 0
    assert "127.0.0.1:9" in caught.value.summary


def test_a_good_token_has_no_problems(forge):
    assert problems(forge) == []


def test_preflight_writes_nothing(forge):
    since = len(forge.calls())
    problems(forge)
    assert {call["method"] for call in forge.calls(since)} == {"GET"}


def test_every_problem_is_reported_at_once(forge):
    token, _ = forge.create_token(
        "fine-grained",
        permissions={"contents": "read", "metadata": "read"},
        role="read",
    )
    found = problems(forge, token)
    text = "\n".join(str(problem) for problem in found)
    assert "deploy key" in text
    assert "push" in text
    assert len(found) >= 2


def test_a_protected_branch_is_a_problem_only_for_pushes_that_are_due(forge):
    forge.protect("main")
    assert [problem.key for problem in problems(forge)] == ["flux.commit"]
    assert problems(forge, commit="pull-request") == []
    assert problems(forge, commit="none") == []
    forge.unprotect("main")
    repo = repository.Repository.open(settings(forge), forge.token())
    repo.commit(
        "main",
        "flux",
        dict.fromkeys(preflight.flux_files("clusters/kyrion", "flux-system"), "x: 1\n"),
    )
    repo.close()
    forge.protect("main")
    assert problems(forge) == []


def test_a_file_at_the_clusters_path_is_a_problem(forge):
    assert [problem.key for problem in problems(forge, path="README.md")] == ["flux.path"]


@pytest.mark.parametrize("missing", ["owner", "branch", "token"])
def test_preflight_names_what_is_wrong(forge, missing):
    cfg, token = settings(forge), forge.token()
    if missing == "owner":
        cfg = cfg.model_copy(update={"owner": "nobody"})
    elif missing == "branch":
        cfg = cfg.model_copy(update={"branch": "nowhere"})
    else:
        token = Secret("ghp_wrong")
    found = preflight.check(cfg, token, "clusters/kyrion")
    key = {"owner": "repository", "branch": "branch", "token": "token"}[missing]
    assert [problem.key for problem in found] == [f"github.{key}"]

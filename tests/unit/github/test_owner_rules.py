"""What an owner of a repository forbids is named before anything is changed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from provision import config, errors
from provision.github import failures, preflight, repository
from provision.secret import Secret
from tests.support import hostile
from tests.support.hostile import Reply, reply

BASE = "/repos/me/home"
HEAD = "c0" * 20
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIPBpI1d6VXQmzdFZWcJ8aKq9J3i8cpu81nxsrFx8VxjY"
ALLOW_LIST = (
    "Although you appear to have the correct authorization credentials, the `me` organization has"
    " an IP allow list enabled, and your IP address is not permitted to access this resource."
)
SAML = "Resource protected by organization SAML enforcement."


class GitHub:
    """Answers as GitHub documents; `more` replaces or adds answers. `changed` counts writes."""

    def __init__(self) -> None:
        self.more: dict[str, Reply] = {}
        self.asked: list[str] = []

    def __call__(self, method: str, path: str) -> Reply:
        call = f"{method} {path.partition('?')[0]}"
        self.asked.append(call)
        usual = {
            f"GET {BASE}": reply(
                {
                    "full_name": "me/home",
                    "owner": {"login": "me", "type": "Organization"},
                    "permissions": {"push": True, "admin": True},
                }
            ),
            f"GET {BASE}/git/ref/heads/main": reply(
                {"ref": "refs/heads/main", "object": {"sha": HEAD, "type": "commit"}}
            ),
            f"GET {BASE}/git/trees/{HEAD}": reply({"truncated": False, "tree": []}),
            f"GET {BASE}/keys": reply([]),
            f"DELETE {BASE}/keys/0": reply({"message": "Not Found"}, 404),
            f"GET {BASE}/branches/main": reply({"protected": True}),
            f"GET {BASE}/rules/branches/main": reply([]),
            f"GET {BASE}/branches/main/protection": reply({}),
            "GET /orgs/me": reply({"login": "me"}),
            "GET /meta": reply({"ssh_keys": [KEY]}),
        }
        return (usual | self.more)[call]


@pytest.fixture
def github() -> GitHub:
    return GitHub()


@pytest.fixture
def repo(github: GitHub) -> Iterator[repository.Repository]:
    with hostile.serve(github) as server:
        cfg = config.GitHub(owner="me", repository="home", base_url=server.url, allow_http=True)
        made = repository.Repository.open(cfg, Secret("ghp_canary"), deadline=0.2)
        yield made
        made.close()


def checked(repo: repository.Repository, github: GitHub, **more: Any) -> list[errors.Problem]:
    token = Secret("ghp_canary")
    found = preflight.check(repo.cfg, token, "clusters/kyrion", new_key=True, repo=repo, **more)
    assert all(call.startswith("GET ") or call.endswith("/keys/0") for call in github.asked)
    return found


def rule(kind: str, number: int = 1) -> dict[str, Any]:
    return {"type": kind, "ruleset_id": number, "ruleset_source_type": "Organization"}


def ruleset(bypass: str | None) -> Reply:
    return reply(
        {"id": 1, "name": "r"} | ({} if bypass is None else {"current_user_can_bypass": bypass})
    )


def test_nothing_is_forbidden(repo: Any, github: GitHub) -> None:
    assert checked(repo, github) == []


def test_an_ip_allow_list(repo: Any, github: GitHub) -> None:
    github.more[f"GET {BASE}"] = reply({"message": ALLOW_LIST}, 403)
    (problem,) = checked(repo, github)
    assert "IP allow list, and this machine's address is not on it" in problem.message
    assert "the node's address too" in problem.hint


@pytest.mark.parametrize("headers", [{}, {"X-GitHub-SSO": "required; url=https://github.com/x"}])
def test_single_sign_on(repo: Any, github: GitHub, headers: dict[str, str]) -> None:
    answer = reply({"message": SAML}, 403)
    github.more[f"GET {BASE}"] = Reply(
        status=403, headers={**answer.headers, **headers}, body=answer.body
    )
    (problem,) = checked(repo, github)
    assert "authorised for single sign-on" in problem.message
    assert "authorise it" in problem.hint
    assert ("https://github.com/x" in problem.hint) == bool(headers)


def test_disabled_deploy_keys_are_seen_at_the_organisation(repo: Any, github: GitHub) -> None:
    body = {"login": "me", "deploy_keys_enabled_for_repositories": False}
    github.more["GET /orgs/me"] = reply(body)
    (problem,) = checked(repo, github)
    assert problem.kind == "KeysDisabledError"
    assert "deploy keys are disabled for me/home" in problem.message


def test_disabled_deploy_keys_are_named_where_they_are_refused(repo: Any, github: GitHub) -> None:
    message = "Deploy keys are disabled for this repository"
    body = {
        "message": "Validation Failed",
        "errors": [{"resource": "PublicKey", "code": "custom", "message": message}],
    }
    github.more[f"POST {BASE}/keys"] = reply(body, 422)
    with pytest.raises(failures.KeysDisabledError, match="deploy keys are disabled") as caught:
        repo.create_deploy_key(title="t", key=KEY, read_only=True)
    assert "Deploy keys" in caught.value.hint and message in caught.value.detail


def test_an_organisation_that_hides_itself_is_no_problem(repo: Any, github: GitHub) -> None:
    github.more["GET /orgs/me"] = reply({"message": "Not Found"}, 404)
    assert checked(repo, github) == []


@pytest.mark.parametrize(
    ("bypass", "held"),
    [
        ("always", False),
        ("exempt", False),
        ("never", True),
        ("pull_requests_only", True),
        (None, True),
    ],
)
def test_a_ruleset_that_the_token_may_bypass_holds_no_push(
    repo: Any, github: GitHub, bypass: str | None, held: bool
) -> None:
    github.more[f"GET {BASE}/rules/branches/main"] = reply([rule("deletion"), rule("pull_request")])
    github.more[f"GET {BASE}/rulesets/1"] = ruleset(bypass)
    assert [problem.kind for problem in checked(repo, github)] == ["branch-protected"] * held


def test_one_ruleset_may_be_bypassed_and_another_not(repo: Any, github: GitHub) -> None:
    rules = [rule("pull_request"), rule("pull_request", 2)]
    github.more[f"GET {BASE}/rules/branches/main"] = reply(rules)
    github.more[f"GET {BASE}/rulesets/1"] = ruleset("always")
    github.more[f"GET {BASE}/rulesets/2"] = reply({"message": "Not Found"}, 404)
    assert [problem.kind for problem in checked(repo, github)] == ["branch-protected"]


def test_signatures_that_a_ruleset_requires(repo: Any, github: GitHub) -> None:
    github.more[f"GET {BASE}/rules/branches/main"] = reply([rule("required_signatures")])
    github.more[f"GET {BASE}/rulesets/1"] = ruleset("never")
    (problem,) = checked(repo, github)
    assert problem.kind == "signatures-required"
    assert "takes only signed commits" in problem.message and "squashing" in problem.hint
    github.more[f"GET {BASE}/rulesets/1"] = ruleset("always")
    repo.refresh()
    assert checked(repo, github) == []


@pytest.mark.parametrize(("enforced", "held"), [(True, True), (False, False)])
def test_signatures_that_a_classic_protection_requires(
    repo: Any, github: GitHub, enforced: bool, held: bool
) -> None:
    github.more[f"GET {BASE}/branches/main/protection"] = reply(
        {"enforce_admins": {"enabled": enforced}, "required_signatures": {"enabled": True}}
    )
    assert [problem.kind for problem in checked(repo, github)] == ["signatures-required"] * held

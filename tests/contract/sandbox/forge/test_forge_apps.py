"""GitHub Apps: proving themselves by JSON web token, and what installation tokens may do."""

from __future__ import annotations

import time
from typing import Any

import github
import jwt
import pytest


@pytest.fixture
def app(forge: Any) -> dict[str, Any]:
    made, private = forge.create_app(repositories=[forge.slug])
    return {**made, "key": private.reveal()}


def _token(app: dict[str, Any], key: str = "", **claims: Any) -> str:
    now = int(time.time())
    values = {"iat": now - 60, "exp": now + 300, "iss": str(app["id"]), **claims}
    values = {name: value for name, value in values.items() if value is not None}
    return jwt.encode(values, key or app["key"], algorithm="RS256")


def test_an_installation_works_through_pygithub(
    forge: Any, app: dict[str, Any], checked: Any, make_key: Any
) -> None:
    auth = github.Auth.AppAuth(app["id"], app["key"])
    integration = github.GithubIntegration(auth=auth, base_url=forge.info.api)
    found = integration.get_repo_installation(forge.info.owner, forge.info.repository)
    assert found.id == app["installation_id"]
    assert integration.get_user_installation(forge.info.owner).id == app["installation_id"]
    for look in (integration.get_org_installation, integration.get_user_installation):
        with pytest.raises(github.UnknownObjectException):
            look("nobody")
    assert [i.id for i in integration.get_installations()] == [app["installation_id"]]
    assert integration.get_app().slug == "elysium"
    connection = github.Github(
        auth=auth.get_installation_auth(app["installation_id"]),
        base_url=forge.info.api,
        retry=None,
        seconds_between_requests=None,
        seconds_between_writes=None,
    )
    repository = connection.get_repo(forge.slug)
    key = repository.create_key("by app", make_key().public, read_only=True)
    assert key.added_by == "elysium[bot]"
    assert repository.get_git_ref("heads/main").object.sha == forge.head()
    with pytest.raises(github.GithubException) as refused:
        _ = connection.get_user().login
    assert refused.value.status == 403
    assert any(path.endswith("/access_tokens") for _, path, _ in checked)
    connection.close()
    integration.close()
    kinds = {call["token"] for call in forge.calls() if call["path"] == "/app"}
    assert kinds == {"jwt"}


def test_a_client_id_is_an_issuer_too(forge: Any, helpers: Any, app: dict[str, Any]) -> None:
    caller = helpers.Raw(forge, _token(app, iss=app["client_id"]))
    assert caller("GET", "/app").body["id"] == app["id"]


@pytest.mark.parametrize(
    ("claims", "status", "words"),
    [
        ({"exp": 1200}, 401, "is too far in the future"),
        ({"exp": -5}, 401, "('exp') must be a numeric value"),
        ({"exp": None}, 401, "('exp') must be a numeric value"),
        ({"iat": 600}, 401, "('iat') must be an Integer"),
        ({"iss": "99"}, 404, "Integration not found"),
    ],
)
def test_a_bad_token_is_refused_in_githubs_words(
    forge: Any, helpers: Any, app: dict[str, Any], claims: Any, status: int, words: str
) -> None:
    # Times are seconds from now: not from when the tests were collected.
    now = int(time.time())
    told = {key: now + each if isinstance(each, int) else each for key, each in claims.items()}
    answer = helpers.Raw(forge, _token(app, **told))("GET", "/app")
    assert answer.status == status
    assert words in answer.body["message"]


def test_a_token_of_another_key_is_refused(forge: Any, helpers: Any, app: dict[str, Any]) -> None:
    _, other = forge.create_app()
    for text in (_token(app, key=other.reveal()), "a.b.c", "", forge.token().reveal()):
        answer = helpers.Raw(forge, text)("GET", "/app")
        assert answer.status == 401
        assert answer.body["message"] == "A JSON web token could not be decoded"


def test_an_installation_token_is_bounded(
    forge: Any, helpers: Any, app: dict[str, Any], make_key: Any
) -> None:
    caller = helpers.Raw(forge, _token(app))
    path = f"/app/installations/{app['installation_id']}/access_tokens"
    made = caller("POST", path, {"permissions": {"contents": "read"}})
    assert made.status == 201
    assert made.body["permissions"] == {"metadata": "read", "contents": "read"}
    assert made.body["repository_selection"] == "selected"
    limited = helpers.Raw(forge, made.body["token"])
    assert limited("GET", "~/git/ref/heads/main").status == 200
    answer = limited("POST", "~/keys", {"key": make_key().public})
    assert (answer.status, answer.body["message"]) == (
        403,
        "Resource not accessible by integration",
    )
    assert answer.headers["x-accepted-github-permissions"] == "administration=write"
    other = forge.with_repository("out-of-reach")
    assert helpers.Raw(other, made.body["token"])("GET", "~").status == 404
    for body, words in (
        ({"permissions": {"issues": "write"}}, "permissions requested are not granted"),
        ({"repositories": ["out-of-reach"]}, "at least one repository that does not exist"),
    ):
        answer = caller("POST", path, body)
        assert answer.status == 422
        assert words in answer.body["message"]
    assert caller("POST", "/app/installations/1/access_tokens").status == 404
    forge.admin("apps/suspend", id=app["id"])
    assert caller("POST", path).status == 403


def test_an_app_installed_everywhere_reaches_its_owners_repositories(
    forge: Any, helpers: Any
) -> None:
    made, private = forge.create_app()
    caller = helpers.Raw(forge, _token({**made, "key": private.reveal()}))
    token = caller("POST", f"/app/installations/{made['installation_id']}/access_tokens").body
    assert token["repository_selection"] == "all"
    assert helpers.Raw(forge, token["token"])("GET", "~").status == 200
    stranger = forge.with_repository("theirs", owner="another")
    assert helpers.Raw(stranger, token["token"])("GET", "~").status == 404

"""Tokens, permissions, limits and headers.

Against "Authenticating to the REST API", "Troubleshooting the REST API", "Rate
limits for the REST API", "API Versions" and "Scopes for OAuth apps".
"""

from __future__ import annotations

import time
from typing import Any

import github
import pytest

from provision.sandbox.forge.routes import TABLE


def test_the_first_token_is_kept_from_others_and_out_of_the_logs(forge: Any, raw: Any) -> None:
    raw("GET", "~")
    token = forge.token().reveal()
    assert token.startswith("ghp_")
    assert forge.info.token_file.stat().st_mode & 0o777 == 0o600
    assert forge.info.admin_file.stat().st_mode & 0o777 == 0o600
    for file in forge.info.root.glob("*.json*"):
        assert token not in file.read_text()


@pytest.mark.parametrize("scheme", ["token", "Bearer"])
def test_both_schemes_are_taken(forge: Any, helpers: Any, scheme: str) -> None:
    nobody = helpers.Raw(forge, "")
    headers = {"Authorization": f"{scheme} {forge.token().reveal()}"}
    assert nobody("GET", "/user", headers=headers).status == 200


def test_a_bad_expired_or_revoked_token_is_401(forge: Any, helpers: Any) -> None:
    expired, _ = forge.create_token(expires_at=int(time.time()) - 1)
    revoked, token_id = forge.create_token("fine-grained")
    forge.revoke_token(token_id)
    for text in ("ghp_wrong", expired.reveal(), revoked.reveal()):
        answer = helpers.Raw(forge, text)("GET", "~")
        assert (answer.status, answer.body["message"]) == (401, "Bad credentials")
    assert [call["token"] for call in forge.calls()[-3:]] == ["bad"] * 3


def test_a_token_tells_when_it_ends(forge: Any, helpers: Any) -> None:
    token, _ = forge.create_token("fine-grained", expires_at=4102444800)
    answer = helpers.Raw(forge, token.reveal())("GET", "~")
    assert answer.headers["github-authentication-token-expiration"] == "2100-01-01 00:00:00 UTC"


def test_nobody_sees_what_is_public_only(forge: Any, helpers: Any, raw: Any) -> None:
    nobody = helpers.Raw(forge, "")
    assert nobody("GET", "/meta").status == 200
    answer = nobody("GET", "/user")
    assert (answer.status, answer.body["message"]) == (401, "Requires authentication")
    assert nobody("GET", "~").status == 404
    raw("PATCH", "~", {"private": False})
    answer = nobody("GET", "~")
    assert (answer.status, answer.body["permissions"]["push"]) == (200, False)
    assert answer.headers["x-ratelimit-limit"] == "60"
    assert nobody("GET", "~/keys").status == 404
    assert nobody("POST", "~/git/blobs", {"content": "x"}).status == 404


def test_classic_tokens_list_their_scopes(forge: Any, helpers: Any, raw: Any) -> None:
    answer = raw("GET", "~/keys")
    assert answer.headers["x-oauth-scopes"] == "repo"
    assert answer.headers["x-accepted-oauth-scopes"] == "repo"
    assert "x-accepted-github-permissions" not in answer.headers
    token, _ = forge.create_token(scopes=["gist", "read:org"])
    answer = helpers.Raw(forge, token.reveal())("GET", "~/keys")
    assert answer.status == 404
    assert answer.headers["x-oauth-scopes"] == "gist, read:org"
    assert answer.headers["x-accepted-oauth-scopes"] == "repo"


PERMISSIONS = [
    ("GET", "~", "metadata=read"),
    ("PATCH", "~", "administration=write"),
    ("GET", "~/keys", "administration=read"),
    ("POST", "~/keys", "administration=write"),
    ("DELETE", "~/keys/1", "administration=write"),
    ("GET", "~/git/ref/heads/main", "contents=read"),
    ("POST", "~/git/trees", "contents=write"),
    ("POST", "~/git/commits", "contents=write"),
    ("PATCH", "~/git/refs/heads/main", "contents=write"),
    ("GET", "~/contents/README.md", "contents=read"),
    ("GET", "~/branches/main/protection", "administration=read"),
    ("GET", "~/rules/branches/main", "metadata=read"),
    ("GET", "~/pulls", "pull_requests=read"),
    ("POST", "~/pulls", "pull_requests=write"),
]


@pytest.mark.parametrize(("method", "path", "permission"), PERMISSIONS)
def test_a_missing_permission_is_named_before_anything_is_looked_at(
    forge: Any, helpers: Any, method: str, path: str, permission: str
) -> None:
    """As "Permissions required for fine-grained personal access tokens" lists them."""
    name, _, level = permission.partition("=")
    less = {"read": "none", "write": "read"}[level]
    granted = {"metadata": "read", "contents": "write", "administration": "write"}
    token, _ = forge.create_token("fine-grained", permissions={**granted, name: less})
    answer = helpers.Raw(forge, token.reveal())(method, path, {} if method != "GET" else None)
    assert answer.status == 403
    assert answer.body["message"] == "Resource not accessible by personal access token"
    assert answer.headers["x-accepted-github-permissions"] == permission
    assert "x-oauth-scopes" not in answer.headers
    enough, _ = forge.create_token("fine-grained", permissions={**granted, name: level})
    answer = helpers.Raw(forge, enough.reveal())(method, path, {} if method != "GET" else None)
    assert answer.status in (200, 404, 422)


def test_a_fine_grained_token_for_other_repositories_sees_nothing(forge: Any, helpers: Any) -> None:
    token, _ = forge.create_token("fine-grained", repositories=["someone/else"])
    assert helpers.Raw(forge, token.reveal())("GET", "~").status == 404
    token, _ = forge.create_token("fine-grained", repositories=[forge.slug])
    assert helpers.Raw(forge, token.reveal())("GET", "~").status == 200


def test_who_may_only_read_or_write_manages_no_keys(forge: Any, helpers: Any) -> None:
    for role, push in (("read", 404), ("write", 201)):
        token, _ = forge.create_token(role=role)
        caller = helpers.Raw(forge, token.reveal())
        assert caller("GET", "~").body["permissions"]["admin"] is False
        assert caller("GET", "~/keys").status == 404
        assert caller("POST", "~/git/blobs", {"content": "x"}).status == push


def test_every_answer_counts_against_the_limit(forge: Any, helpers: Any) -> None:
    token, token_id = forge.create_token()
    caller = helpers.Raw(forge, token.reveal())
    first, second = caller("GET", "~"), caller("GET", "~/keys/1")
    for answer in (first, second):
        assert answer.headers["x-ratelimit-resource"] == "core"
        assert answer.headers["x-ratelimit-limit"] == "5000"
        assert int(answer.headers["x-ratelimit-reset"]) > time.time()
    assert second.status == 404
    assert int(first.headers["x-ratelimit-remaining"]) == 4999
    assert int(second.headers["x-ratelimit-used"]) == 2
    assert caller("GET", "/rate_limit").body["resources"]["core"]["used"] == 2
    forge.limit(token_id, remaining=0, reset_in=1)
    refused = caller("GET", "~")
    assert refused.status == 403
    assert refused.headers["x-ratelimit-remaining"] == "0"
    assert "API rate limit exceeded" in refused.body["message"]
    deadline = time.time() + 10
    while caller("GET", "~").status == 403 and time.time() < deadline:
        time.sleep(0.1)
    assert caller("GET", "~").status == 200


def test_headers_of_every_answer(raw: Any) -> None:
    answer = raw("GET", "~")
    assert answer.headers["x-github-media-type"] == "github.v3; format=json"
    assert answer.headers["x-github-api-version-selected"] == "2022-11-28"
    assert answer.headers["x-github-request-id"]
    assert answer.headers["content-type"] == "application/json; charset=utf-8"
    newer = raw("GET", "~", headers={"X-GitHub-Api-Version": "2026-03-10"})
    assert newer.headers["x-github-api-version-selected"] == "2026-03-10"
    assert raw("GET", "~", headers={"X-GitHub-Api-Version": "1999-01-01"}).status == 400


def test_unchanged_answers_are_304(raw: Any, forge: Any) -> None:
    tag = raw("GET", "~/branches").headers["etag"]
    again = raw("GET", "~/branches", headers={"If-None-Match": tag})
    assert (again.status, again.body) == (304, None)
    forge.commit_files({"x": "x"})
    assert raw("GET", "~/branches", headers={"If-None-Match": tag}).status == 200


def test_what_is_not_json_is_refused(forge: Any) -> None:
    import http.client

    connection = http.client.HTTPConnection(forge.info.api.removeprefix("http://"), timeout=10)
    headers = {"Authorization": f"token {forge.token().reveal()}"}
    for data, words in ((b"{", "Problems parsing JSON"), (b"[]", "should be a JSON object")):
        connection.request("POST", f"/repos/{forge.slug}/keys", data, headers)
        answer = connection.getresponse()
        assert answer.status == 400
        assert words in answer.read().decode()
    connection.close()


def test_calls_that_are_not_stood_in_fail_loudly(forge: Any, helpers: Any, checked: Any) -> None:
    del checked
    connection = helpers.client(forge)
    with pytest.raises(github.UnknownObjectException):
        connection.get_repo(forge.slug).get_issue(1)
    connection.close()
    last = forge.calls()[-1]
    assert (last["method"], last["status"], last["unknown"]) == ("GET", 404, True)
    assert last["path"] == f"/repos/{forge.slug}/issues/1"
    assert not any("unknown" in call for call in forge.calls()[-2:-1])


def test_the_call_log(forge: Any, raw: Any) -> None:
    since = len(forge.calls())
    raw("GET", "~/keys?per_page=5")
    forge.register_key(
        "ssh-ed25519 " + "AAAAC3NzaC1lZDI1NTE5AAAAIPBpI1d6VXQmzdFZWcJ8aKq9J3i8cpu8" + "1nxsrFx8VxjY"
    )
    listed, posted = forge.calls(since)
    assert (listed["method"], listed["status"], listed["token"]) == ("GET", 200, "classic")
    assert listed["path"] == f"/repos/{forge.slug}/keys?per_page=5"
    assert (posted["method"], posted["status"]) == ("POST", 201)
    assert listed["seconds"] >= 0
    assert listed["time"] < posted["time"]


def test_the_controls_need_their_secret(forge: Any) -> None:
    import http.client

    connection = http.client.HTTPConnection(forge.info.api.removeprefix("http://"), timeout=10)
    for headers in ({}, {"X-Forge-Admin": "wrong"}):
        connection.request("POST", "/_forge/tokens/create", b"{}", headers)
        answer = connection.getresponse()
        answer.read()
        assert answer.status == 403
    connection.close()


def test_every_route_has_a_schema(helpers: Any) -> None:
    """So that no answer can escape the check of the published schemas."""
    for route, expression in TABLE.routes:
        path = route.pattern.replace("+}", "}").replace("{owner}", "o").replace("{repo}", "r")
        for name in ("key_id", "pull_number", "installation_id"):
            path = path.replace(f"{{{name}}}", "1")
        path = path.replace("{", "").replace("}", "")
        assert expression.match(path)
        helpers.schemas.schema(route.method, path)

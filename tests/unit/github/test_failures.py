"""From an answer's status, headers and body to one sentence and a next step."""

from __future__ import annotations

import pytest

from provision import errors
from provision.github import failures


def refuse(status: int, headers: dict[str, str] | None = None, data: object = None):
    return failures.refusal(
        status, headers or {}, data, operation="register a deploy key", slug="me/home"
    )


@pytest.mark.parametrize(
    ("status", "headers", "data", "wait"),
    [
        (429, {"retry-after": "7"}, None, 7),
        (403, {"retry-after": "7"}, None, 7),
        (503, {"retry-after": "7"}, None, 7),
        (403, {"x-ratelimit-remaining": "0", "x-ratelimit-reset": "1100"}, None, 101),
        (403, {"x-ratelimit-remaining": "5", "x-ratelimit-reset": "1100"}, None, None),
        (403, {}, {"message": "You have exceeded a secondary rate limit."}, 60),
        (429, {}, None, 60),
        (403, {}, {"message": "Resource not accessible"}, None),
        (503, {}, None, None),
        (404, {"retry-after": "7"}, None, None),
    ],
)
def test_the_servers_own_delay(status, headers, data, wait):
    assert failures.retry_after(status, headers, data, now=1000.0) == wait


@pytest.mark.parametrize(
    ("headers", "words"),
    [
        (
            {"x-accepted-github-permissions": "administration=write"},
            "the repository permission Administration: write",
        ),
        (
            {"x-accepted-github-permissions": "contents=write; contents=write,workflows=write"},
            "the repository permission Contents: write or Contents: write and Workflows: write",
        ),
        (
            {"x-oauth-scopes": "read:user", "x-accepted-oauth-scopes": "repo"},
            "the classic scope repo",
        ),
        ({"x-oauth-scopes": "", "x-accepted-oauth-scopes": ""}, "the classic scope repo"),
        ({"x-oauth-scopes": "repo", "x-accepted-oauth-scopes": "repo"}, ""),
        ({}, ""),
    ],
)
def test_what_the_token_lacks(headers, words):
    assert failures.missing_permission(headers) == words


@pytest.mark.parametrize(
    ("status", "headers", "data", "kind", "needle"),
    [
        (401, {}, {"message": "Bad credentials"}, failures.TokenError, "expired"),
        (403, {}, {"message": "Resource not accessible"}, failures.ForbiddenError, "rights"),
        (
            403,
            {"x-github-sso": "required; url=https://github.com/orgs/o/sso?x=1"},
            {"message": "Resource protected by organization SAML enforcement."},
            failures.ForbiddenError,
            "https://github.com/orgs/o/sso?x=1",
        ),
        (
            403,
            {},
            {"message": "Repository was archived so is read-only."},
            failures.ForbiddenError,
            "unarchive",
        ),
        (404, {}, {"message": "Not Found"}, failures.NotFoundError, "github.owner"),
        (
            422,
            {},
            {"message": "Validation Failed", "errors": [{"message": "key is already in use"}]},
            failures.KeyInUseError,
            "remove it there",
        ),
        (422, {}, {"message": "Update is not a fast forward"}, failures.ConflictError, "again"),
        (422, {}, {"message": "Reference already exists"}, failures.ConflictError, "again"),
        (
            409,
            {},
            {"message": "Git Repository is empty."},
            failures.EmptyRepositoryError,
            "README",
        ),
        (
            422,
            {},
            {"message": "Repository rule violations found\n\nRequired status check missing"},
            failures.ProtectedBranchError,
            "pull-request",
        ),
        (
            403,
            {},
            {"message": "Protected branch update failed for refs/heads/main."},
            failures.ProtectedBranchError,
            "pull-request",
        ),
        (429, {"retry-after": "9"}, {}, failures.RateLimitError, "10 seconds"),
        (502, {}, "<html>", errors.CodeHostError, "status"),
        (422, {}, {"message": "Invalid", "errors": ["why"]}, errors.CodeHostError, "own words"),
    ],
)
def test_each_refusal_has_a_class_and_a_next_step(status, headers, data, kind, needle):
    error = refuse(status, headers, data)
    assert type(error) is kind
    assert error.status == status
    assert error.operation == "register a deploy key"
    assert needle in error.hint
    assert "register a deploy key" in error.summary
    assert "me/home" in error.summary or status == 401 or status == 429
    if isinstance(data, dict) and data.get("message"):
        assert data["message"].split("\n")[0] in error.detail

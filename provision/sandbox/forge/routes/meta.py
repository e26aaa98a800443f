"""What the forge tells of itself and of the caller.

Pages: "REST API endpoints for meta data", "REST API endpoints for users",
"REST API endpoints for rate limits".
"""

from __future__ import annotations

from typing import Any

from provision.sandbox.forge import bodies
from provision.sandbox.forge.app import Forge
from provision.sandbox.forge.messages import DOCS, ApiError, Request, Response
from provision.sandbox.forge.routing import Route

_NAMES = {
    "ssh-rsa": "SHA256_RSA",
    "ecdsa-sha2-nistp256": "SHA256_ECDSA",
    "ssh-ed25519": "SHA256_ED25519",
}


def get_meta(forge: Forge, request: Request) -> Response:
    """``GET /meta``, schema ``api-overview``: the SSH host keys are those of our sshd."""
    del request
    keys = forge.ssh.host_keys()
    prints = {_NAMES[key.split()[0]]: forge.ssh.fingerprint(key)[7:] for key in keys}
    body = {
        "verifiable_password_authentication": False,
        "ssh_key_fingerprints": prints,
        "ssh_keys": keys,
        "hooks": [],
        "web": [],
        "api": [],
        "git": [],
        "domains": {"website": [], "codespaces": [], "copilot": [], "packages": []},
    }
    return Response(body=body)


_ROOT = {
    "current_user_url": "/user",
    "current_user_authorizations_html_url": "~/settings/connections/applications{/client_id}",
    "authorizations_url": "/authorizations",
    "code_search_url": "/search/code?q={query}{&page,per_page,sort,order}",
    "commit_search_url": "/search/commits?q={query}{&page,per_page,sort,order}",
    "emails_url": "/user/emails",
    "emojis_url": "/emojis",
    "events_url": "/events",
    "feeds_url": "/feeds",
    "followers_url": "/user/followers",
    "following_url": "/user/following{/target}",
    "gists_url": "/gists{/gist_id}",
    "hub_url": "/hub",
    "issue_search_url": "/search/issues?q={query}{&page,per_page,sort,order}",
    "issues_url": "/issues",
    "keys_url": "/user/keys",
    "label_search_url": "/search/labels?q={query}&repository_id={repository_id}{&page,per_page}",
    "notifications_url": "/notifications",
    "organization_url": "/orgs/{org}",
    "organization_repositories_url": "/orgs/{org}/repos{?type,page,per_page,sort}",
    "organization_teams_url": "/orgs/{org}/teams",
    "public_gists_url": "/gists/public",
    "rate_limit_url": "/rate_limit",
    "repository_url": "/repos/{owner}/{repo}",
    "repository_search_url": "/search/repositories?q={query}{&page,per_page,sort,order}",
    "current_user_repositories_url": "/user/repos{?type,page,per_page,sort}",
    "starred_url": "/user/starred{/owner}{/repo}",
    "starred_gists_url": "/gists/starred",
    "topic_search_url": "/search/topics?q={query}{&page,per_page}",
    "user_url": "/users/{user}",
    "user_organizations_url": "/user/orgs",
    "user_repositories_url": "/users/{user}/repos{?type,page,per_page,sort}",
    "user_search_url": "/search/users?q={query}{&page,per_page,sort,order}",
}


def get_root(forge: Forge, request: Request) -> Response:
    """``GET /``, schema ``root``: what there is at GitHub, served here or not."""
    del forge
    pages = bodies.site(request.base)
    body: dict[str, Any] = {
        name: pages + path[1:] if path.startswith("~") else request.base + path
        for name, path in _ROOT.items()
    }
    return Response(body=body)


def get_user(forge: Forge, request: Request) -> Response:
    """``GET /user``, schema ``private-user``; 401 for nobody, 403 for an app installation."""
    if request.caller.token is None:
        raise ApiError(401, "Requires authentication", documentation=_USER)
    if request.caller.kind == "app":
        raise ApiError(403, "Resource not accessible by integration", documentation=_USER)
    owned = [r for r in forge.store.repositories() if r.owner == request.caller.login]
    body = bodies.private_user(request.base, request.caller.login, forge.started_at, len(owned))
    return Response(body=body)


def get_rate_limit(forge: Forge, request: Request) -> Response:
    """``GET /rate_limit``, schema ``rate-limit-overview``; does not count itself."""
    token = request.caller.token
    window = forge.limits.window(token.id if token else "").body()
    search = {**window, "limit": 30, "used": 0, "remaining": 30}
    return Response(body={"resources": {"core": window, "search": search}, "rate": window})


_USER = f"{DOCS}/users/users#get-the-authenticated-user"
ROUTES = (
    Route(
        method="GET",
        pattern="/",
        handler=get_root,
        documentation=f"{DOCS}/meta/meta#github-api-root",
    ),
    Route(
        method="GET",
        pattern="/meta",
        handler=get_meta,
        documentation=f"{DOCS}/meta/meta#get-apiname-meta-information",
    ),
    Route(method="GET", pattern="/user", handler=get_user, documentation=_USER),
    Route(
        method="GET",
        pattern="/rate_limit",
        handler=get_rate_limit,
        documentation=f"{DOCS}/rate-limit/rate-limit#get-rate-limit-status-for-the-authenticated-user",
    ),
)

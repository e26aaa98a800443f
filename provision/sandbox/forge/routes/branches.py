"""Branches, their protection, commits.

Pages: "REST API endpoints for branches", "… for protected branches", "… for
rules", "… for commits". A protection is kept as it was sent; what it forbids
is in `provision.sandbox.forge.protection`.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from provision.sandbox.forge import bodies, gitbodies, hooks, protection
from provision.sandbox.forge.app import Forge, Target
from provision.sandbox.forge.messages import (
    DOCS,
    ApiError,
    Request,
    Response,
    as_asked,
    invalid,
    not_found,
    paginate,
)
from provision.sandbox.forge.routing import Route

_PAGE = f"{DOCS}/branches/branches"
_PROTECTION = f"{DOCS}/branches/branch-protection"
_COMMITS = f"{DOCS}/commits/commits"
_REQUIRED = (
    "required_status_checks",
    "enforce_admins",
    "required_pull_request_reviews",
    "restrictions",
)
_SWITCHES = ("required_linear_history", "allow_force_pushes", "allow_deletions", "lock_branch")


def _url(request: Request, target: Target, branch: str) -> str:
    return f"{request.base}/repos/{target.record.slug}/branches/{quote(branch, safe='')}"


def _summary(target: Target, branch: str) -> dict[str, Any]:
    found = protection.settings(target.record, branch)
    checks = (found or {}).get("required_status_checks") or {}
    contexts = list(checks.get("contexts") or [])
    level = "off" if not contexts else "everyone"
    rows = [{"context": context, "app_id": None} for context in contexts]
    required = {"enforcement_level": level, "contexts": contexts, "checks": rows}
    return {"enabled": found is not None, "required_status_checks": required}


def list_branches(forge: Forge, request: Request, target: Target) -> Response:
    """``GET …/branches``: a page of ``short-branch``; ``protected=true`` filters."""
    del forge
    rows: list[Any] = []
    for name, (sha, _) in target.git.refs("refs/heads/").items():
        branch = name.removeprefix("refs/heads/")
        protected = protection.is_protected(target.record, branch)
        if request.query.get("protected", str(protected).lower()) != str(protected).lower():
            continue
        commit = {"sha": sha, "url": f"{request.base}/repos/{target.record.slug}/commits/{sha}"}
        rows.append({"name": branch, "commit": commit, "protected": protected})
    page, headers = paginate(request, rows)
    return Response(body=page, headers=headers)


def get_branch(forge: Forge, request: Request, target: Target) -> Response:
    """``GET …/branches/{branch}``, schema ``branch-with-protection``."""
    del forge
    branch = request.names["branch"]
    commit = target.git.commit(target.git.head(branch) or "-")
    if commit is None:
        raise ApiError(404, "Branch not found", documentation=f"{_PAGE}#get-a-branch")
    url = _url(request, target, branch)
    page = f"{bodies.site(request.base)}/{target.record.slug}/tree/{branch}"
    body = {
        "name": branch,
        "commit": gitbodies.commit(request.base, target.record, commit),
        "_links": {"self": url, "html": page},
        "protected": protection.is_protected(target.record, branch),
        "protection": _summary(target, branch),
        "protection_url": f"{url}/protection",
    }
    return Response(body=body)


def _protection_body(request: Request, target: Target, branch: str) -> dict[str, Any]:
    """Schema ``branch-protection``."""
    found = protection.settings(target.record, branch) or {}
    url = f"{_url(request, target, branch)}/protection"
    admins = {"url": f"{url}/enforce_admins", "enabled": bool(found.get("enforce_admins"))}
    body: dict[str, Any] = {"url": url, "enforce_admins": admins}
    checks = found.get("required_status_checks")
    if checks is not None:
        contexts = list(checks.get("contexts") or [])
        body["required_status_checks"] = {
            "url": f"{url}/required_status_checks",
            "strict": bool(checks.get("strict")),
            "contexts": contexts,
            "contexts_url": f"{url}/required_status_checks/contexts",
            "checks": [{"context": context, "app_id": None} for context in contexts],
        }
    reviews = found.get("required_pull_request_reviews")
    if reviews is not None:
        body["required_pull_request_reviews"] = {
            "url": f"{url}/required_pull_request_reviews",
            "dismiss_stale_reviews": bool(reviews.get("dismiss_stale_reviews")),
            "require_code_owner_reviews": bool(reviews.get("require_code_owner_reviews")),
            "require_last_push_approval": bool(reviews.get("require_last_push_approval")),
            "required_approving_review_count": reviews.get("required_approving_review_count", 1),
        }
    body |= {name: {"enabled": bool(found.get(name))} for name in _SWITCHES}
    body["required_signatures"] = {"url": f"{url}/required_signatures", "enabled": False}
    return body


def get_protection(forge: Forge, request: Request, target: Target) -> Response:
    """``GET …/branches/{branch}/protection``; 404 ``Branch not protected`` without one."""
    del forge
    branch = request.names["branch"]
    page = f"{_PROTECTION}#get-branch-protection"
    if not target.git.head(branch):
        raise ApiError(404, "Branch not found", documentation=page)
    if protection.settings(target.record, branch) is None:
        raise ApiError(404, "Branch not protected", documentation=page)
    return Response(body=_protection_body(request, target, branch))


def put_protection(forge: Forge, request: Request, target: Target) -> Response:
    """``PUT …/branches/{branch}/protection``: all four settings must be there, null or not."""
    branch = request.names["branch"]
    page = f"{_PROTECTION}#update-branch-protection"
    if not target.git.head(branch):
        raise ApiError(404, "Branch not found", documentation=page)
    missing = [f'"{name}"' for name in _REQUIRED if name not in request.body]
    if missing:
        raise invalid(f"Invalid request.\n\n{', '.join(missing)} weren't supplied.", page)
    with forge.store.changing():
        target.record.protection[branch] = dict(request.body)
        hooks.write_protection(target.git.path, target.record)
    return Response(body=_protection_body(request, target, branch))


def delete_protection(forge: Forge, request: Request, target: Target) -> Response:
    """``DELETE …/branches/{branch}/protection``: 204."""
    branch = request.names["branch"]
    with forge.store.changing():
        if target.record.protection.pop(branch, None) is None:
            page = f"{_PROTECTION}#delete-branch-protection"
            raise ApiError(404, "Branch not protected", documentation=page)
        hooks.write_protection(target.git.path, target.record)
    return Response(status=204)


def get_rules(forge: Forge, request: Request, target: Target) -> Response:
    """``GET …/rules/branches/{branch}``: active rules, schema ``repository-rule-detailed``.

    Also for branches that do not exist, as the page says.
    """
    del forge
    slug = target.record.slug
    source = {"ruleset_source_type": "Repository", "ruleset_source": slug, "ruleset_id": 1}
    rows: list[Any] = []
    for rule in target.record.rules.get(request.names["branch"], []):
        row: dict[str, Any] = {"type": rule, **source}
        if rule == "pull_request":
            row["parameters"] = {
                "dismiss_stale_reviews_on_push": False,
                "require_code_owner_review": False,
                "require_last_push_approval": False,
                "required_approving_review_count": 0,
                "required_review_thread_resolution": False,
            }
        rows.append(row)
    page, headers = paginate(request, rows)
    return Response(body=page, headers=headers)


def get_ruleset(forge: Forge, request: Request, target: Target) -> Response:
    """``GET …/rulesets/{ruleset_id}``: the one ruleset, schema ``repository-ruleset``."""
    del forge
    rules = {rule for each in target.record.rules.values() for rule in each}
    if request.names["ruleset_id"] != "1" or not rules:
        raise ApiError(404, "Not Found", documentation=_RULESET)
    body: dict[str, Any] = {
        "id": 1,
        "name": "protected branches",
        "target": "branch",
        "source_type": "Repository",
        "source": target.record.slug,
        "enforcement": "active",
        "current_user_can_bypass": target.record.bypass,
        "rules": [{"type": rule} for rule in sorted(rules)],
    }
    return Response(body=body)


def list_commits(forge: Forge, request: Request, target: Target) -> Response:
    """``GET …/commits``: a page of ``commit``, newest first; ``sha`` and ``path`` select."""
    del forge
    if target.git.is_empty():
        raise ApiError(409, "Git Repository is empty.", documentation=f"{_COMMITS}#list-commits")
    start = request.query.get("sha") or target.record.default_branch
    sha = target.git.resolve(start)
    if not sha:
        raise not_found(f"{_COMMITS}#list-commits")
    page, headers = paginate(
        request, list(target.git.history(sha, path=request.query.get("path", "")))
    )
    commits = (target.git.commit(name) for name in page)
    rows = [gitbodies.commit(request.base, target.record, c) for c in commits if c]
    return Response(body=rows, headers=headers)


def get_commit(forge: Forge, request: Request, target: Target) -> Response:
    """``GET …/commits/{ref}``, schema ``commit`` with stats and file names (no patches).

    The media types ``diff``, ``patch`` and ``sha`` give the commit as text.
    """
    del forge
    page = f"{_COMMITS}#get-a-commit"
    if target.git.is_empty():
        raise ApiError(409, "Git Repository is empty.", documentation=page)
    name = request.names["ref"]
    commit = target.git.commit(target.git.resolve(name) or "-")
    if commit is None:
        raise invalid(f"No commit found for SHA: {name}", page)
    if request.media.param == "sha":
        return as_asked(request, commit.sha.encode())
    if request.media.param == "patch":
        return as_asked(request, target.git.mails(commit.sha))
    if request.media.param == "diff":
        old = commit.parents[0] if commit.parents else ""
        return as_asked(request, target.git.diff(old, commit.sha))
    body = gitbodies.commit(request.base, target.record, commit)
    rows = target.git.changes(commit.parents[0] if commit.parents else "", commit.sha)
    added, deleted = sum(row[0] for row in rows), sum(row[1] for row in rows)
    body["stats"] = {"total": added + deleted, "additions": added, "deletions": deleted}
    slug = target.record.slug
    body["files"] = [
        {
            "sha": None,
            "filename": path,
            "status": status,
            "additions": plus,
            "deletions": minus,
            "changes": plus + minus,
            "blob_url": f"{bodies.site(request.base)}/{slug}/blob/{commit.sha}/{quote(path)}",
            "raw_url": f"{bodies.site(request.base)}/{slug}/raw/{commit.sha}/{quote(path)}",
            "contents_url": f"{request.base}/repos/{slug}/contents/{quote(path)}?ref={commit.sha}",
        }
        for plus, minus, path, status in rows
    ]
    return Response(body=body)


def _route(
    method: str,
    tail: str,
    handler: Any,
    page: str,
    permission: str = "contents=read",
    media: tuple[str, ...] = (),
) -> Route:
    return Route(
        method=method,
        pattern="/repos/{owner}/{repo}" + tail,
        repository_handler=handler,
        permission=permission,
        scopes=("repo",),
        documentation=page,
        media=media,
    )


_ADMIN = "administration=write"
_AT = "/branches/{branch+}"
_RULESET = f"{DOCS}/repos/rules#get-a-repository-ruleset"
_RULES = f"{DOCS}/repos/rules#get-rules-for-a-branch"
ROUTES = (
    _route("GET", "/branches", list_branches, f"{_PAGE}#list-branches"),
    _route(
        "GET",
        _AT + "/protection",
        get_protection,
        f"{_PROTECTION}#get-branch-protection",
        "administration=read",
    ),
    _route(
        "PUT",
        _AT + "/protection",
        put_protection,
        f"{_PROTECTION}#update-branch-protection",
        _ADMIN,
    ),
    _route(
        "DELETE",
        _AT + "/protection",
        delete_protection,
        f"{_PROTECTION}#delete-branch-protection",
        _ADMIN,
    ),
    _route("GET", _AT, get_branch, f"{_PAGE}#get-a-branch"),
    _route("GET", "/rules" + _AT, get_rules, _RULES, "metadata=read"),
    _route("GET", "/rulesets/{ruleset_id}", get_ruleset, _RULESET, "metadata=read"),
    _route("GET", "/commits", list_commits, f"{_COMMITS}#list-commits"),
    _route(
        "GET",
        "/commits/{ref+}",
        get_commit,
        f"{_COMMITS}#get-a-commit",
        media=("diff", "patch", "sha"),
    ),
)

"""What the token may do, and what a branch lets through.

Sources: GitHub REST documentation, "Get a repository" (``permissions`` of the
caller's role), "REST API endpoints for rules" (active rules of a branch, to be
read by anyone who reads the repository), "… for protected branches".
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from provision.github import api, failures


@dataclass(frozen=True, kw_only=True)
class Permissions:
    """Who the token is here.

    `role_*` is what the user behind it may do; a fine-grained token may do
    less. Of an app it is what its installation was given. `scopes` lists a
    classic token's scopes and is None for all others.
    """

    private: bool
    archived: bool
    role_push: bool
    role_admin: bool
    scopes: tuple[str, ...] | None
    is_app: bool = False


@dataclass(frozen=True, kw_only=True)
class Protection:
    """Whether a push is refused. `why` names the rule, in words; empty without one."""

    needs_pull_request: bool
    why: str = ""


def permissions(link: api.Api) -> Permissions:
    """Ask for the repository as the token sees it."""
    headers, data = link.request("read the repository", "GET", f"/repos/{link.cfg.slug}")
    role: Any = data.get("permissions") or {}
    listed = headers.get("x-oauth-scopes")
    scopes = None if listed is None else tuple(s.strip() for s in listed.split(",") if s.strip())
    granted = link.granted()
    if granted is not None:
        # A repository's body tells nothing of an app; the installation's token does.
        role = {
            "push": granted.get("contents") == "write",
            "admin": granted.get("administration") == "write",
        }
    return Permissions(
        private=bool(data.get("private")),
        archived=bool(data.get("archived")),
        role_push=bool(role.get("push")),
        role_admin=bool(role.get("admin")),
        scopes=scopes,
        is_app=granted is not None,
    )


def may_write_keys(link: api.Api) -> failures.ForbiddenError | None:
    """Return the refusal that registering a deploy key would meet, None where there is none.

    Harmless: it asks to remove a deploy key that cannot be there. Whoever may
    is told that it is not found, whoever may not is refused (GitHub
    documentation, "Troubleshooting the REST API"). A classic token's scopes
    tell the same without asking.
    """
    try:
        link.request("register a deploy key", "DELETE", f"/repos/{link.cfg.slug}/keys/0")
    except failures.NotFoundError:
        return None
    except failures.ForbiddenError as error:
        return error
    return None


def probe(link: api.Api, branch: str) -> Protection:
    """Return how `branch` is protected, as far as the token may know.

    A rule that cannot be seen shows itself when the push is refused.
    """
    base = f"/repos/{link.cfg.slug}"
    _, data = link.request(f"read the branch {branch}", "GET", f"{base}/branches/{branch}")
    rules = _rules(link, f"{base}/rules/branches/{branch}")
    for rule, why in (
        ("pull_request", "a ruleset asks for a pull request"),
        ("required_status_checks", "a ruleset asks for status checks"),
        ("update", "a ruleset restricts updates"),
    ):
        if rule in rules:
            return Protection(needs_pull_request=True, why=why)
    if not data.get("protected"):
        return Protection(needs_pull_request=False)
    return _classic(link, f"{base}/branches/{branch}/protection", data)


def _rules(link: api.Api, path: str) -> frozenset[str]:
    try:
        _, data = link.request("read the rules of a branch", "GET", path)
    except (failures.NotFoundError, failures.ForbiddenError):
        return frozenset()  # older Enterprise servers have no rulesets
    return frozenset(str(rule.get("type")) for rule in data)


def _classic(link: api.Api, path: str, branch: Any) -> Protection:
    """Read a classic branch protection, which only administrators may see whole."""
    try:
        _, data = link.request("read the branch protection", "GET", path)
    except (failures.NotFoundError, failures.ForbiddenError):
        checks: Any = ((branch.get("protection") or {}).get("required_status_checks")) or {}
        if checks.get("enforcement_level") in ("non_admins", "everyone"):
            return Protection(needs_pull_request=True, why="status checks are required")
        return Protection(needs_pull_request=False, why="protected")
    # Whoever may read this is an administrator, whom the rules hold only when enforced.
    enforced = bool((data.get("enforce_admins") or {}).get("enabled"))
    if data.get("restrictions"):
        return Protection(needs_pull_request=enforced, why="pushes are restricted")
    if data.get("required_pull_request_reviews"):
        return Protection(needs_pull_request=enforced, why="reviews are required")
    if data.get("required_status_checks"):
        return Protection(needs_pull_request=enforced, why="status checks are required")
    return Protection(needs_pull_request=False, why="protected")

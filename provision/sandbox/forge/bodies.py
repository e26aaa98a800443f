"""Bodies of users, repositories and deploy keys, as GitHub's published schemas have them.

Each function names its schema in GitHub's OpenAPI description. `base` is the
API's address as the caller knows it.
"""

from __future__ import annotations

import base64
import zlib
from typing import Any

from provision.sandbox.forge.store import DeployKey, Pull, Repository


def node_id(kind: str, identity: str | int) -> str:
    """Return an opaque id, stable for the object."""
    return base64.b64encode(f"0:{kind}{identity}".encode()).decode()


def site(base: str) -> str:
    """Return the address of the pages for people that goes with an API address."""
    return base.removesuffix("/api/v3")


def user_id(login: str) -> int:
    """Return a user's number: made up from the name, so that it never changes."""
    return 1000 + zlib.crc32(login.lower().encode()) % 9_000_000


def simple_user(base: str, login: str) -> dict[str, Any]:
    """Schema ``simple-user``."""
    url = f"{base}/users/{login}"
    return {
        "login": login,
        "id": user_id(login),
        "node_id": node_id("User", login),
        "avatar_url": f"{site(base)}/avatars/{login}",
        "gravatar_id": "",
        "url": url,
        "html_url": f"{site(base)}/{login}",
        "followers_url": f"{url}/followers",
        "following_url": f"{url}/following{{/other_user}}",
        "gists_url": f"{url}/gists{{/gist_id}}",
        "starred_url": f"{url}/starred{{/owner}}{{/repo}}",
        "subscriptions_url": f"{url}/subscriptions",
        "organizations_url": f"{url}/orgs",
        "repos_url": f"{url}/repos",
        "events_url": f"{url}/events{{/privacy}}",
        "received_events_url": f"{url}/received_events",
        "type": "User",
        "user_view_type": "public",
        "site_admin": False,
    }


def private_user(base: str, login: str, created_at: str, repositories: int) -> dict[str, Any]:
    """Schema ``private-user``: what ``GET /user`` tells the user itself."""
    return {
        **simple_user(base, login),
        "user_view_type": "private",
        "name": login,
        "company": None,
        "blog": "",
        "location": None,
        "email": None,
        "notification_email": None,
        "hireable": None,
        "bio": None,
        "twitter_username": None,
        "public_repos": 0,
        "public_gists": 0,
        "followers": 0,
        "following": 0,
        "created_at": created_at,
        "updated_at": created_at,
        "private_gists": 0,
        "total_private_repos": repositories,
        "owned_private_repos": repositories,
        "disk_usage": 0,
        "collaborators": 0,
        "two_factor_authentication": True,
    }


_LINKS = {
    "archive": "/{archive_format}{/ref}",
    "assignees": "{/user}",
    "blobs": "git/blobs{/sha}",
    "branches": "{/branch}",
    "collaborators": "{/collaborator}",
    "comments": "{/number}",
    "commits": "{/sha}",
    "compare": "/{base}...{head}",
    "contents": "/{+path}",
    "contributors": "",
    "deployments": "",
    "downloads": "",
    "events": "",
    "forks": "",
    "git_commits": "git/commits{/sha}",
    "git_refs": "git/refs{/sha}",
    "git_tags": "git/tags{/sha}",
    "hooks": "",
    "issue_comment": "issues/comments{/number}",
    "issue_events": "issues/events{/number}",
    "issues": "{/number}",
    "keys": "{/key_id}",
    "labels": "{/name}",
    "languages": "",
    "merges": "",
    "milestones": "{/number}",
    "notifications": "{?since,all,participating}",
    "pulls": "{/number}",
    "releases": "{/id}",
    "stargazers": "",
    "statuses": "/{sha}",
    "subscribers": "",
    "subscription": "",
    "tags": "",
    "teams": "",
    "trees": "git/trees{/sha}",
}


def _links(url: str) -> dict[str, str]:
    return {
        f"{name}_url": f"{url}/{tail}" if tail[:1].isalpha() else f"{url}/{name}{tail}"
        for name, tail in _LINKS.items()
    }


_SETTINGS: dict[str, Any] = {
    "has_issues": True,
    "has_projects": False,
    "has_wiki": False,
    "has_discussions": False,
    "homepage": None,
    "allow_squash_merge": True,
    "allow_merge_commit": True,
    "allow_rebase_merge": True,
    "allow_auto_merge": False,
    "delete_branch_on_merge": False,
    "allow_update_branch": False,
    "web_commit_signoff_required": False,
    "is_template": False,
    "allow_forking": True,
}
EDITABLE = frozenset(_SETTINGS)


def repository(base: str, record: Repository, ssh_url: str, role: str) -> dict[str, Any]:
    """Schemas ``repository`` and ``full-repository``."""
    url = f"{base}/repos/{record.slug}"
    page = f"{site(base)}/{record.slug}"
    is_open = sum(pull.state == "open" for pull in record.pulls)
    owner = simple_user(base, record.owner)
    return {
        "id": record.id,
        "node_id": node_id("Repository", record.id),
        "name": record.name,
        "full_name": record.slug,
        "owner": owner,
        "private": record.private,
        "visibility": "private" if record.private else "public",
        "html_url": page,
        "description": record.description,
        "fork": False,
        "url": url,
        **_links(url),
        "git_url": f"git://{page.partition('://')[2]}.git",
        "ssh_url": ssh_url,
        "clone_url": f"{page}.git",
        "svn_url": page,
        "mirror_url": None,
        **_SETTINGS,
        **record.settings,
        "language": None,
        "license": None,
        "topics": [],
        "forks_count": 0,
        "forks": 0,
        "stargazers_count": 0,
        "watchers_count": 0,
        "watchers": 0,
        "size": 0,
        "default_branch": record.default_branch,
        "open_issues_count": is_open,
        "open_issues": is_open,
        "has_pages": False,
        "has_downloads": True,
        "archived": record.archived,
        "disabled": False,
        "pushed_at": record.pushed_at,
        "created_at": record.created_at,
        "updated_at": record.updated_at,
        "permissions": {
            "admin": role == "admin",
            "maintain": role == "admin",
            "push": role in ("admin", "write"),
            "triage": role in ("admin", "write"),
            "pull": True,
        },
        "subscribers_count": 0,
        "network_count": 0,
    }


def deploy_key(
    base: str, record: Repository, key: DeployKey, last_used: str | None
) -> dict[str, Any]:
    """Schema ``deploy-key``."""
    return {
        "id": key.id,
        "key": key.key,
        "url": f"{base}/repos/{record.slug}/keys/{key.id}",
        "title": key.title,
        "verified": True,
        "created_at": key.created_at,
        "read_only": key.read_only,
        "added_by": key.added_by,
        "last_used": last_used,
        "enabled": True,
    }


def _side(base: str, record: Repository, ssh_url: str, ref: str, sha: str) -> dict[str, Any]:
    return {
        "label": f"{record.owner}:{ref}",
        "ref": ref,
        "sha": sha,
        "user": simple_user(base, record.owner),
        "repo": repository(base, record, ssh_url, "admin"),
    }


def pull_simple(base: str, record: Repository, ssh_url: str, pull: Pull) -> dict[str, Any]:
    """Schema ``pull-request-simple``; `pull` must have its `head_sha` and `base_sha` filled in."""
    url = f"{base}/repos/{record.slug}/pulls/{pull.number}"
    issue = f"{base}/repos/{record.slug}/issues/{pull.number}"
    page = f"{site(base)}/{record.slug}/pull/{pull.number}"
    addresses = {
        "html": page,
        "issue": issue,
        "comments": f"{issue}/comments",
        "review_comments": f"{url}/comments",
        "review_comment": f"{base}/repos/{record.slug}/pulls/comments{{/number}}",
        "commits": f"{url}/commits",
        "statuses": f"{base}/repos/{record.slug}/statuses/{pull.head_sha}",
    }
    return {
        "url": url,
        "id": pull.id,
        "node_id": node_id("PullRequest", pull.id),
        "diff_url": f"{page}.diff",
        "patch_url": f"{page}.patch",
        **{f"{name}_url": address for name, address in addresses.items()},
        "number": pull.number,
        "state": pull.state,
        "locked": False,
        "title": pull.title,
        "user": simple_user(base, pull.user),
        "body": pull.body,
        "created_at": pull.created_at,
        "updated_at": pull.updated_at,
        "closed_at": pull.closed_at or None,
        "merged_at": pull.merged_at or None,
        "merge_commit_sha": pull.merge_sha or None,
        "assignee": None,
        "assignees": [],
        "requested_reviewers": [],
        "requested_teams": [],
        "labels": [],
        "milestone": None,
        "draft": False,
        "head": _side(base, record, ssh_url, pull.head, pull.head_sha),
        "base": _side(base, record, ssh_url, pull.base, pull.base_sha),
        "_links": {
            "self": {"href": url},
            **{name: {"href": address} for name, address in addresses.items()},
        },
        "author_association": "OWNER",
        "auto_merge": None,
        "active_lock_reason": None,
    }

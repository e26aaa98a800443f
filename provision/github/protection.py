"""What the token may do, and what a branch lets through.

Sources: GitHub REST documentation, "Get a repository" (``permissions`` of the
caller's role), "REST API endpoints for rules" (active rules of a branch, to be
read by anyone who reads the repository; ``current_user_can_bypass`` of a
ruleset), "… for protected branches", "Get an organization"
(``deploy_keys_enabled_for_repositories``, which GitHub shows to some only).
"""

from __future__ import annotations

from dataclasses import dataclass

from provision.github import answers, api, failures


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
    organization: str = ""
    """The owner, where it is an organisation."""


@dataclass(frozen=True, kw_only=True)
class Protection:
    """Whether a push is refused. `why` names the rule, in words; empty without one.

    `needs_signatures`: only commits with a verified signature are taken.
    """

    needs_pull_request: bool
    why: str = ""
    needs_signatures: bool = False


_HOLDING = frozenset({"pull_request", "required_status_checks", "update", "required_signatures"})
"""Rules that hold a push of elysium's commits."""


def permissions(link: api.Api) -> Permissions:
    """Ask for the repository as the token sees it.

    Raises `failures.RenamedError` where GitHub knows it under another name now.
    """
    operation = "read the repository"
    answer = link.request(operation, "GET", link.repository_path())
    data = answer.fields
    name = data.text("full_name")
    if name.lower() != link.cfg.slug.lower():
        raise failures.renamed(link.cfg.slug, name, operation="use it", status=301)
    found = data.fields_or_none("permissions")
    role = {key: found is not None and found.flag(key) for key in ("push", "admin")}
    listed = answer.headers.get("x-oauth-scopes")
    scopes = None if listed is None else tuple(s.strip() for s in listed.split(",") if s.strip())
    granted = link.granted()
    if granted is not None:
        # A repository's body tells nothing of an app; the installation's token does.
        role = {
            "push": granted.get("contents") == "write",
            "admin": granted.get("administration") == "write",
        }
    return Permissions(
        private=data.flag("private"),
        archived=data.flag("archived"),
        role_push=role["push"],
        role_admin=role["admin"],
        scopes=scopes,
        is_app=granted is not None,
        organization=_organization(data),
    )


def _organization(repository: answers.Fields) -> str:
    owner = repository.fields_or_none("owner")
    if owner is None or owner.text_or("type") != "Organization":
        return ""
    return owner.text_or("login")


def allows_keys(link: api.Api, organization: str) -> bool:
    """Return whether `organization` allows deploy keys, also where GitHub does not say."""
    try:
        path = api.segments("orgs", organization)
        data = link.request("read the organisation", "GET", path).fields
    except (failures.NotFoundError, failures.ForbiddenError):
        return True
    return data.flag("deploy_keys_enabled_for_repositories", default=True)


def may_write_keys(link: api.Api) -> failures.ForbiddenError | None:
    """Return the refusal that registering a deploy key would meet, None where there is none.

    Harmless: it asks to remove a deploy key that cannot be there. Whoever may
    is told that it is not found, whoever may not is refused (GitHub
    documentation, "Troubleshooting the REST API"). A classic token's scopes
    tell the same without asking.
    """
    try:
        link.request("register a deploy key", "DELETE", link.repository_path("keys/0"))
    except failures.NotFoundError:
        return None
    except failures.ForbiddenError as error:
        return error
    return None


def probe(link: api.Api, branch: str) -> Protection:
    """Return how `branch` is protected, as far as the token may know.

    A rule that cannot be seen shows itself when the push is refused.
    """
    path = link.repository_path
    data = link.request(f"read the branch {branch}", "GET", path("branches", branch)).fields
    rules = _rules(link, path("rules/branches", branch))
    signed = "required_signatures" in rules
    for rule, why in (
        ("pull_request", "a ruleset asks for a pull request"),
        ("required_status_checks", "a ruleset asks for status checks"),
        ("update", "a ruleset restricts updates"),
    ):
        if rule in rules:
            return Protection(needs_pull_request=True, why=why, needs_signatures=signed)
    if signed:
        why = "a ruleset asks for signed commits"
        return Protection(needs_pull_request=False, why=why, needs_signatures=True)
    if not data.flag("protected"):
        return Protection(needs_pull_request=False)
    return _classic(link, path("branches", branch, "protection"), data)


def _rules(link: api.Api, path: str) -> frozenset[str]:
    try:
        rules = link.request("read the rules of a branch", "GET", path).items
    except (failures.NotFoundError, failures.ForbiddenError):
        return frozenset()  # older Enterprise servers have no rulesets
    held = frozenset(rule.text("type") for rule in rules if rule.text("type") in _HOLDING)
    if not held:
        return held
    passed: dict[int, bool] = {}
    for rule in rules:
        number = rule.number_or("ruleset_id")
        if rule.text("type") in held and number not in passed:
            passed[number] = _may_bypass(link, number)
    return frozenset(
        rule.text("type")
        for rule in rules
        if rule.text("type") in held and not passed[rule.number_or("ruleset_id")]
    )


def _may_bypass(link: api.Api, ruleset: int) -> bool:
    """Return whether the token's user may push past a ruleset; not, where GitHub does not say."""
    if not ruleset:
        return False
    path = link.repository_path("rulesets", str(ruleset))
    try:
        data = link.request("read a ruleset", "GET", path).fields
    except (failures.NotFoundError, failures.ForbiddenError):
        return False
    return data.text_or("current_user_can_bypass") in ("always", "exempt")


def _classic(link: api.Api, path: str, branch: answers.Fields) -> Protection:
    """Read a classic branch protection, which only administrators may see whole."""
    try:
        data = link.request("read the branch protection", "GET", path).fields
    except (failures.NotFoundError, failures.ForbiddenError):
        outline = branch.fields_or_none("protection")
        checks = outline.fields_or_none("required_status_checks") if outline else None
        if checks and checks.text_or("enforcement_level") in ("non_admins", "everyone"):
            return Protection(needs_pull_request=True, why="status checks are required")
        return Protection(needs_pull_request=False, why="protected")
    # Whoever may read this is an administrator, whom the rules hold only when enforced.
    admins = data.fields_or_none("enforce_admins")
    enforced = admins is not None and admins.flag("enabled")
    signatures = data.fields_or_none("required_signatures")
    if enforced and signatures is not None and signatures.flag("enabled"):
        pull = data.has("restrictions") or data.has("required_pull_request_reviews")
        why = "signed commits are required"
        return Protection(needs_pull_request=pull, why=why, needs_signatures=True)
    if data.has("restrictions"):
        return Protection(needs_pull_request=enforced, why="pushes are restricted")
    if data.has("required_pull_request_reviews"):
        return Protection(needs_pull_request=enforced, why="reviews are required")
    if data.has("required_status_checks"):
        return Protection(needs_pull_request=enforced, why="status checks are required")
    return Protection(needs_pull_request=False, why="protected")

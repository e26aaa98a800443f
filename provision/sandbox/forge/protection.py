"""Branch protection: what a protected branch refuses, over REST and over SSH alike.

Pages: "About protected branches" and "About rulesets". Kept from them: changes
must come through a pull request when that is asked for, never force pushes or
deletions unless allowed; administrators may push directly past a classic
protection without ``enforce_admins``. Deploy keys are nobody's administrator.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from provision.sandbox.forge.store import Repository

DOCUMENTATION = "https://docs.github.com/articles/about-protected-branches"
MUST_SIGN = "Commits must have verified signatures."
MUST_PULL = "Changes must be made through a pull request."
NO_FORCE = "Cannot force-push to this branch"


@dataclass(frozen=True, kw_only=True)
class Guard:
    """What is in force on a branch.

    `code` is how GitHub's hook numbers its refusal: GH006 for a classic
    protection, GH013 for a ruleset.
    """

    code: str
    pull_request: bool
    force: bool
    administrators: bool
    signatures: bool = False


def settings(repository: Repository, branch: str) -> dict[str, Any] | None:
    """Return the branch's classic protection as it was sent, or None."""
    return repository.protection.get(branch)


def guards(repository: Repository, branch: str) -> list[Guard]:
    """Return everything in force on a branch, rulesets first."""
    found: list[Guard] = []
    rules = repository.rules.get(branch)
    if rules:
        found.append(
            Guard(
                code="GH013",
                pull_request="pull_request" in rules,
                force="non_fast_forward" not in rules,
                administrators=repository.bypass not in ("always", "exempt"),
                signatures="required_signatures" in rules,
            )
        )
    classic = settings(repository, branch)
    if classic is not None:
        found.append(
            Guard(
                code="GH006",
                pull_request=classic.get("required_pull_request_reviews") is not None,
                force=bool(classic.get("allow_force_pushes")),
                administrators=bool(classic.get("enforce_admins")),
            )
        )
    return found


def is_protected(repository: Repository, branch: str) -> bool:
    """Whether anything is in force on a branch."""
    return bool(guards(repository, branch))


def refusal(
    repository: Repository, branch: str, *, forced: bool, administrator: bool = False
) -> str:
    """Return why a direct update of the branch is refused, in GitHub's words, or nothing."""
    for guard in guards(repository, branch):
        words = ""
        if guard.pull_request and not (administrator and not guard.administrators):
            words = MUST_PULL
        elif guard.signatures and not (administrator and not guard.administrators):
            words = MUST_SIGN  # no commit that arrives here is signed
        elif forced and not guard.force:
            words = NO_FORCE
        if words:
            ruleset = guard.code == "GH013"
            return f"Repository rule violations found\n\n{words}\n\n" if ruleset else words
    return ""


def needed_reviews(repository: Repository, branch: str) -> int:
    """Return how many approving reviews a pull request into the branch needs."""
    reviews = (settings(repository, branch) or {}).get("required_pull_request_reviews")
    return 0 if reviews is None else int(reviews.get("required_approving_review_count", 1))

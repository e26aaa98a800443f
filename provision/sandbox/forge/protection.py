"""Branch protection: what a protected branch refuses, over REST and over SSH alike.

Page: "About protected branches". Kept from it: pushes must come through a pull
request when reviews are required, never force pushes or deletions unless
allowed; administrators may push directly unless ``enforce_admins`` is set.
Deploy keys are nobody's administrator here.
"""

from __future__ import annotations

from typing import Any

from provision.sandbox.forge.store import Repository

DOCUMENTATION = "https://docs.github.com/articles/about-protected-branches"
MUST_PULL = "Changes must be made through a pull request."
NO_FORCE = "Cannot force-push to this branch"


def settings(repository: Repository, branch: str) -> dict[str, Any] | None:
    """Return the branch's protection as it was sent, or None."""
    return repository.protection.get(branch)


def needs_pull_request(repository: Repository, branch: str) -> bool:
    """Whether the branch takes changes through pull requests only."""
    found = settings(repository, branch) or {}
    return found.get("required_pull_request_reviews") is not None


def refusal(
    repository: Repository, branch: str, *, forced: bool, administrator: bool = False
) -> str:
    """Return why a direct update of the branch is refused, or nothing."""
    found = settings(repository, branch)
    if found is None:
        return ""
    bypass = administrator and not found.get("enforce_admins")
    if needs_pull_request(repository, branch) and not bypass:
        return MUST_PULL
    if forced and not found.get("allow_force_pushes"):
        return NO_FORCE
    return ""


def needed_reviews(repository: Repository, branch: str) -> int:
    """Return how many approving reviews a pull request into the branch needs."""
    reviews = (settings(repository, branch) or {}).get("required_pull_request_reviews") or {}
    return int(reviews.get("required_approving_review_count", 1)) if reviews else 0

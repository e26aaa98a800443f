"""Which published schema each answer of the forge stand-in must have.

GitHub publishes an OpenAPI description of its REST API; `githubkit_schemas`
holds it as pydantic models. `check` fails for a body that is not valid, and for
a call that the table does not know.
"""

from __future__ import annotations

import re
from typing import Any

import pydantic
from githubkit_schemas.v2026_03_10 import models

_R = r"^/repos/[^/]+/[^/]+"
_RULES = pydantic.TypeAdapter(
    list[
        models.RepositoryRuleDetailedOneof0
        | models.RepositoryRulePullRequest
        | models.RepositoryRuleNonFastForward
    ]
)
SUCCESS: list[tuple[str, str, Any]] = [
    ("GET", r"^/$", models.Root),
    ("GET", r"^/meta$", models.ApiOverview),
    ("GET", r"^/user$", models.PrivateUser),
    ("GET", r"^/rate_limit$", models.RateLimitOverview),
    ("GET", _R + "$", models.FullRepository),
    ("PATCH", _R + "$", models.FullRepository),
    ("GET", _R + "/keys$", list[models.DeployKey]),
    ("POST", _R + "/keys$", models.DeployKey),
    ("GET", _R + r"/keys/\d+$", models.DeployKey),
    ("GET", _R + "/git/commits/", models.GitCommit),
    ("POST", _R + "/git/commits$", models.GitCommit),
    ("GET", _R + "/git/trees/", models.GitTree),
    ("POST", _R + "/git/trees$", models.GitTree),
    ("GET", _R + "/git/blobs/", models.Blob),
    ("POST", _R + "/git/blobs$", models.ShortBlob),
    ("GET", _R + "/git/ref/", models.GitRef),
    ("GET", _R + "/git/(matching-refs/|refs$)", list[models.GitRef]),
    ("POST", _R + "/git/refs$", models.GitRef),
    ("PATCH", _R + "/git/refs/", models.GitRef),
    ("GET", _R + "/branches$", list[models.ShortBranch]),
    ("GET", _R + "/branches/.+/protection$", models.BranchProtection),
    ("PUT", _R + "/branches/.+/protection$", models.ProtectedBranch),
    ("GET", _R + "/rules/branches/", _RULES),
    ("GET", _R + "/branches/", models.BranchWithProtection),
    ("GET", _R + "/commits$", list[models.Commit]),
    ("GET", _R + "/commits/", models.Commit),
    ("PUT", _R + "/contents/.+", models.FileCommit),
    (
        "GET",
        _R + "/contents",
        models.ContentFile | list[models.ContentDirectoryItems] | models.ContentTree,
    ),
    ("GET", _R + "/pulls$", list[models.PullRequestSimple]),
    ("POST", _R + "/pulls$", models.PullRequest),
    ("GET", _R + r"/pulls/\d+$", models.PullRequest),
    ("PATCH", _R + r"/pulls/\d+$", models.PullRequest),
    ("PUT", _R + r"/pulls/\d+/merge$", models.PullRequestMergeResult),
    ("GET", _R + r"/rulesets/[^/]+$", models.RepositoryRuleset),
    ("GET", r"^/app$", models.Integration),
    ("GET", r"^/app/installations$", list[models.Installation]),
    ("GET", _R + "/installation$", models.Installation),
    ("GET", r"^/(users|orgs)/[^/]+/installation$", models.Installation),
    ("GET", r"^/app/installations/\d+$", models.Installation),
    ("POST", r"^/app/installations/\d+/access_tokens$", models.InstallationToken),
]
NO_CONTENT = [
    ("DELETE", _R + r"/keys/\d+$", 204),
    ("DELETE", _R + "/git/refs/", 204),
    ("DELETE", _R + "/branches/.+/protection$", 204),
    ("GET", _R + "/tarball(/|$)", 302),
]


def schema(method: str, path: str) -> Any:
    """Return the model of a successful call's body; its status where it has no content."""
    for wanted, expression, model in SUCCESS:
        if wanted == method and re.search(expression, path):
            return model
    for wanted, expression, status in NO_CONTENT:
        if wanted == method and re.search(expression, path):
            return status
    raise AssertionError(f"no schema is known for {method} {path}")


def check(method: str, path: str, status: int, body: Any) -> None:
    """Fail unless `body` is what GitHub publishes for that call and status."""
    path = path.partition("?")[0].removeprefix("/api/v3") or "/"
    if status == 304:
        return
    if status >= 400:
        model: Any = models.ValidationError if "errors" in body else models.BasicError
        if "message" not in body:
            raise AssertionError(f"{method} {path}: {status} without a message")
    else:
        model = schema(method, path)
    if isinstance(model, int):
        if status != model or body is not None:
            raise AssertionError(f"{method} {path}: {status} with {body!r}")
        return
    if isinstance(model, pydantic.TypeAdapter):
        model.validate_python(body)
    else:
        pydantic.TypeAdapter(model).validate_python(body)

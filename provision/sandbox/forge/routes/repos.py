"""Repositories. Page: "REST API endpoints for repositories"."""

from __future__ import annotations

from typing import Any

from provision.sandbox.forge import bodies
from provision.sandbox.forge.app import Forge, Target
from provision.sandbox.forge.messages import DOCS, Request, Response, invalid
from provision.sandbox.forge.routing import Route
from provision.sandbox.forge.store import timestamp

_PAGE = f"{DOCS}/repos/repos"


def _body(forge: Forge, request: Request, target: Target) -> dict[str, Any]:
    token = request.caller.token
    role = token.role if token else "read"
    return bodies.repository(request.base, target.record, forge.ssh_url(target.record), role)


def get_repository(forge: Forge, request: Request, target: Target) -> Response:
    """``GET /repos/{owner}/{repo}``, schema ``full-repository``."""
    return Response(body=_body(forge, request, target))


def update_repository(forge: Forge, request: Request, target: Target) -> Response:
    """``PATCH /repos/{owner}/{repo}``: description, visibility, default branch, archived, flags."""
    page = f"{_PAGE}#update-a-repository"
    record = target.record
    with forge.store.changing():
        branch = request.text("default_branch")
        if branch and not target.git.head(branch):
            message = f"The branch {branch} was not found. Please push that ref first or create it"
            error = {"resource": "Repository", "code": "invalid", "field": "default_branch"}
            raise invalid("Validation Failed", page, [{**error, "message": message}])
        if branch:
            record.default_branch = branch
            target.git.set_head(branch)
        for key in ("private", "archived"):
            if isinstance(request.body.get(key), bool):
                setattr(record, key, request.body[key])
        if "description" in request.body:
            record.description = request.body["description"]
        record.settings |= {k: v for k, v in request.body.items() if k in bodies.EDITABLE}
        record.updated_at = timestamp()
    return Response(body=_body(forge, request, target))


_REPOSITORY = "/repos/{owner}/{repo}"
ROUTES = (
    Route(
        method="GET",
        pattern=_REPOSITORY,
        repository_handler=get_repository,
        permission="metadata=read",
        scopes=("repo",),
        documentation=f"{_PAGE}#get-a-repository",
    ),
    Route(
        method="PATCH",
        pattern=_REPOSITORY,
        repository_handler=update_repository,
        permission="administration=write",
        scopes=("repo",),
        documentation=f"{_PAGE}#update-a-repository",
    ),
)

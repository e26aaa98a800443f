"""Git references. Page: "REST API endpoints for Git references".

Updates are fast-forwards unless ``force`` is true (422 ``Update is not a fast
forward``), and compare and swap underneath, so that of two writers from the
same head, here or over SSH, one is told so. A protected branch is a 422.
"""

from __future__ import annotations

from typing import Any

from provision.sandbox.forge import gitbodies, gitrepo, protection
from provision.sandbox.forge.app import Forge, Target
from provision.sandbox.forge.messages import (
    DOCS,
    ApiError,
    Request,
    Response,
    invalid,
    not_found,
    paginate,
)
from provision.sandbox.forge.routes import gitdata
from provision.sandbox.forge.routing import Route

_PAGE = f"{DOCS}/git/refs"
_UPDATE = f"{_PAGE}#update-a-reference"
_ATTEMPTS = 5


def get_ref(forge: Forge, request: Request, target: Target) -> Response:
    """``GET …/git/ref/{ref}``: exactly that reference (``heads/main``), schema ``git-ref``."""
    del forge
    gitdata.refuse_empty(target)
    name = f"refs/{request.names['ref']}"
    found = target.git.ref(name)
    if found is None:
        raise not_found(f"{_PAGE}#get-a-reference")
    return Response(body=gitbodies.reference(request.base, target.record, name, *found))


def list_refs(forge: Forge, request: Request, target: Target) -> Response:
    """``GET …/git/matching-refs/{ref}`` and ``…/git/refs``: every reference that begins so."""
    del forge
    prefix = f"refs/{request.names.get('ref', '')}"
    refs = target.git.refs()
    rows: list[Any] = [
        gitbodies.reference(request.base, target.record, name, *found)
        for name, found in refs.items()
        if name.startswith(prefix)
    ]
    page, headers = paginate(request, rows)
    return Response(body=page, headers=headers)


def create_ref(forge: Forge, request: Request, target: Target) -> Response:
    """``POST …/git/refs``: 201; 422 when it exists, is misnamed, or the object does not exist."""
    page = f"{_PAGE}#create-a-reference"
    gitdata.refuse_empty(target, page)
    name, sha = request.required("ref"), request.required("sha")
    if not name.startswith("refs/") or name.count("/") < 2:
        raise invalid("Reference name must start with 'refs/' and have at least two slashes.", page)
    kind = target.git.kind(sha)
    if not kind or (name.startswith("refs/heads/") and kind != "commit"):
        raise invalid("Object does not exist", page)
    if target.git.ref(name):
        raise invalid("Reference already exists", page)
    if not target.git.update_ref(name, sha, gitrepo.ZERO):
        raise invalid("Reference update failed", page)
    forge.pushed(target.record)
    body = gitbodies.reference(request.base, target.record, name, sha, kind)
    return Response(status=201, body=body, headers={"Location": body["url"]})


def update_ref(forge: Forge, request: Request, target: Target) -> Response:
    """``PATCH …/git/refs/{ref}``: moves it to ``sha``, schema ``git-ref``."""
    name, sha = f"refs/{request.names['ref']}", request.required("sha")
    force = request.body.get("force") is True
    for _ in range(_ATTEMPTS):
        found = target.git.ref(name)
        if found is None:
            raise invalid("Reference does not exist", _UPDATE)
        kind = target.git.kind(sha)
        if not kind or (name.startswith("refs/heads/") and kind != "commit"):
            raise invalid("Object does not exist", _UPDATE)
        forward = target.git.is_ancestor(found[0], sha)
        if name.startswith("refs/heads/"):
            refusal = protection.refusal(
                target.record,
                name[11:],
                forced=not forward,
                administrator=request.caller.is_administrator,
            )
            if refusal:
                raise invalid(refusal, protection.DOCUMENTATION)
        if not forward and not force:
            raise invalid("Update is not a fast forward", _UPDATE)
        if target.git.update_ref(name, sha, found[0]):
            forge.pushed(target.record)
            return Response(body=gitbodies.reference(request.base, target.record, name, sha, kind))
    raise ApiError(409, "Reference cannot be updated", documentation=_UPDATE)


def delete_ref(forge: Forge, request: Request, target: Target) -> Response:
    """``DELETE …/git/refs/{ref}``: 204; 422 for a protected, default or missing one."""
    page = f"{_PAGE}#delete-a-reference"
    name = f"refs/{request.names['ref']}"
    found = target.git.ref(name)
    if found is None:
        raise invalid("Reference does not exist", page)
    if name.startswith("refs/heads/") and protection.is_protected(target.record, name[11:]):
        raise invalid("Cannot delete a protected branch", protection.DOCUMENTATION)
    if name == f"refs/heads/{target.record.default_branch}":
        raise invalid("Cannot delete the default branch", page)
    if not target.git.update_ref(name, gitrepo.ZERO, found[0]):
        raise ApiError(409, "Reference cannot be updated", documentation=page)
    forge.pushed(target.record)
    return Response(status=204)


_GIT = "/repos/{owner}/{repo}/git"


def _route(
    method: str, tail: str, handler: Any, anchor: str, permission: str = "contents=read"
) -> Route:
    return Route(
        method=method,
        pattern=_GIT + tail,
        repository_handler=handler,
        permission=permission,
        scopes=("repo",),
        documentation=f"{_PAGE}#{anchor}",
    )


_WRITE = "contents=write"
ROUTES = (
    _route("GET", "/ref/{ref+}", get_ref, "get-a-reference"),
    _route("GET", "/matching-refs/{ref+}", list_refs, "list-matching-references"),
    _route("GET", "/refs", list_refs, "list-matching-references"),
    _route("POST", "/refs", create_ref, "create-a-reference", _WRITE),
    _route("PATCH", "/refs/{ref+}", update_ref, "update-a-reference", _WRITE),
    _route("DELETE", "/refs/{ref+}", delete_ref, "delete-a-reference", _WRITE),
)

"""Repository contents. Page: "REST API endpoints for repository contents"."""

from __future__ import annotations

import base64
import binascii
from typing import Any

from provision.sandbox.forge import gitbodies, gitobjects, gitrepo, journal, protection
from provision.sandbox.forge.app import Forge, Target
from provision.sandbox.forge.messages import (
    DOCS,
    ApiError,
    Request,
    Response,
    as_asked,
    invalid,
    not_found,
)
from provision.sandbox.forge.routing import Route

_PAGE = f"{DOCS}/repos/contents#get-repository-content"
_PUT = f"{DOCS}/repos/contents#create-or-update-file-contents"
_INLINE_LIMIT = 1024 * 1024


def get_contents(forge: Forge, request: Request, target: Target) -> Response:
    """``GET …/contents/{path}?ref=``: ``content-file``, or a list for a folder.

    Files over 1 MB come without content and with encoding ``none``, as the page says. The media
    type ``raw`` gives a file itself, ``object`` a folder as an object with ``entries``.
    """
    del forge
    git, path = target.git, request.names.get("path", "").strip("/")
    if git.is_empty():
        raise not_found(_PAGE)
    ref = request.query.get("ref") or target.record.default_branch
    commit = git.commit(git.resolve(ref) or "-")
    if commit is None:
        raise not_found(_PAGE)
    tree = git.read(f"{commit.sha}:{path}") if path else git.read(f"{commit.sha}^{{tree}}")
    if tree is None:
        raise not_found(_PAGE)
    base, record = request.base, target.record
    if tree[1] == "tree":
        entries = git.listing(commit.tree, path=f"{path}/" if path else "")
        rows: list[Any] = [gitbodies.content_entry(base, record, ref, e) for e in entries]
        if request.media.param == "object":
            return Response(body=gitbodies.content_tree(base, record, ref, path, tree[0], rows))
        return Response(body=rows)
    (entry,) = git.listing(commit.tree, path=path)
    if request.media.param == "raw" and entry.kind == "blob":
        return as_asked(request, tree[2])
    body: dict[str, Any] = gitbodies.content_entry(base, record, ref, entry)
    small = len(tree[2]) <= _INLINE_LIMIT
    body["content"] = gitbodies.wrapped(tree[2]) if small else ""
    body["encoding"] = "base64" if small else "none"
    return Response(body=body)


def put_contents(forge: Forge, request: Request, target: Target) -> Response:
    """``PUT …/contents/{path}``: one file in one commit, 201 for a new one and 200 else.

    Takes a repository without a commit: the branch, by default the default one, is made. A file
    that is there needs its ``sha``, and a branch that is not there is a 404.
    """
    git, path = target.git, request.names["path"].strip("/")
    branch = request.text("branch") or target.record.default_branch
    message, encoded = request.required("message"), request.text("content")
    if "content" not in request.body:
        raise invalid('Invalid request.\n\n"content" wasn\'t supplied.', _PUT)
    try:
        data = base64.b64decode(encoded)
    except (binascii.Error, ValueError) as error:
        raise invalid("content is not valid Base64", _PUT) from error
    head = git.head(branch)
    if not head and not git.is_empty():
        raise ApiError(404, f"Branch {branch} not found", documentation=_PUT)
    there = git.read(f"{head}:{path}") if head else None
    if there is not None and request.text("sha") != there[0]:
        if not request.text("sha"):
            raise invalid('Invalid request.\n\n"sha" wasn\'t supplied.', _PUT)
        raise ApiError(409, f"{path} does not match {request.text('sha')}", documentation=_PUT)
    refusal = protection.refusal(
        target.record, branch, forced=False, administrator=request.caller.is_administrator
    )
    if refusal:
        raise ApiError(409, refusal, documentation=_PUT)
    (blob,) = git.write_blobs([data])
    before = git.flat(f"{head}^{{tree}}") if head else {}
    tree = git.write_tree(gitobjects.edit_tree(before, [(path, "100644", blob)]))
    login = request.caller.login or "forge"
    who = gitobjects.Signature(
        name=login, email=f"{login}@users.noreply.localhost", at=journal.seconds()
    )
    parents = (head,) if head else ()
    made = gitobjects.Commit(tree=tree, parents=parents, author=who, committer=who, message=message)
    sha = git.write_commit(made)
    if not git.update_ref(f"refs/heads/{branch}", sha, head or gitrepo.ZERO):
        raise ApiError(409, "Reference cannot be updated", documentation=_PUT)
    forge.pushed(target.record)
    (entry,) = git.listing(tree, path=path)
    commit = git.commit(sha)
    body: dict[str, Any] = {
        "content": gitbodies.content_entry(request.base, target.record, branch, entry),
        "commit": gitbodies.git_commit(request.base, target.record, commit) if commit else None,
    }
    return Response(status=200 if there else 201, body=body)


def _route(pattern: str) -> Route:
    return Route(
        method="GET",
        pattern=pattern,
        repository_handler=get_contents,
        permission="contents=read",
        scopes=("repo",),
        documentation=_PAGE,
        media=("raw", "object"),
        unrendered=("html",),
    )


_CONTENTS = "/repos/{owner}/{repo}/contents"
ROUTES = (
    _route(_CONTENTS),
    _route(_CONTENTS + "/"),
    _route(_CONTENTS + "/{path+}"),
    Route(
        method="PUT",
        pattern=_CONTENTS + "/{path+}",
        repository_handler=put_contents,
        permission="contents=write",
        scopes=("repo",),
        documentation=_PUT,
    ),
)

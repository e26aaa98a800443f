"""Repository contents. Page: "REST API endpoints for repository contents"."""

from __future__ import annotations

from typing import Any

from provision.sandbox.forge import gitbodies
from provision.sandbox.forge.app import Forge, Target
from provision.sandbox.forge.messages import DOCS, Request, Response, not_found
from provision.sandbox.forge.routing import Route

_PAGE = f"{DOCS}/repos/contents#get-repository-content"
_INLINE_LIMIT = 1024 * 1024


def get_contents(forge: Forge, request: Request, target: Target) -> Response:
    """``GET …/contents/{path}?ref=``: ``content-file``, or a list for a folder.

    Files over 1 MB come without content and with encoding ``none``, as the page says.
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
        return Response(body=[gitbodies.content_entry(base, record, ref, e) for e in entries])
    (entry,) = git.listing(commit.tree, path=path)
    body: dict[str, Any] = gitbodies.content_entry(base, record, ref, entry)
    small = len(tree[2]) <= _INLINE_LIMIT
    body["content"] = gitbodies.wrapped(tree[2]) if small else ""
    body["encoding"] = "base64" if small else "none"
    return Response(body=body)


def _route(pattern: str) -> Route:
    return Route(
        method="GET",
        pattern=pattern,
        repository_handler=get_contents,
        permission="contents=read",
        scopes=("repo",),
        documentation=_PAGE,
    )


_CONTENTS = "/repos/{owner}/{repo}/contents"
ROUTES = (_route(_CONTENTS), _route(_CONTENTS + "/"), _route(_CONTENTS + "/{path+}"))

"""The Git database: commits, trees, blobs.

Pages: "REST API endpoints for Git commits", "… Git trees", "… Git blobs". In a
repository without a commit every one of them is a 409 ``Git Repository is
empty.``.
"""

from __future__ import annotations

import base64
import binascii
import datetime
import re
from typing import Any

from provision.sandbox.forge import gitbodies, gitobjects, gitrepo, journal
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

_MODES = ("100644", "100755", "040000", "160000", "120000")
_SHA = re.compile(r"^[0-9a-f]{40}$")
_TREES = f"{DOCS}/git/trees#create-a-tree"
_COMMITS = f"{DOCS}/git/commits#create-a-commit"


def refuse_empty(target: Target, documentation: str = DOCS) -> None:
    """Raise the 409 of a repository without any reference."""
    if target.git.is_empty():
        raise ApiError(409, "Git Repository is empty.", documentation=documentation)


def get_commit(forge: Forge, request: Request, target: Target) -> Response:
    """``GET …/git/commits/{sha}``, schema ``git-commit``."""
    del forge
    refuse_empty(target)
    commit = target.git.commit(request.names["sha"])
    if commit is None:
        raise not_found(f"{DOCS}/git/commits#get-a-commit-object")
    return Response(body=gitbodies.git_commit(request.base, target.record, commit))


def _signature(value: Any, default: gitobjects.Signature) -> gitobjects.Signature:
    if value is None:
        return default
    if not isinstance(value, dict) or not value.get("name") or not value.get("email"):
        raise invalid('Invalid request.\n\n"name", "email" weren\'t supplied.', _COMMITS)
    at, zone = default.at, default.zone
    if value.get("date"):
        try:
            moment = datetime.datetime.fromisoformat(str(value["date"]))
        except ValueError as error:
            raise invalid("Invalid request.\n\nFor 'date', no ISO 8601 time.", _COMMITS) from error
        at = int(moment.timestamp())
        zone = moment.strftime("%z") or "+0000"
    return gitobjects.Signature(
        name=str(value["name"]), email=str(value["email"]), at=at, zone=zone
    )


def create_commit(forge: Forge, request: Request, target: Target) -> Response:
    """``POST …/git/commits``: 201, schema ``git-commit``.

    The author is the token's user unless given, the committer is the author
    unless given, the date is now. Unknown trees and parents are a 422.
    """
    del forge
    refuse_empty(target, _COMMITS)
    tree = request.required("tree")
    parents = request.body.get("parents", [])
    if not isinstance(parents, list):
        raise invalid("Invalid request.\n\nFor 'parents', no list.", _COMMITS)
    if target.git.kind(tree) != "tree":
        raise invalid("Tree SHA does not exist", _COMMITS)
    for parent in parents:
        if target.git.kind(str(parent)) != "commit":
            raise invalid(
                f"Parent SHA does not exist or is not a commit object: {parent}", _COMMITS
            )
    login = request.caller.login or "nobody"
    caller = gitobjects.Signature(
        name=login, email=f"{login}@users.noreply.localhost", at=journal.seconds()
    )
    author = _signature(request.body.get("author"), caller)
    commit = gitobjects.Commit(
        tree=tree,
        parents=tuple(str(parent) for parent in parents),
        author=author,
        committer=_signature(request.body.get("committer"), author),
        message=request.required("message"),
    )
    sha = target.git.write_commit(commit)
    written = target.git.commit(sha)
    if written is None:
        raise ApiError(500, "The commit was not stored")
    body = gitbodies.git_commit(request.base, target.record, written)
    return Response(status=201, body=body, headers={"Location": body["url"]})


def get_tree(forge: Forge, request: Request, target: Target) -> Response:
    """``GET …/git/trees/{tree_sha}``: also of a branch or commit; any ``recursive`` counts."""
    del forge
    refuse_empty(target)
    name = request.names["tree_sha"]
    found = target.git.read(f"{name}^{{tree}}") or target.git.read(
        f"{target.git.resolve(name) or '-'}^{{tree}}"
    )
    if found is None:
        raise not_found(f"{DOCS}/git/trees#get-a-tree")
    entries = target.git.listing(found[0], recursive="recursive" in request.query)
    return Response(body=gitbodies.tree(request.base, target.record, found[0], entries))


def _checked(item: Any) -> dict[str, Any]:
    if not isinstance(item, dict) or not item.get("path"):
        raise invalid("Invalid tree info", _TREES)
    path, mode = str(item["path"]), item.get("mode")
    if path.startswith("/") or {"", ".", "..", ".git"} & set(path.split("/")):
        raise invalid("tree.path contains a malformed path component", _TREES)
    if mode not in _MODES:
        raise invalid(f"Must supply a valid tree.mode: {mode!r}", _TREES)
    if ("content" in item) == ("sha" in item):
        raise invalid("Must supply either tree.sha or tree.content", _TREES)
    return item


def create_tree(forge: Forge, request: Request, target: Target) -> Response:
    """``POST …/git/trees``: 201, schema ``git-tree`` (not recursive).

    Entries have ``sha`` or inline ``content``; ``sha: null`` deletes, and is a
    422 where nothing is to delete; without ``base_tree`` the tree starts empty.
    """
    del forge
    refuse_empty(target, _TREES)
    git = target.git
    wanted = request.body.get("tree")
    if not isinstance(wanted, list) or not wanted:
        raise invalid("Invalid tree info", _TREES)
    items = [_checked(item) for item in wanted]
    base = request.text("base_tree")
    if base and git.kind(f"{base}^{{tree}}") != "tree":
        raise invalid("base_tree is not a valid tree oid", _TREES)
    shas = iter(git.write_blobs([str(i["content"]).encode() for i in items if "content" in i]))
    edits: list[tuple[str, str, str | None]] = []
    for item in items:
        path, mode = str(item["path"]), str(item["mode"])
        sha = next(shas) if "content" in item else item["sha"]
        if sha is None:
            edits.append((path, mode, None))
        elif not _SHA.match(str(sha)):
            raise invalid("The tree parameter's sha must be 40 characters", _TREES)
        elif mode == "040000":
            below = git.flat(str(sha)) if git.kind(str(sha)) == "tree" else None
            if below is None:
                raise invalid(f"tree.sha {sha} is not a valid tree", _TREES)
            edits += [(f"{path}/{name}", m, s) for name, (m, s) in below.items()]
        elif mode != "160000" and git.kind(str(sha)) != "blob":
            raise invalid(f"tree.sha {sha} is not a valid blob", _TREES)
        else:
            edits.append((path, mode, str(sha)))
    try:
        sha = git.write_tree(gitobjects.edit_tree(git.flat(base) if base else {}, edits))
    except (gitobjects.MissingPathError, gitrepo.GitError) as error:
        raise invalid("GitRPC::BadObjectState", _TREES) from error
    body = gitbodies.tree(request.base, target.record, sha, git.listing(sha))
    return Response(status=201, body=body, headers={"Location": body["url"]})


def get_blob(forge: Forge, request: Request, target: Target) -> Response:
    """``GET …/git/blobs/{file_sha}``, schema ``blob``; the media type ``raw`` gives the content."""
    del forge
    refuse_empty(target)
    found = target.git.read(request.names["file_sha"])
    if found is None or found[1] != "blob":
        raise not_found(f"{DOCS}/git/blobs#get-a-blob")
    if request.media.param == "raw":
        return as_asked(request, found[2])
    return Response(body=gitbodies.blob(request.base, target.record, found[0], found[2]))


def create_blob(forge: Forge, request: Request, target: Target) -> Response:
    """``POST …/git/blobs``: 201, schema ``short-blob``; ``encoding`` is utf-8 or base64."""
    del forge
    page = f"{DOCS}/git/blobs#create-a-blob"
    refuse_empty(target, page)
    content = request.text("content").encode()
    if request.text("encoding", "utf-8") == "base64":
        try:
            content = base64.b64decode(content)
        except binascii.Error as error:
            raise invalid("content is not valid Base64", page) from error
    (sha,) = target.git.write_blobs([content])
    url = f"{request.base}/repos/{target.record.slug}/git/blobs/{sha}"
    return Response(status=201, body={"sha": sha, "url": url}, headers={"Location": url})


_GIT = "/repos/{owner}/{repo}/git"


def _route(
    method: str,
    tail: str,
    handler: Any,
    anchor: str,
    permission: str = "contents=read",
    media: tuple[str, ...] = (),
) -> Route:
    return Route(
        method=method,
        pattern=_GIT + tail,
        repository_handler=handler,
        permission=permission,
        scopes=("repo",),
        documentation=f"{DOCS}/git/{anchor}",
        media=media,
    )


_WRITE = "contents=write"
ROUTES = (
    _route("GET", "/commits/{sha}", get_commit, "commits#get-a-commit-object"),
    _route("POST", "/commits", create_commit, "commits#create-a-commit", _WRITE),
    _route("GET", "/trees/{tree_sha+}", get_tree, "trees#get-a-tree"),
    _route("POST", "/trees", create_tree, "trees#create-a-tree", _WRITE),
    _route("GET", "/blobs/{file_sha}", get_blob, "blobs#get-a-blob", media=("raw",)),
    _route("POST", "/blobs", create_blob, "blobs#create-a-blob", _WRITE),
)

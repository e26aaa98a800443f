"""Pull requests within one repository. Page: "REST API endpoints for pull requests"."""

from __future__ import annotations

import dataclasses
from typing import Any

from provision.sandbox.forge import bodies, gitobjects, journal, protection
from provision.sandbox.forge.app import Forge, Target
from provision.sandbox.forge.messages import (
    DOCS,
    ApiError,
    Request,
    Response,
    as_asked,
    invalid,
    not_found,
    paginate,
)
from provision.sandbox.forge.routing import Route
from provision.sandbox.forge.store import Pull, timestamp

_PAGE = f"{DOCS}/pulls/pulls"
_CREATE = f"{_PAGE}#create-a-pull-request"
_MERGE = f"{_PAGE}#merge-a-pull-request"
_CONFLICT = "Pull Request is not mergeable"


def _current(target: Target, pull: Pull) -> Pull:
    """Return the pull request with the shas of its branches: live ones while it is open."""
    if pull.state != "open":
        return pull
    head = target.git.head(pull.head) or pull.head_sha
    base = target.git.head(pull.base) or pull.base_sha
    return dataclasses.replace(pull, head_sha=head, base_sha=base)


def _simple(forge: Forge, request: Request, target: Target, pull: Pull) -> dict[str, Any]:
    ssh_url = forge.ssh_url(target.record)
    return bodies.pull_simple(request.base, target.record, ssh_url, _current(target, pull))


def _full(
    forge: Forge, request: Request, target: Target, pull: Pull, *, reads: bool = False
) -> dict[str, Any]:
    """Schema ``pull-request``: with what the list leaves out.

    `mergeable` is null until the pull request is read (`reads`) a second time.
    """
    now = _current(target, pull)
    merged = bool(pull.merged_at)
    mergeable = None
    is_open = now.state == "open"
    if is_open and forge.mergeability.known(pull.id, now.head_sha, now.base_sha, reads=reads):
        mergeable = bool(target.git.merge_trees(now.base_sha, now.head_sha))
    rows = target.git.changes(_start(target, now), now.head_sha)
    commits = target.git.history(now.head_sha, exclude=now.base_sha)
    state = "unknown" if mergeable is None else "clean" if mergeable else "dirty"
    return {
        **_simple(forge, request, target, pull),
        "merged": merged,
        "mergeable": mergeable,
        "rebaseable": mergeable,
        "mergeable_state": state,
        "merged_by": bodies.simple_user(request.base, pull.merged_by) if merged else None,
        "comments": 0,
        "review_comments": 0,
        "maintainer_can_modify": False,
        "commits": len(commits),
        "additions": sum(row[0] for row in rows),
        "deletions": sum(row[1] for row in rows),
        "changed_files": len(rows),
    }


def _start(target: Target, pull: Pull) -> str:
    """Return the commit that the branch of a pull request began at."""
    return target.git.merge_base(pull.base_sha, pull.head_sha) or pull.base_sha


def _branch(target: Target, text: str) -> str:
    owner, colon, name = text.rpartition(":")
    return name if not colon or owner.lower() == target.record.owner.lower() else ""


def list_pulls(forge: Forge, request: Request, target: Target) -> Response:
    """``GET …/pulls``: ``pull-request-simple``; filters state, head (``owner:branch``), base."""
    state = request.query.get("state", "open")
    head, base = request.query.get("head", ""), request.query.get("base", "")
    found = [
        pull
        for pull in reversed(target.record.pulls)
        if state in (pull.state, "all")
        and (":" not in head or pull.head == _branch(target, head))
        and base in ("", pull.base)
    ]
    page, headers = paginate(request, list(found))
    return Response(body=[_simple(forge, request, target, p) for p in page], headers=headers)


def _find(request: Request, target: Target, anchor: str) -> Pull:
    number = request.names["pull_number"]
    pull = target.record.pull(int(number)) if number.isdigit() else None
    if pull is None:
        raise not_found(f"{_PAGE}#{anchor}")
    return pull


def get_pull(forge: Forge, request: Request, target: Target) -> Response:
    """``GET …/pulls/{pull_number}``, schema ``pull-request``.

    The media types ``diff`` and ``patch`` give what it changes as text.
    """
    pull = _find(request, target, "get-a-pull-request")
    now = _current(target, pull)
    if request.media.param == "diff":
        return as_asked(request, target.git.diff(_start(target, now), now.head_sha))
    if request.media.param == "patch":
        return as_asked(request, target.git.mails(now.head_sha, exclude=now.base_sha))
    return Response(body=_full(forge, request, target, pull, reads=True))


def _refuse(message: str = "", field: str = "", code: str = "custom") -> ApiError:
    error = {"resource": "PullRequest", "code": code}
    error |= {"field": field} if field else {}
    error |= {"message": message} if message else {}
    return invalid("Validation Failed", _CREATE, [error])


def create_pull(forge: Forge, request: Request, target: Target) -> Response:
    """``POST …/pulls``: 201; 422 for a missing branch, no commits between, or a second one."""
    record, git = target.record, target.git
    head, base = _branch(target, request.required("head")), request.required("base")
    for field, branch in (("head", head), ("base", base)):
        if not branch or not git.head(branch):
            raise _refuse(field=field, code="invalid")
    head_sha, base_sha = git.head(head), git.head(base)
    if not git.history(head_sha, exclude=base_sha):
        raise _refuse(f"No commits between {base} and {head}")
    with forge.store.changing():
        if any(p.state == "open" and (p.head, p.base) == (head, base) for p in record.pulls):
            raise _refuse(f"A pull request already exists for {record.owner}:{head}.")
        at = timestamp()
        pull = Pull(
            id=forge.store.new_id(),
            number=len(record.pulls) + 1,
            title=request.required("title"),
            body=request.body.get("body"),
            head=head,
            base=base,
            user=request.caller.login,
            created_at=at,
            updated_at=at,
            head_sha=head_sha,
            base_sha=base_sha,
        )
        record.pulls.append(pull)
    body = _full(forge, request, target, pull)
    return Response(status=201, body=body, headers={"Location": body["url"]})


def update_pull(forge: Forge, request: Request, target: Target) -> Response:
    """``PATCH …/pulls/{pull_number}``: title, body, state."""
    pull = _find(request, target, "update-a-pull-request")
    with forge.store.changing():
        pull.title = request.text("title") or pull.title
        pull.body = request.body.get("body", pull.body)
        wanted = request.text("state") or pull.state
        if wanted != pull.state:
            if wanted not in ("open", "closed") or pull.merged_at:
                raise _refuse(field="state", code="invalid")
            now = _current(target, pull)
            pull.head_sha, pull.base_sha, pull.state = now.head_sha, now.base_sha, wanted
            pull.closed_at = timestamp() if wanted == "closed" else ""
        pull.updated_at = timestamp()
    return Response(body=_full(forge, request, target, pull))


def _merged_commit(request: Request, target: Target, pull: Pull, method: str) -> str:
    tree = target.git.merge_trees(pull.base_sha, pull.head_sha)
    if not tree:
        raise ApiError(405, _CONFLICT, documentation=_MERGE)
    login = request.caller.login
    who = gitobjects.Signature(
        name=login, email=f"{login}@users.noreply.localhost", at=journal.seconds()
    )
    title = f"Merge pull request #{pull.number} from {target.record.owner}/{pull.head}"
    squash = method == "squash"
    title = f"{pull.title} (#{pull.number})" if squash else title
    message = request.text("commit_title") or title
    tail = request.text("commit_message") or ("" if squash else pull.title)
    parents = (pull.base_sha,) if squash else (pull.base_sha, pull.head_sha)
    return target.git.write_commit(
        gitobjects.Commit(
            tree=tree,
            parents=parents,
            author=who,
            committer=who,
            message=f"{message}\n\n{tail}" if tail else message,
        )
    )


def merge_pull(forge: Forge, request: Request, target: Target) -> Response:
    """``PUT …/pulls/{pull_number}/merge``, schema ``pull-request-merge-result``.

    405 where it cannot be merged, or reviews are required; 409 when ``sha`` is
    not the head any more, or the base moved meanwhile. Methods: merge, squash.
    """
    pull = _find(request, target, "merge-a-pull-request")
    method = request.text("merge_method", "merge")
    now = _current(target, pull)
    if pull.state != "open" or method not in ("merge", "squash"):
        raise ApiError(405, _CONFLICT, documentation=_MERGE)
    if request.text("sha", now.head_sha) != now.head_sha:
        message = "Head branch was modified. Review and try the merge again."
        raise ApiError(409, message, documentation=_MERGE)
    reviews = protection.needed_reviews(target.record, pull.base)
    if reviews and not request.caller.is_administrator:
        message = f"At least {reviews} approving review is required by reviewers with write access."
        raise ApiError(405, message, documentation=protection.DOCUMENTATION)
    sha = _merged_commit(request, target, now, method)
    if not target.git.update_ref(f"refs/heads/{pull.base}", sha, now.base_sha):
        message = "Base branch was modified. Review and try the merge again."
        raise ApiError(409, message, documentation=_MERGE)
    with forge.store.changing():
        at = timestamp()
        pull.head_sha, pull.base_sha = now.head_sha, now.base_sha
        pull.merge_sha, pull.merged_at, pull.closed_at = sha, at, at
        pull.merged_by, pull.state, pull.updated_at = request.caller.login, "closed", at
        target.record.pushed_at = at
    return Response(
        body={"sha": sha, "merged": True, "message": "Pull Request successfully merged"}
    )


def _route(
    method: str,
    tail: str,
    handler: Any,
    anchor: str,
    permission: str = "pull_requests=read",
    media: tuple[str, ...] = (),
) -> Route:
    return Route(
        method=method,
        pattern="/repos/{owner}/{repo}/pulls" + tail,
        repository_handler=handler,
        permission=permission,
        scopes=("repo",),
        documentation=f"{_PAGE}#{anchor}",
        media=media,
        unrendered=("html", "text", "full"),
    )


_WRITE = "pull_requests=write"
_ONE = "/{pull_number}"
ROUTES = (
    _route("GET", "", list_pulls, "list-pull-requests"),
    _route("POST", "", create_pull, "create-a-pull-request", _WRITE),
    _route("GET", _ONE, get_pull, "get-a-pull-request", media=("diff", "patch")),
    _route("PATCH", _ONE, update_pull, "update-a-pull-request", _WRITE),
    _route("PUT", _ONE + "/merge", merge_pull, "merge-a-pull-request", "contents=write"),
)

"""Archives. Page: "REST API endpoints for repository contents", "Download a repository archive".

The API answers 302 with an address on another host, which for a private
repository is temporary: it carries its own right and expires after five
minutes. Here that host is the forge itself, below ``/_codeload/``.
"""

from __future__ import annotations

import secrets
import time
from urllib.parse import quote

from provision.sandbox.forge.app import Forge, Target
from provision.sandbox.forge.messages import DOCS, Request, Response, not_found
from provision.sandbox.forge.routing import Route

PREFIX = "/_codeload/"
_PAGE = f"{DOCS}/repos/contents#download-a-repository-archive-tar"
_LIFE = 300.0


def redirect(forge: Forge, request: Request, target: Target) -> Response:
    """``GET …/tarball/{ref}``: where to get it. Without ``ref``: the default branch."""
    ref = request.names.get("ref") or target.record.default_branch
    token = secrets.token_hex(12)
    forge.downloads[token] = (time.monotonic() + _LIFE, target.record.slug, ref)
    root = request.base.removesuffix("/api/v3")
    slug = quote(target.record.slug)
    address = f"{root}{PREFIX}{slug}/legacy.tar.gz/{quote(ref)}?token={token}"
    return Response(status=302, headers={"Location": address})


def download(forge: Forge, token: str) -> Response:
    """Answer what a redirect led to: a tar.gz with one folder, ``owner-repo-<sha>``."""
    expires, slug, ref = forge.downloads.get(token, (0.0, "", ""))
    record = forge.store.find(*slug.split("/")) if time.monotonic() < expires else None
    commit = forge.git(record).resolve(ref) if record else ""
    if record is None or not commit:
        raise not_found(_PAGE)
    prefix = f"--prefix={record.slug.replace('/', '-')}-{commit[:7]}/"
    data = forge.git(record).run("archive", "--format=tar.gz", prefix, commit)
    return Response(content=data, headers={"Content-Type": "application/x-gzip"})


def _route(pattern: str) -> Route:
    return Route(
        method="GET",
        pattern=pattern,
        repository_handler=redirect,
        permission="contents=read",
        scopes=("repo",),
        documentation=_PAGE,
    )


_TARBALL = "/repos/{owner}/{repo}/tarball"
ROUTES = (_route(_TARBALL), _route(_TARBALL + "/{ref+}"))

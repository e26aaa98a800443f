"""Bodies of git objects, references, branches and contents, by GitHub's published schemas."""

from __future__ import annotations

import base64
from typing import Any
from urllib.parse import quote

from provision.sandbox.forge import bodies, gitobjects
from provision.sandbox.forge.store import Repository


def _git(base: str, record: Repository, kind: str, sha: str) -> str:
    return f"{base}/repos/{record.slug}/git/{kind}/{sha}"


def reference(base: str, record: Repository, name: str, sha: str, kind: str) -> dict[str, Any]:
    """Schema ``git-ref``."""
    return {
        "ref": name,
        "node_id": bodies.node_id("Ref", f"{record.id}:{name}"),
        "url": f"{base}/repos/{record.slug}/git/{name}",
        "object": {"type": kind, "sha": sha, "url": _git(base, record, f"{kind}s", sha)},
    }


def _person(signature: gitobjects.Signature) -> dict[str, str]:
    return {"name": signature.name, "email": signature.email, "date": signature.date}


_UNSIGNED: dict[str, Any] = {
    "verified": False,
    "reason": "unsigned",
    "signature": None,
    "payload": None,
    "verified_at": None,
}


def git_commit(base: str, record: Repository, commit: gitobjects.Commit) -> dict[str, Any]:
    """Schema ``git-commit``."""
    page = f"{bodies.site(base)}/{record.slug}/commit"
    return {
        "sha": commit.sha,
        "node_id": bodies.node_id("Commit", commit.sha),
        "url": _git(base, record, "commits", commit.sha),
        "html_url": f"{page}/{commit.sha}",
        "author": _person(commit.author),
        "committer": _person(commit.committer),
        "tree": {"sha": commit.tree, "url": _git(base, record, "trees", commit.tree)},
        "message": commit.message.rstrip("\n"),
        "parents": [
            {"sha": p, "url": _git(base, record, "commits", p), "html_url": f"{page}/{p}"}
            for p in commit.parents
        ],
        "verification": _UNSIGNED,
    }


def commit(base: str, record: Repository, commit: gitobjects.Commit) -> dict[str, Any]:
    """Schema ``commit``. Author and committer are null: no address belongs to an account."""
    url = f"{base}/repos/{record.slug}/commits"
    page = f"{bodies.site(base)}/{record.slug}/commit"
    return {
        "sha": commit.sha,
        "node_id": bodies.node_id("Commit", commit.sha),
        "url": f"{url}/{commit.sha}",
        "html_url": f"{page}/{commit.sha}",
        "comments_url": f"{url}/{commit.sha}/comments",
        "commit": {
            "url": _git(base, record, "commits", commit.sha),
            "author": _person(commit.author),
            "committer": _person(commit.committer),
            "message": commit.message.rstrip("\n"),
            "comment_count": 0,
            "tree": {"sha": commit.tree, "url": _git(base, record, "trees", commit.tree)},
            "verification": _UNSIGNED,
        },
        "author": None,
        "committer": None,
        "parents": [
            {"sha": p, "url": f"{url}/{p}", "html_url": f"{page}/{p}"} for p in commit.parents
        ],
    }


def tree(
    base: str, record: Repository, sha: str, entries: list[gitobjects.Entry]
) -> dict[str, Any]:
    """Schema ``git-tree``. Nothing is ever truncated here."""
    rows: list[dict[str, Any]] = []
    for entry in entries:
        row: dict[str, Any] = {
            "path": entry.path,
            "mode": entry.mode,
            "type": entry.kind,
            "sha": entry.sha,
        }
        if entry.size is not None:
            row["size"] = entry.size
        if entry.kind != "commit":
            row["url"] = _git(base, record, f"{entry.kind}s", entry.sha)
        rows.append(row)
    return {
        "sha": sha,
        "url": _git(base, record, "trees", sha),
        "tree": rows,
        "truncated": False,
    }


def blob(base: str, record: Repository, sha: str, content: bytes) -> dict[str, Any]:
    """Schema ``blob``: base64 with a line break every 60 characters, as GitHub breaks it."""
    return {
        "sha": sha,
        "node_id": bodies.node_id("Blob", sha),
        "size": len(content),
        "url": _git(base, record, "blobs", sha),
        "content": wrapped(content),
        "encoding": "base64",
    }


def wrapped(content: bytes) -> str:
    """Return base64 in lines of 60 characters."""
    text = base64.b64encode(content).decode()
    return "".join(text[at : at + 60] + "\n" for at in range(0, len(text), 60))


def _kind(entry: gitobjects.Entry) -> str:
    if entry.kind == "tree":
        return "dir"
    if entry.kind == "commit":
        return "submodule"
    return "symlink" if entry.mode == "120000" else "file"


def content_tree(
    base: str, record: Repository, ref: str, path: str, sha: str, entries: list[Any]
) -> dict[str, Any]:
    """Schema ``content-tree``: a folder as one object."""
    folder = gitobjects.Entry(mode="040000", kind="tree", sha=sha, size=None, path=path)
    return {**content_entry(base, record, ref, folder), "entries": entries}


def content_entry(
    base: str, record: Repository, ref: str, entry: gitobjects.Entry
) -> dict[str, Any]:
    """Schema ``content-directory``'s items; with content it is a ``content-file``."""
    path = quote(entry.path)
    url = f"{base}/repos/{record.slug}/contents/{path}?ref={quote(ref, safe='')}"
    git_url = _git(base, record, "trees" if entry.kind == "tree" else "blobs", entry.sha)
    shown = "tree" if entry.kind == "tree" else "blob"
    page = f"{bodies.site(base)}/{record.slug}/{shown}/{ref}/{path}"
    raw = f"{bodies.site(base)}/{record.slug}/raw/{ref}/{path}"
    return {
        "name": entry.path.rsplit("/", 1)[-1],
        "path": entry.path,
        "sha": entry.sha,
        "size": entry.size or 0,
        "url": url,
        "html_url": page,
        "git_url": git_url,
        "download_url": raw if entry.kind == "blob" else None,
        "type": _kind(entry),
        "_links": {"self": url, "git": git_url, "html": page},
    }

"""Git objects as values: parsing and writing commits, editing a flat tree. No processes."""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterable
from dataclasses import dataclass

_SIGNATURE = re.compile(r"^(?P<name>.*) <(?P<email>[^>]*)> (?P<at>-?\d+) (?P<zone>[+-]\d{4})$")


@dataclass(frozen=True, kw_only=True)
class Signature:
    """Who and when: `at` in seconds since 1970, `zone` as ``+hhmm``."""

    name: str
    email: str
    at: int
    zone: str = "+0000"

    @property
    def date(self) -> str:
        """The time in UTC as GitHub's API writes it."""
        moment = datetime.datetime.fromtimestamp(self.at, datetime.UTC)
        return moment.strftime("%Y-%m-%dT%H:%M:%SZ")

    def __str__(self) -> str:
        return f"{_clean(self.name)} <{_clean(self.email)}> {self.at} {self.zone}"


def _clean(text: str) -> str:
    return re.sub(r"[<>\n\x00]", "", text).strip() or "unknown"


@dataclass(frozen=True, kw_only=True)
class Commit:
    """A commit object."""

    tree: str
    parents: tuple[str, ...]
    author: Signature
    committer: Signature
    message: str
    sha: str = ""

    def encode(self) -> bytes:
        """Return the object's content, as ``git hash-object -t commit`` takes it."""
        lines = [f"tree {self.tree}", *(f"parent {p}" for p in self.parents)]
        lines += [f"author {self.author}", f"committer {self.committer}", "", self.message]
        return "\n".join(lines).encode()


def _signature(text: str) -> Signature:
    found = _SIGNATURE.match(text)
    if not found:
        return Signature(name=text, email="", at=0)
    return Signature(
        name=found["name"], email=found["email"], at=int(found["at"]), zone=found["zone"]
    )


def parse_commit(sha: str, content: bytes) -> Commit:
    """Parse a commit object's content (``git help cat-file``)."""
    head, _, message = content.decode(errors="replace").partition("\n\n")
    fields: dict[str, list[str]] = {}
    for line in head.split("\n"):
        key, _, value = line.partition(" ")
        fields.setdefault(key, []).append(value)
    return Commit(
        sha=sha,
        tree=fields["tree"][0],
        parents=tuple(fields.get("parent", ())),
        author=_signature(fields["author"][0]),
        committer=_signature(fields["committer"][0]),
        message=message,
    )


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One entry of a tree listing. `size` only for blobs."""

    mode: str
    kind: str
    sha: str
    path: str
    size: int | None = None


def parse_listing(output: bytes) -> list[Entry]:
    """Parse ``git ls-tree -z -l``."""
    entries: list[Entry] = []
    for record in output.decode(errors="surrogateescape").split("\0"):
        if not record:
            continue
        meta, _, path = record.partition("\t")
        mode, kind, sha, size = meta.split()
        count = int(size) if size.isdigit() else None
        entries.append(Entry(mode=mode, kind=kind, sha=sha, path=path, size=count))
    return entries


Flat = dict[str, tuple[str, str]]
"""A whole tree as path -> (mode, sha), blobs and submodules only."""


class MissingPathError(Exception):
    """A path to delete is not in the tree."""


def edit_tree(flat: Flat, edits: Iterable[tuple[str, str, str | None]]) -> Flat:
    """Return `flat` with (path, mode, sha) put in; sha None deletes a file or a folder.

    A file takes the place of a folder of that name and the other way round, as
    in git's index. Raises `MissingPathError` for a deletion of what is not there.
    """
    result = dict(flat)
    for path, mode, sha in edits:
        below = [p for p in result if p.startswith(path + "/")]
        if sha is None and path not in result and not below:
            raise MissingPathError(path)
        for name in below:
            del result[name]
        result.pop(path, None)
        if sha is not None:
            parts = path.split("/")
            for depth in range(1, len(parts)):
                result.pop("/".join(parts[:depth]), None)
            result[path] = (mode, sha)
    return result

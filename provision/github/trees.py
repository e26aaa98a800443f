"""Reading a repository without cloning it: one call for the tree, blobs when needed.

Source: GitHub REST documentation, "REST API endpoints for Git trees" (a
recursive tree is cut at 100,000 entries or 7 MB and then says ``truncated``)
and "… for Git blobs".
"""

from __future__ import annotations

import base64
import hashlib
import io
import tarfile
import threading
from collections.abc import Iterable, Mapping
from concurrent import futures
from dataclasses import dataclass
from typing import Any, Final

from provision import errors, transfer
from provision.fileio import contents, names
from provision.github import answers, api, failures

_READERS = 8
_DEPTH = 64
_REGULAR: Final = ("100644", "100755", "100664")
LINK: Final = "120000"
_SUBMODULE: Final = "160000"
_MOST_ENTRIES: Final = 1_000_000
_ROOM: Final = 4096
"""Bytes of an archive for each file besides its content: headers and padding."""
_SPARE: Final = 16 * 1024 * 1024
_MANY = 4
"""From so many files on, one archive of everything (two requests) is less than the single files."""


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One file of a tree: its blob's sha, its mode (``100644``) and size in bytes."""

    sha: str
    mode: str
    size: int

    @property
    def reason(self) -> str:
        """Return why its content is not read: no file, or too big; empty when it is read."""
        if self.mode == LINK:
            return "a symbolic link"
        if self.mode == _SUBMODULE:
            return "a Git submodule"
        if self.mode not in _REGULAR:
            return f"an entry of mode {self.mode}"
        return contents.TOO_LARGE if self.size > contents.LARGEST else ""


@dataclass(frozen=True, kw_only=True)
class Snapshot:
    """Every file of the repository at one commit. `commit` is empty before the first one."""

    commit: str
    entries: Mapping[str, Entry]

    def sha(self, path: str) -> str:
        """Return the blob sha of the file at `path`, or an empty text where there is none."""
        entry = self.entries.get(path)
        return entry.sha if entry else ""

    def left_out(self) -> dict[str, str]:
        """Return path to reason of every entry whose content is not read."""
        return {path: entry.reason for path, entry in self.entries.items() if entry.reason}

    def holds(self, path: str, content: str) -> bool:
        """Return whether the file at `path` is exactly `content`. Reads nothing."""
        return self.sha(path) == blob_sha(content)


def blob_sha(content: str) -> str:
    """Return the id git gives to a file of this content (SHA-1, as GitHub's repositories are)."""
    data = contents.data(content)
    head = f"blob {len(data)}\0".encode()
    return hashlib.sha1(head + data, usedforsecurity=False).hexdigest()


class Trees:
    """Snapshots and blobs, each fetched once in the life of this object."""

    def __init__(self, link: api.Api) -> None:
        self._link = link
        self._lock = threading.RLock()
        self._snapshots: dict[str, Snapshot] = {}
        self._blobs: dict[str, str] = {}

    def snapshot(self, commit: str) -> Snapshot:
        """Return the files at `commit`.

        Raises `errors.CodeHostError` when a name in it is one that Git refuses
        to check out, so that no file is ever written by such a name.
        """
        if not commit:  # before the first commit
            return Snapshot(commit="", entries={})
        with self._lock:
            found = self._snapshots.get(commit)
            if found is None:
                entries = self._entries(commit, "", recursive=True)
                found = Snapshot(commit=commit, entries=entries)
                self._snapshots[commit] = found
            return found

    def text(self, sha: str, path: str) -> str:
        """Return the content of the blob `sha` (`path` is for messages).

        Raises `errors.CodeHostError` when it is not UTF-8 text.
        """
        content = self._content_of(sha, path)
        if not contents.is_text(content):
            raise errors.CodeHostError(
                f"{path} in {self._link.cfg.slug} is not UTF-8 text",
                operation=f"read {path}",
                hint="save it as UTF-8",
            )
        return content

    def _content_of(self, sha: str, path: str) -> str:
        with self._lock:
            known = self._blobs.get(sha)
        if known is not None:
            return known
        answer = self._link.request(
            f"read {path}", "GET", self._link.repository_path("git/blobs", sha)
        )
        content = contents.text(_content(answer))
        with self._lock:
            self._blobs[sha] = content
        return content

    def texts(self, snapshot: Snapshot, paths: Iterable[str]) -> dict[str, str]:
        """Return the contents of several files of `snapshot`, each as `contents.text` returns it.

        Many come in one archive, a few side by side.
        """
        wanted = [path for path in paths if path in snapshot.entries]
        with self._lock:
            unknown = [p for p in wanted if snapshot.entries[p].sha not in self._blobs]
        if len(unknown) >= _MANY:
            self._read_archive(snapshot, unknown)
        if len(unknown) <= 1:
            return {path: self._content_of(snapshot.entries[path].sha, path) for path in wanted}
        with futures.ThreadPoolExecutor(max_workers=min(_READERS, len(unknown))) as pool:
            read = pool.map(lambda p: self._content_of(snapshot.entries[p].sha, p), wanted)
            return dict(zip(wanted, read, strict=True))

    def remember(self, content: str) -> None:
        """Keep a content that was just written, so that it is never fetched."""
        with self._lock:
            self._blobs[blob_sha(content)] = content

    def _read_archive(self, snapshot: Snapshot, wanted: list[str]) -> None:
        """Take what the archive of the commit has; the rest is fetched one by one.

        Each file is held against its blob's id: an archive leaves out or
        changes files with the attributes ``export-ignore`` and ``export-subst``.
        No more is unpacked than the tree says that there is.
        """
        data = self._link.download_archive(snapshot.commit)
        if data is None:
            return
        by_name = {path: snapshot.entries[path].sha for path in wanted}
        limit = _SPARE + sum(_ROOM + entry.size for entry in snapshot.entries.values())
        try:
            with tarfile.open(fileobj=_Unpacked(data, limit), mode="r|") as archive:
                for member in archive:
                    path = member.name.partition("/")[2]
                    sha = by_name.get(path, "")
                    alike = member.isreg() and sha and member.size == snapshot.entries[path].size
                    file = archive.extractfile(member) if alike else None
                    if file is None:
                        continue
                    content = contents.text(file.read())
                    if blob_sha(content) == sha:
                        self.remember(content)
        except (tarfile.TarError, transfer.EncodingError, OSError, EOFError):
            return
        except (ValueError, RecursionError):  # tarfile's, for headers that are none
            return

    def _entries(self, tree: str, below: str, *, recursive: bool) -> dict[str, Entry]:
        """Return the files of `tree`; one too large for one answer is walked folder by folder."""
        if below.count("/") > _DEPTH:
            raise self._refused(f"{below[:200]!r} lies more than {_DEPTH} folders deep")
        path = self._link.repository_path("git/trees", tree)
        query: dict[str, Any] = {"recursive": "1"} if recursive else {}
        try:
            data = self._link.request("read the tree", "GET", path, parameters=query).fields
        except failures.EmptyRepositoryError:
            return {}
        if recursive and data.flag("truncated"):
            return self._entries(tree, below, recursive=False)
        found: dict[str, Entry] = {}
        for item in data.items("tree"):
            name, kind = f"{below}{item.text('path')}", item.text("type")
            self._check(name)
            if kind in ("blob", "commit"):
                found[name] = Entry(
                    sha=item.text("sha"), mode=item.text("mode"), size=item.number_or("size")
                )
            elif kind == "tree" and not recursive:
                found |= self._entries(item.text("sha"), f"{name}/", recursive=True)
            if len(found) > _MOST_ENTRIES:
                raise self._refused(f"it has more than {_MOST_ENTRIES:,} files")
        return found

    def _check(self, name: str) -> None:
        reason = names.refusal(name)
        if reason:
            raise self._refused(
                f"{name!r}: {reason}; Git refuses to check it out, so Flux cannot fetch it"
            )

    def _refused(self, reason: str) -> errors.CodeHostError:
        return errors.CodeHostError(
            f"the tree of {self._link.cfg.slug} cannot be used",
            operation="read the tree",
            detail=reason,
            hint="remove it in a commit; if it is not in a clone, do not trust this server",
        )


class _Unpacked(io.RawIOBase):
    """A gzip archive as the bytes it unpacks to, up to `limit` of them."""

    def __init__(self, data: bytes, limit: int) -> None:
        self._pieces = iter(transfer.unpack([data]))
        self._rest = b""
        self._left = limit

    def read(self, size: int = -1, /) -> bytes:
        """Return `size` bytes, fewer at the end."""
        while len(self._rest) < size:
            piece = next(self._pieces, b"")
            if not piece:
                break
            self._left -= len(piece)
            if self._left < 0:
                raise tarfile.ReadError("it unpacks to more than the tree says")
            self._rest += piece
        data, self._rest = self._rest[:size], self._rest[size:]
        return data


def _content(answer: answers.Answer) -> bytes:
    """Return the bytes of a blob. Raises `failures.AnswerError` for a damaged one."""
    data = answer.fields
    text, encoding = data.text("content"), data.text("encoding")
    try:
        if encoding == "utf-8":
            return text.encode()
        if encoding == "base64":
            return base64.b64decode(text)
    except ValueError:
        pass
    raise failures.malformed(
        operation=answer.source.operation,
        address=answer.source.address,
        status=answer.source.status,
        field="content and encoding",
        expected="text, or bytes in base64,",
    )

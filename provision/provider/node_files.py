"""Files of a node: what differs, as changes a person can read.

Pure. A file is as wanted when content, mode and owner are; its diff is shown
unless it may hold a secret.
"""

from __future__ import annotations

import difflib
import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from provision.change import Change
from provision.host import bundle, facts


def _as_is(text: str) -> str:
    return text


@dataclass(frozen=True, kw_only=True)
class WantedFile:
    """A file as it should be, owned by root.

    A `secret` one is never shown, only its length and the beginning of its
    sha256. `redact` takes secrets out of a text that is shown.
    """

    path: str
    content: bytes = field(repr=False)
    mode: int = 0o644
    secret: bool = False
    redact: Callable[[str], str] = _as_is

    @property
    def sha256(self) -> str:
        """The sha256 of the content."""
        return hashlib.sha256(self.content).hexdigest()

    @property
    def bundled(self) -> bundle.File:
        """The file as a bundle takes it."""
        return bundle.File(path=self.path, content=self.content, mode=self.mode)


def differs(found: facts.NodeFacts, wanted: WantedFile) -> bool:
    """Return whether the file on the node is not as wanted."""
    there = found.file(wanted.path)
    return (
        there is None
        or there.kind != "file"
        or ((there.sha256, there.mode, there.uid, there.gid) != (wanted.sha256, wanted.mode, 0, 0))
    )


def plan_files(found: facts.NodeFacts, wanted: Iterable[WantedFile]) -> tuple[Change, ...]:
    """Return a change for each file that is not as wanted."""
    return tuple(_change(found, one) for one in wanted if differs(found, one))


def plan_removals(found: facts.NodeFacts, paths: Iterable[str]) -> tuple[Change, ...]:
    """Return a change for each path that should not be there and is."""
    return tuple(
        Change(property=f"files.{path}", action="delete", summary=f"remove {path}")
        for path in paths
        if found.file(path) is not None
    )


def needed(found: facts.NodeFacts, wanted: Iterable[WantedFile]) -> tuple[bundle.File, ...]:
    """Return the files to write."""
    return tuple(one.bundled for one in wanted if differs(found, one))


def _change(found: facts.NodeFacts, wanted: WantedFile) -> Change:
    there = found.file(wanted.path)
    key = f"files.{wanted.path}"
    if there is None:
        return Change(
            property=key,
            action="create",
            summary=f"write {wanted.path}{_shape(wanted)}",
            diff=_diff(None, wanted),
        )
    if there.kind != "file":
        kinds = {"other": "something else"}
        was = kinds.get(there.kind, f"a {there.kind}")
        return Change(
            property=key, action="update", summary=f"replace {wanted.path}, which is {was}"
        )
    if there.sha256 != wanted.sha256:
        return Change(
            property=key,
            action="update",
            summary=f"change {wanted.path}{_shape(wanted)}",
            diff=_diff(there, wanted),
        )
    if there.mode != wanted.mode:
        what = f"set the mode of {wanted.path} from {there.mode:04o} to {wanted.mode:04o}"
    else:
        what = f"give {wanted.path} from {there.uid}:{there.gid} to root"
    return Change(property=key, action="update", summary=what)


def _shape(wanted: WantedFile) -> str:
    if not wanted.secret:
        return ""
    return f" ({len(wanted.content)} bytes, sha256 {wanted.sha256[:8]}…)"


def _diff(there: facts.FileFact | None, wanted: WantedFile) -> str:
    """Return a unified diff, empty where a side may not be shown or was not read."""
    if wanted.secret or (there is not None and there.content is None):
        return ""
    old = wanted.redact(there.text) if there is not None else ""
    new = wanted.redact(wanted.content.decode("utf-8", "replace"))
    lines = difflib.unified_diff(
        old.splitlines(),
        new.splitlines(),
        fromfile=wanted.path if there is not None else "/dev/null",
        tofile=wanted.path,
        lineterm="",
    )
    return "\n".join(lines)

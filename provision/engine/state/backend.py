"""Where a stack's state lies: Pulumi's ``file://`` layout.

    <root>/.pulumi/meta.yaml                                   version: 1
    <root>/.pulumi/stacks/<project>/<stack>.json               the state
    <root>/.pulumi/stacks/<project>/<stack>.json.bak           as it was before the last run
    <root>/.pulumi/stacks/<project>/<stack>.json.journal       of a run under way (`store`)
    <root>/.pulumi/history/<project>/<stack>/                  one pair of files a run
    <root>/.pulumi/backups/<project>/<stack>/                  the state after each run
    <root>/.pulumi/locks/organization/<project>/<stack>/       `lock`

All but the state itself may be missing. Source of facts: the layout that
Pulumi 3.260 reads and writes; the journal is ours and is invisible to it.
"""

from __future__ import annotations

import contextlib
import gzip
import json
import time
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final
from urllib import parse

from provision import errors, safejson
from provision.engine.state import checkpoint, shape
from provision.fileio import atomic

_META: Final = b"version: 1\n"
_KEPT: Final = 50
"""Runs kept in history and backups."""


class FileBackend:
    """The files of one stack."""

    def __init__(self, url: str, root: Path, project: str, stack: str) -> None:
        """Use the backend `url`, relative ones to `root`. Touches nothing yet."""
        self.folder = folder_of(url, root) / ".pulumi"
        self.project = project
        self.stack = stack
        self.path = self.folder / "stacks" / project / f"{stack}.json"
        self.journal = self.path.with_name(self.path.name + ".journal")
        self.history = self.folder / "history" / project / stack
        self.backups = self.folder / "backups" / project / stack
        self.locks = self.folder / "locks" / "organization" / project / stack

    def read(self) -> checkpoint.Document | None:
        """Return the state as it lies on disk, or None where there is none.

        Raises `errors.StackError` as `read_bytes` and `parse` do.
        """
        data = self.read_bytes()
        return None if data is None else self.parse(data)

    def salt(self) -> str:
        """Return the salt state of the passphrase, empty where the file does not tell it.

        For the upstream engine: a file that this engine does not read (a newer version,
        a compressed one) still tells its salt, or leaves it to ``Pulumi.<stack>.yaml``.
        Raises `errors.StackError` when the secrets are not kept by a passphrase.
        """
        zipped = self.path.with_name(self.path.name + ".gz")
        try:
            if zipped.exists() and not self.path.exists():
                document = safejson.loads(gzip.decompress(zipped.read_bytes()))
            else:
                document = safejson.loads(self.path.read_bytes())
        except (OSError, EOFError, ValueError, zlib.error):
            return ""
        body = document.get("checkpoint") if isinstance(document, dict) else None
        if not isinstance(body, dict) or shape.problem(body.get("latest")):
            return ""
        return checkpoint.salt({"checkpoint": body})

    def read_bytes(self) -> bytes | None:
        """Return the state file as it is, or None where there is none.

        Raises `errors.StackError` when it cannot be read, and when a newer
        compressed state lies beside it.
        """
        self._refuse_compressed()
        try:
            return self.path.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise checkpoint.broken(str(self.path), str(error)) from error

    def parse(self, data: bytes) -> checkpoint.Document:
        """Return the state that `data` holds.

        Raises `errors.StackError` as `checkpoint.parse` does.
        """
        try:
            text = data.decode()
        except UnicodeDecodeError as error:
            raise checkpoint.broken(str(self.path), str(error)) from error
        return checkpoint.parse(text, str(self.path), self.project, self.stack)

    def write(self, document: checkpoint.Document) -> None:
        """Replace the state, durably."""
        self.write_bytes(checkpoint.dump(document))

    def write_bytes(self, data: bytes) -> None:
        """Replace the state by the document in `data`, durably."""
        if not (self.folder / "meta.yaml").exists():
            atomic.write(self.folder / "meta.yaml", _META)
        atomic.write(self.path, data)

    def keep_previous(self) -> None:
        """Keep the state as it is now as ``.bak``."""
        if self.path.exists():
            atomic.keep(self.path, self.path.with_name(self.path.name + ".bak"))

    def record(self, run: Mapping[str, Any], *, changed: bool) -> None:
        """Write one run into the history, and the state after it if it `changed`.

        `run` is the history file's body. What fails here is passed over: a
        full disk must not turn a run that went well into a failure.
        """
        moment = time.time_ns()
        with contextlib.suppress(OSError):
            name = self.history / f"{self.stack}-{moment}"
            body = json.dumps(run, ensure_ascii=False, indent=4).encode() + b"\n"
            atomic.write(name.with_name(name.name + ".history.json"), body, sync=False)
            if changed and self.path.exists():
                atomic.keep(self.path, name.with_name(name.name + ".checkpoint.json"))
                atomic.keep(self.path, self.backups / f"{self.stack}.{moment}.json")
            self._prune()

    def _prune(self) -> None:
        for folder, pattern in (
            (self.history, "*.history.json"),
            (self.history, "*.checkpoint.json"),
            (self.backups, "*.json"),
        ):
            for old in sorted(folder.glob(pattern))[:-_KEPT]:
                old.unlink(missing_ok=True)

    def _refuse_compressed(self) -> None:
        for suffix in (".gz", ".zst"):
            other = self.path.with_name(self.path.name + suffix)
            if not other.exists():
                continue
            if self.path.exists() and self.path.stat().st_mtime >= other.stat().st_mtime:
                continue
            raise errors.StackError(
                f"the state {other} is compressed, which this engine does not read",
                operation="read state",
                hint="write it once uncompressed: run `pulumi stack export` and "
                "`pulumi stack import` with PULUMI_DIY_BACKEND_GZIP unset",
            )


def folder_of(url: str, root: Path) -> Path:
    """Return the folder of a ``file://`` backend URL; relative ones lie in `root`.

    Raises `errors.StackError` for any other kind of backend.
    """
    scheme, separator, rest = url.partition("://")
    if scheme != "file" or not separator:
        raise errors.StackError(
            f"the embedded engine keeps state in file:// backends only, not in '{url}'",
            operation="open",
            hint="put `pulumi` on PATH and add --engine upstream, or set backend.url to file://…",
        )
    text = parse.unquote(rest.partition("?")[0])
    if text == "~" or text.startswith("~/"):
        return Path(text).expanduser()
    return root / (text or ".")

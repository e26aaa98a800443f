"""Where the copy of a tree lies."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from types import SimpleNamespace

import pytest

from provision.gitops.build import workspace
from provision.gitops.tree import Tree


def lies_in(tree: Tree) -> Path:
    space = workspace.Workspace(tree)
    try:
        return space.root.parent.parent
    finally:
        space.close()


@pytest.fixture
def memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder that counts as memory, and let temporary files have another one."""
    for name in ("TMPDIR", "TEMP", "TMP"):
        monkeypatch.delenv(name, raising=False)
    found = tmp_path / "memory"
    for folder in (found, tmp_path / "disk"):
        folder.mkdir()
    monkeypatch.setattr(workspace, "_MEMORY", found)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "disk"))
    return found


def test_a_small_tree_is_copied_into_memory_and_removed_again(memory: Path) -> None:
    assert lies_in(Tree.of({"a.yaml": "a: b\n"})) == memory
    assert list(memory.iterdir()) == []


@pytest.mark.parametrize("reason", ["no room", "no such folder", "the user names a folder"])
def test_else_it_lies_where_temporary_files_go(
    memory: Path, monkeypatch: pytest.MonkeyPatch, reason: str
) -> None:
    if reason == "no room":
        full = SimpleNamespace(f_bavail=1, f_frsize=1)
        monkeypatch.setattr(os, "statvfs", lambda _path: full)
    elif reason == "no such folder":
        memory.rmdir()
    else:
        monkeypatch.setenv("TMPDIR", tempfile.gettempdir())
    assert lies_in(Tree.of({"a.yaml": "a: b\n"})) == Path(tempfile.gettempdir())

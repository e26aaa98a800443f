"""Files of manifests: read, and objects in them replaced."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from provision import errors
from provision.cli import sealingkeys
from provision.fileio import atomic
from provision.gitops import documents
from provision.gitops.sealing import rewriting


def read(path: Path) -> list[documents.Document]:
    """Return every object in `path`. Raises `errors.GitOpsError` with what is no YAML."""
    problems: list[errors.Problem] = []
    found = documents.read_text(sealingkeys.read_text(path), path.name, problems)
    if problems:
        raise errors.GitOpsError(f"{path} cannot be read", problems)
    return found


def replace(path: Path, changed: Mapping[str, Mapping[str, Any]]) -> None:
    """Write `path` with each object of `changed` (by `documents.ref`) in place of its old self."""
    text = sealingkeys.read_text(path)
    atomic.write(path, rewriting.replaced(text, changed), mode=None)

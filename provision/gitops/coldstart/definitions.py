"""Definitions of custom resources (CRDs) that a cold start may need, and where they come from."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from provision import errors
from provision.gitops import documents

Object = dict[str, Any]

RELEASED: Final[Mapping[str, str]] = {"SealedSecret.bitnami.com": "sealedsecrets.bitnami.com"}
"""Those that a pinned release of their project holds: ``Kind.group`` to the definition's name."""


def kind_of(obj: Mapping[str, Any]) -> str:
    """Return what `obj` defines as ``Kind.group``, empty when it is no definition."""
    if obj.get("kind") != "CustomResourceDefinition":
        return ""
    spec = documents.mapping(obj.get("spec"))
    kind = documents.mapping(spec.get("names")).get("kind")
    return f"{kind}.{spec.get('group')}" if kind and spec.get("group") else ""


def from_text(text: str, where: str) -> dict[str, Object]:
    """Return the definitions in `text` by ``Kind.group``; other objects are passed over.

    Raises `errors.GitOpsError` for what is no YAML.
    """
    problems: list[errors.Problem] = []
    found = documents.read_text(text, where, problems)
    if problems:
        raise errors.GitOpsError(f"the definitions in {where} cannot be read", problems)
    return {kind_of(doc.obj): doc.obj for doc in found if kind_of(doc.obj)}


def from_folder(folder: str) -> dict[str, Object]:
    """Return the definitions in the YAML and JSON files of `folder`, such as a backup's.

    None for an empty name. Raises `errors.ConfigError` when there is no such
    folder, `errors.GitOpsError` for a file that cannot be read.
    """
    if not folder:
        return {}
    path = Path(folder).expanduser()
    if not path.is_dir():
        problem = errors.Problem(message=f"{folder} is not a folder", key="flux.crds")
        raise errors.ConfigError("the definitions cannot be read", [problem])
    found: dict[str, Object] = {}
    for file in sorted(path.rglob("*")):
        if file.suffix in (".yaml", ".yml", ".json") and file.is_file():
            found |= from_text(file.read_text(encoding="utf-8"), str(file))
    return found

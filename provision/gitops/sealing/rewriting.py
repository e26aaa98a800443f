"""Replacing objects in a text of manifests; comments and every other document stay."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any

from provision.config_file import comments, document
from provision.gitops import documents


def replaced(text: str, changed: Mapping[str, Mapping[str, Any]]) -> str:
    """Return `text` with each object of `changed` (by `documents.ref`) in place of its old self.

    `text` must be YAML: `ruamel.yaml.YAMLError` otherwise.
    """
    yaml = document.yaml_for(text)
    loaded = list(yaml.load_all(text))
    for each in loaded:
        if hasattr(each, "keys") and documents.ref(each) in changed:
            _update(each, changed[documents.ref(each)])
    buffer = io.StringIO()
    yaml.explicit_start = text.lstrip().startswith("---")  # type: ignore[assignment]
    yaml.dump_all(loaded, buffer)
    return buffer.getvalue()


def _update(old: Any, new: Mapping[str, Any]) -> None:
    """Make `old` say what `new` says, touching only what differs."""
    for key in [key for key in old if key not in new]:
        del old[key]
    for key, value in new.items():
        if key in old and hasattr(old[key], "keys") and isinstance(value, dict):
            _update(old[key], value)
        elif key not in old or old[key] != value:
            put = comments.replace if key in old else comments.append
            put(old, key, document.block(value))

"""Kubeconfigs that the user had merged somewhere: written down, and kept true by ``up``.

A cluster that was rebuilt has another authority and other credentials, perhaps
another address. What ``elysium kubeconfig --merge`` once wrote would then be
stale, and be noticed late.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from provision import errors, safejson
from provision.cli import kubeconfigs
from provision.fileio import atomic


@dataclass(frozen=True, kw_only=True)
class Place:
    """One kubeconfig file and the context in it that is the cluster's."""

    file: str
    context: str


def remember(root: Path, cluster: str, path: Path, context: str) -> None:
    """Write down that the cluster's kubeconfig is in `path` as `context`."""
    place = Place(file=str(path.absolute()), context=context)
    known = _known(root, cluster)
    if place not in known:
        _write(root, cluster, [*known, place])


def update(root: Path, cluster: str, text: str) -> tuple[Path, ...]:
    """Bring `text` to every place that still has its context; return the files that changed.

    A context that the user took away is forgotten. Raises `errors.ConfigError`
    for a file that cannot be changed.
    """
    known = _known(root, cluster)
    kept: list[Place] = []
    changed: list[Path] = []
    for place in known:
        path = Path(place.file)
        if not kubeconfigs.has(path, place.context):
            continue
        kept.append(place)
        named = kubeconfigs.renamed(text, place.context)
        if kubeconfigs.merge(path, named, place.context, use=False).changed:
            changed.append(path)
    if kept != known:
        _write(root, cluster, kept)
    return tuple(changed)


def _file(root: Path, cluster: str) -> Path:
    return root / ".elysium" / f"kubeconfigs-{cluster}.json"


def _known(root: Path, cluster: str) -> list[Place]:
    path = _file(root, cluster)
    try:
        return [
            Place(file=each["file"], context=each["context"])
            for each in safejson.loads(_read(path))
        ]
    except (ValueError, KeyError, TypeError):
        return []  # a record that cannot be read is one that was never made


def _read(path: Path) -> str:
    return path.read_text(encoding="utf-8") if path.exists() else "[]"


def _write(root: Path, cluster: str, places: list[Place]) -> None:
    path = _file(root, cluster)
    try:
        path.parent.mkdir(exist_ok=True, mode=0o700)
        body = json.dumps([asdict(place) for place in places], indent=2)
        atomic.write(path, body + "\n", mode=0o600)
    except OSError as error:
        raise errors.ConfigError(
            f"{path} cannot be written", [], hint=error.strerror or str(error)
        ) from error

"""A small GitOps repository to start from, laid out so that it needs no seed.

The files are ``templates/gitops``: Kubernetes objects as they are, with the
names ``__cluster__`` and ``__branch__`` in paths and contents to be filled in.
"""

from __future__ import annotations

import importlib.resources
import re
from collections.abc import Iterator
from importlib.resources.abc import Traversable

from provision import config, errors

_NAME = re.compile(r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$")
_FLUX_LINE = "  - flux-system\n"


def render(
    cluster: str,
    *,
    branch: str = "main",
    flux_in_git: bool = True,
    flux_namespace: str = config.FLUX_SYSTEM,
) -> dict[str, str]:
    """Return path to content of a repository for one cluster.

    Flux is in `flux_namespace`, and its GitRepository has the same name.
    `flux_in_git` says that Flux' own manifests will be committed below the
    cluster's folder (``flux.commit`` is not ``none``), so that its
    kustomization lists them. Raises `errors.ConfigError` for a cluster's name
    that is none.
    """
    if not _NAME.match(cluster):
        raise errors.ConfigError(
            "this is no name for a cluster",
            [errors.Problem(message=f"{cluster!r} is not made of a-z, 0-9 and -", key="cluster")],
        )
    names = {"__cluster__": cluster, "__branch__": branch}
    files: dict[str, str] = {}
    for path, text in _walk(importlib.resources.files("templates") / "gitops", ""):
        files[_fill(path, names)] = _fill(text, names)
    root = f"clusters/{cluster}/kustomization.yaml"
    if not flux_in_git:
        files[root] = files[root].replace(_FLUX_LINE, "")
    return {path: text.replace(config.FLUX_SYSTEM, flux_namespace) for path, text in files.items()}


def _walk(folder: Traversable, below: str) -> Iterator[tuple[str, str]]:
    for entry in sorted(folder.iterdir(), key=lambda one: one.name):
        if entry.is_dir():
            yield from _walk(entry, f"{below}{entry.name}/")
        else:
            yield f"{below}{entry.name}", entry.read_text(encoding="utf-8")


def _fill(text: str, names: dict[str, str]) -> str:
    for name, value in names.items():
        text = text.replace(name, value)
    return text

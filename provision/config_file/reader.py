"""From a stack file to a validated `config.Config`, or every problem at once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pydantic

from provision import config, errors
from provision.config_file import checks, document, schema, tree, validation
from provision.config_file.tree import Crypter
from provision.hosts import split_host

__all__ = ["Crypter", "Loaded", "cluster_of", "load", "read", "split_keys", "validate"]


@dataclass(frozen=True, kw_only=True)
class Loaded:
    """A stack file that is right, and what is odd about it."""

    config: config.Config
    warnings: tuple[errors.Problem, ...]


def load(path: Path, crypter: Callable[[], Crypter] | None) -> config.Config:
    """Return the configuration in ``Pulumi.<cluster>.yaml``.

    `crypter` is called only if the file holds encrypted values; None leaves
    each of them an empty `Secret` (enough to check everything else). Raises
    `errors.ConfigError` with every problem, and whatever `crypter` raises.
    """
    return read(path, crypter).config


def read(path: Path, crypter: Callable[[], Crypter] | None) -> Loaded:
    """Like `load`, with the warnings."""
    parsed = document.parse(path)
    loaded, problems, built = validate(parsed, crypter)
    if loaded is None or problems:
        raise errors.ConfigError(_summary(path, problems), problems)
    return Loaded(
        config=loaded,
        warnings=tuple(checks.warnings(built, loaded)),
    )


def validate(
    parsed: document.Document, crypter: Callable[[], Crypter] | None
) -> tuple[config.Config | None, list[errors.Problem], tree.Tree]:
    """Return the configuration if it can be made, and every problem, in file order."""
    built = tree.build(parsed, crypter)
    problems = list(built.problems)
    values: dict[str, Any] = dict(built.values)
    cluster = cluster_of(parsed.path)
    values["cluster"] = cluster
    loaded: config.Config | None = None
    try:
        loaded = config.Config.model_validate(schema.aliased(values), by_alias=True, by_name=False)
    except pydantic.ValidationError as error:
        told = {problem.key for problem in problems}
        problems += [p for p in validation.problems(error, built) if p.key not in told]
    problems += checks.problems(built)
    problems.sort(key=_order)
    return loaded, problems, built


def cluster_of(path: Path) -> str:
    """Return the cluster that ``Pulumi.<cluster>.yaml`` is for."""
    return path.name.removeprefix("Pulumi.").removesuffix(path.suffix)


def split_keys(path: Path, index: int) -> dict[str, str]:
    """Return user and port that stand in the host's text of the node at `index`, as texts."""
    nodes: Any = tree.build(document.parse(path), None).values.get("nodes")
    node: Any = nodes[index] if isinstance(nodes, list) and index < len(nodes) else {}
    try:
        parts = split_host(str(node.get("host", "")))
    except (AttributeError, ValueError):
        return {}
    found = {"user": parts.user, "port": str(parts.port or "")}
    return {key: value for key, value in found.items() if value and key not in node}


def artifacts_of(path: Path) -> dict[str, str]:
    """Return the texts of ``artifacts`` in the file. Decrypts nothing, and checks nothing else."""
    found: Any = tree.build(document.parse(path), None).values.get("artifacts")
    if not isinstance(found, dict):
        return {}
    return {str(key): value for key, value in found.items() if isinstance(value, str)}


def _order(problem: errors.Problem) -> int:
    _, _, line = problem.where.rpartition(":")
    return int(line) if line.isdigit() else 0


def _summary(path: Path, problems: list[errors.Problem]) -> str:
    count = len(problems)
    return f"{path.name} has {count} problem{'s' if count != 1 else ''}"

"""The user's folder: ``Pulumi.yaml``, and which stacks are beside it."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from provision import errors
from provision.config_file import document
from provision.fileio import atomic

DEFAULT_BACKEND = "file://./.elysium/state"

_STACK = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")


@dataclass(frozen=True, kw_only=True)
class Project:
    """A folder with a ``Pulumi.yaml``.

    `backend` is where state lives, as written there (``file://./…`` is
    relative to `root`).
    """

    root: Path
    name: str
    backend: str
    config_dir: Path

    def stack_file(self, stack: str) -> Path:
        """Return the path of ``Pulumi.<stack>.yaml``, there or not."""
        return self.config_dir / f"Pulumi.{stack}.yaml"

    def stacks(self) -> tuple[str, ...]:
        """Return the names of all stacks that have a file, sorted."""
        found = self.config_dir.glob("Pulumi.*.yaml")
        return tuple(sorted(p.name.removeprefix("Pulumi.").removesuffix(".yaml") for p in found))

    def choose(self, stack: str | None) -> str:
        """Return `stack` if it has a file, or the only one there is.

        Raises `errors.ConfigError` when there is none, or more than one to
        choose from.
        """
        stacks = self.stacks()
        if stack is None:
            if len(stacks) == 1:
                return stacks[0]
            if not stacks:
                raise errors.ConfigError(
                    f"no Pulumi.<cluster>.yaml is in {self.config_dir}",
                    [],
                    hint="elysium init writes one",
                )
            raise errors.ConfigError(
                f"{len(stacks)} clusters are configured here: {', '.join(stacks)}",
                [],
                hint=f"say which: --stack {stacks[0]}",
            )
        if not is_stack_name(stack):
            raise errors.ConfigError(
                f"{stack!r} is no name for a cluster",
                [],
                hint="lower-case letters, digits and hyphens, at most 63",
            )
        if stack not in stacks:
            close = difflib.get_close_matches(stack, stacks, n=1)
            hint = f"did you mean --stack {close[0]}?" if close else "elysium init writes one"
            raise errors.ConfigError(
                f"no Pulumi.{stack}.yaml is in {self.config_dir}", [], hint=hint
            )
        return stack


def is_stack_name(text: str) -> bool:
    """Return whether a cluster may be called `text`."""
    return _STACK.fullmatch(text) is not None


def find_project(start: Path) -> Project:
    """Return the project of `start`: the nearest folder upwards with a ``Pulumi.yaml``."""
    start = start.absolute()
    if not start.is_dir():
        raise errors.ConfigError(f"{start} is not a folder", [])
    for folder in (start, *start.parents):
        if (folder / "Pulumi.yaml").is_file():
            return open_project(folder)
    raise errors.ConfigError(
        f"no Pulumi.yaml is in {start} or above it",
        [],
        hint="go to your cluster's folder, or make one here: elysium init",
    )


def open_project(root: Path) -> Project:
    """Read ``Pulumi.yaml`` in `root`. Raises `errors.ConfigError` with every problem."""
    doc = document.parse(root / "Pulumi.yaml")
    problems: list[errors.Problem] = []

    def text(container: object, key: str, shown: str, default: str | None) -> str:
        value = container.get(key) if isinstance(container, Mapping) else None
        if isinstance(value, str) and value.strip():
            return str(value)
        if value is None and default is not None:
            return default
        message = "it is missing" if value is None else "a text is expected"
        line = doc.line(container, key)
        problems.append(errors.Problem(message=message, where=doc.where(line), key=shown))
        return ""

    name = text(doc.data, "name", "name", None)
    if name and not re.fullmatch(r"[A-Za-z0-9_.-]{1,100}", name):
        where = doc.where(doc.line(doc.data, "name"))
        message = "letters, digits, '_', '.' and '-' are expected"
        problems.append(errors.Problem(message=message, where=where, key="name"))
    backend: object = doc.data.get("backend")
    url = text(backend if backend is not None else {}, "url", "backend.url", DEFAULT_BACKEND)
    folder = text(doc.data, "stackConfigDir", "stackConfigDir", ".")
    plugins: object = doc.data.get("plugins")
    if isinstance(plugins, Mapping) and plugins.get("analyzers"):
        message = "policy packs are not run by elysium; 'pulumi preview' and 'pulumi up' run them"
        where = doc.where(doc.line(plugins, "analyzers"))
        problems.append(errors.Problem(message=message, where=where, key="plugins.analyzers"))
    if problems:
        raise errors.ConfigError("Pulumi.yaml is not right", problems)
    return Project(root=root, name=name, backend=url, config_dir=(root / folder).absolute())


def write_project(
    root: Path, *, name: str, main: str, plugin_dir: str, virtualenv: str = ""
) -> Path:
    """Write ``Pulumi.yaml`` if there is none, and return its path.

    `main` is the folder of the program, `plugin_dir` the one that holds
    ``pulumi-resource-elysium``, `virtualenv` the Python environment they need:
    the upstream engine reads these; the embedded one runs in this process.
    """
    path = root / "Pulumi.yaml"
    if path.exists():
        return path
    options = f"\n  options:\n    virtualenv: {_quoted(virtualenv)}" if virtualenv else ""
    atomic.write(
        path,
        f"""\
# What is in this folder: one stack, Pulumi.<cluster>.yaml, for each cluster.
name: {_quoted(name)}
description: Clusters set up by elysium
runtime:
  name: python{options}
# The program and the provider that come with elysium. Only 'pulumi' itself and
# 'elysium --engine upstream' read these three; 'elysium init' writes them anew
# when this file is not there.
main: {_quoted(main)}
plugins:
  providers:
    - name: elysium
      path: {_quoted(plugin_dir)}
options:
  refresh: always
# Where the state is kept: encrypted, and to be kept safe. Git ignores it.
backend:
  url: {DEFAULT_BACKEND}
""",
        mode=None,
    )
    return path


def _quoted(value: str) -> str:
    from provision.config_file import scaffold

    return scaffold.scalar(value)

"""The repository, the cluster in it and the sources that a ``gitops`` command names."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from provision.cli.settings import Settings

if TYPE_CHECKING:
    from provision.gitops.build.discovery import Discovered
    from provision.gitops.sealing.keys import SealingKey
    from provision.gitops.tree import Tree

DIRECTORY = click.Path(exists=True, file_okay=False, path_type=Path)


def options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add ``--path``, ``--source`` and ``--flux-version``, which decide how a tree is built."""
    for option in reversed(
        (
            click.option(
                "--path", metavar="DIR", help="The cluster's folder. Default: the only one."
            ),
            click.option(
                "--source",
                "given",
                metavar="NAME=DIR",
                multiple=True,
                help="The files of another Flux source, such as a GitRepository. May be repeated.",
            ),
            click.option(
                "--flux-version",
                metavar="VERSION",
                default="",
                help="The Flux that builds. Default: as the checkout says.",
            ),
        )
    ):
        command = option(command)
    return command


def cluster(called: Settings, tree: Tree, path: str | None) -> str:
    """Return the cluster's folder: `path`, else the only one of `tree`, else the one chosen.

    Raises:
        click.BadParameter: when `path` can be no folder of a repository.
        errors.ConfigError: when there is none, or several and nobody to ask.
    """
    from provision import errors, gitpaths
    from provision.gitops.build import placement

    if path is not None:
        reason = gitpaths.unusable(path)
        if reason:
            raise click.BadParameter(
                f"{reason}: expected a folder of the repository, such as clusters/home",
                param_hint="--path",
            )
        return gitpaths.normal(path)
    found = placement.clusters(tree)
    named = [folder for folder in found if placement.CLUSTERS.fullmatch(folder)]
    for candidates in (found, named):
        if len(candidates) == 1:
            return candidates[0]
    if found and called.terminal.can_ask:
        return _asked(called, found)
    raise errors.ConfigError(
        f"{'several clusters begin' if found else 'no cluster begins'} in {tree.origin}",
        [],
        hint="say which folder Flux begins in: --path "
        + (" or --path ".join(one or "./" for one in found) or "DIR"),
    )


def _asked(called: Settings, folders: list[str]) -> str:
    shown = {one or "./": one for one in folders}
    while True:
        answer = called.terminal.ask(f"Which cluster? {', '.join(shown)}")
        if answer in shown:
            return shown[answer]
        called.terminal.say(f"{answer!r} is none of them.")


def flux_version(text: str) -> str:
    """Return the release `text` of Flux. Raises `click.BadParameter` for what is none."""
    if text and not re.fullmatch(r"v?\d+\.\d+(\.\d+)?", text):
        raise click.BadParameter(
            f"{text}: expected a release of Flux, such as v2.9.3", param_hint="--flux-version"
        )
    return text


def sources(given: tuple[str, ...]) -> dict[str, Tree]:
    """Return the trees of ``NAME=DIR``. Raises `click.BadParameter` for anything else."""
    from provision.gitops import tree

    found: dict[str, Tree] = {}
    for one in given:
        name, sign, folder = one.partition("=")
        if not (name and sign and Path(folder).is_dir()):
            raise click.BadParameter(
                f"{one}: expected the name of a source and a folder, such as platform=../platform",
                param_hint="--source",
            )
        found[name] = tree.Tree.from_directory(Path(folder))
    return found


def discover(
    tree: Tree,
    folder: str,
    *,
    given: tuple[str, ...],
    version: str,
    keys: Sequence[SealingKey] = (),
    conceals: bool = True,
) -> Discovered:
    """Return the Kustomizations of the cluster `folder` of `tree`, built.

    `given` and `version` are what ``--source`` and ``--flux-version`` say. `conceals`: no
    object shows the value of a Secret. Raises `click.BadParameter`.
    """
    from provision.gitops.build import discovery
    from provision.gitops.coldstart import installed

    release, _ = installed.find(tree, folder, version=flux_version(version))
    return discovery.discover(
        tree,
        folder,
        keys=keys,
        flux_version=release,
        given=sources(given),
        conceals=conceals,
    )

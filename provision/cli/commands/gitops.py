"""``elysium gitops cold-start``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from provision.cli import lazy
from provision.cli.settings import Settings

if TYPE_CHECKING:
    from provision.gitops.coldstart.needs import Analysis, Need
    from provision.gitops.tree import Tree


@click.group(
    cls=lazy.Group,
    examples="""
    elysium gitops cold-start ~/homelab --path clusters/kyrion --keys sealing-keys.yaml
    """,
)
def gitops() -> None:
    """Look into a GitOps repository, without a cluster."""


@gitops.command(
    "cold-start",
    examples="""
    elysium gitops cold-start                         # the checkout you are in
    elysium gitops cold-start ~/homelab --path clusters/kyrion
    elysium gitops cold-start ~/homelab --format json | jq .needs
    """,
)
@click.argument(
    "directory",
    default=".",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
)
@click.option("--path", metavar="DIR", help="The cluster's folder. Default: the only clusters/*.")
@click.option(
    "--keys",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="The sealing keys: without them, SealedSecrets count as openable.",
)
@click.option(
    "--format",
    "format_",
    type=click.Choice(["text", "json"]),
    default="text",
    help="json is one object (as with --json).",
)
@click.pass_obj
def cold_start(
    called: Settings, directory: Path, path: str | None, keys: Path | None, format_: str
) -> None:
    """Say what an empty cluster lacks for a repository.

    Plays through what Flux would do with the checkout in DIRECTORY on a
    cluster with nothing in it, and lists where it would stop for ever: what
    is missing, why, in which file; what elysium up would put there first; and
    what to change in the repository so that nothing has to be. Exits with 3
    when something is missing that cannot be made, or the repository does not
    build.
    """
    from provision.gitops import tree
    from provision.gitops.coldstart import analysis as coldstart_analysis

    read = tree.Tree.from_directory(directory)
    chosen = tree.normal_path(path) if path is not None else _only_cluster(read)
    opened = None
    if keys is not None:
        from provision.cli import sealingkeys

        opened = sealingkeys.read(called, keys)
    analysis = coldstart_analysis.analyse(read, chosen, keys=opened)
    if called.json or format_ == "json":
        called.terminal.data(analysis.to_json())
        if analysis.problems or analysis.missing:
            raise click.exceptions.Exit(3)
        return
    for line in _described(chosen, analysis):
        called.terminal.result(line)
    analysis.check()


def _only_cluster(read: Tree) -> str:
    from provision import errors

    found = sorted(f for f in read.folders if f.startswith("clusters/") and f.count("/") == 1)
    if len(found) == 1:
        return found[0]
    raise errors.ConfigError(
        f"there {'are several' if found else 'is no'} clusters/* in {read.origin}",
        [],
        hint="say which folder Flux begins in: --path "
        + (found[0] if found else "clusters/kyrion"),
    )


def _described(path: str, analysis: Analysis) -> list[str]:
    lines = [f"{path}: {len(analysis.kustomizations)} Kustomizations"]
    lines += [f"  {one.namespace}/{one.name}  {one.path}" for one in analysis.kustomizations]
    if not analysis.needs and not analysis.problems:
        lines.append("It comes up on an empty cluster by itself; nothing has to be seeded.")
    if analysis.needs:
        lines += ["", "An empty cluster lacks:"]
    for need in analysis.needs:
        lines += _need(need)
    lines += [f"note: {note}" for note in analysis.notes]
    return lines


def _need(need: Need) -> list[str]:
    sign = "+" if need.seedable else "✗"
    lines = [
        f"  {sign} {need.ref}",
        f"      stops:   {need.blocks}",
        f"      why:     {need.reason}",
        f"      where:   {need.where}",
    ]
    if need.source:
        lines.append(f"      made by: {need.source}")
    done = "is put there before Flux starts" if need.seedable else f"cannot be: {need.obstacle}"
    lines.append(f"      seeded:  {done}")
    lines.append(f"      instead: {need.suggestion}")
    return lines

"""``elysium gitops cold-start``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from provision.cli import gitopstrees, lazy
from provision.cli.settings import Settings

if TYPE_CHECKING:
    from provision.gitops.coldstart.needs import Analysis, Need


@click.command(
    "cold-start",
    cls=lazy.Command,
    examples="""
    elysium gitops cold-start                         # the checkout you are in
    elysium gitops cold-start ~/homelab --path clusters/kyrion
    elysium gitops cold-start ~/homelab --format json | jq .needs
    """,
)
@click.argument("directory", default=".", type=gitopstrees.DIRECTORY)
@gitopstrees.options
@click.option(
    "--keys",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="The sealing keys: without them, SealedSecrets count as openable.",
)
@click.option(
    "--components-extra",
    metavar="NAME,…",
    default="",
    help="More components of Flux, such as source-watcher.",
)
@click.option("--strict", is_flag=True, help="Exit with 3 also when it only may come up.")
@click.option(
    "--format",
    "format_",
    type=click.Choice(["text", "json"]),
    default="text",
    help="json is one object (as with --json).",
)
@click.pass_obj
def cold_start(
    called: Settings,
    directory: Path,
    path: str | None,
    keys: Path | None,
    given: tuple[str, ...],
    flux_version: str,
    components_extra: str,
    strict: bool,
    format_: str,
) -> None:
    """Say whether a repository brings an empty cluster up.

    Plays through what Flux would do with the checkout in DIRECTORY on a
    cluster with nothing in it, and lists where it would stop for ever: what
    is missing, why, in which file; what elysium up would put there first; and
    what to change in the repository so that nothing has to be. What was not
    seen is named, where something needs it. Exits with 3 when the cluster
    cannot come up.
    """
    from provision.gitops import tree
    from provision.gitops.build import discovery
    from provision.gitops.coldstart import analysis as coldstart_analysis
    from provision.gitops.coldstart import installed

    read = tree.Tree.from_directory(directory)
    chosen = gitopstrees.cluster(called, read, path)
    opened = None
    if keys is not None:
        from provision.cli import sealingkeys

        opened = sealingkeys.read(called, keys)
    more = _components(components_extra)
    version = gitopstrees.flux_version(flux_version)
    version, cluster = installed.find(read, chosen, version=version, more=more)
    found = discovery.discover(
        read, chosen, keys=opened or (), flux_version=version, given=gitopstrees.sources(given)
    )
    analysis = coldstart_analysis.analyse_found(found, opened, cluster=cluster)
    failing = {"cannot come up", "may come up"} if strict else {"cannot come up"}
    if called.json or format_ == "json":
        called.terminal.data(analysis.to_json())
        if analysis.verdict in failing:
            raise click.exceptions.Exit(3)
        return
    for line in _described(chosen, analysis):
        called.terminal.result(line)
    analysis.check_problems()
    if analysis.verdict in failing:
        raise click.exceptions.Exit(3)


def _components(text: str) -> list[str]:
    from provision.gitops.coldstart import api

    names = [name.strip() for name in text.split(",") if name.strip()]
    for name in names:
        if name not in api.ALL_COMPONENTS:
            known = ", ".join(api.ALL_COMPONENTS)
            raise click.BadParameter(
                f"{name}: expected components of Flux: {known}", param_hint="--components-extra"
            )
    return names


_VERDICTS = {
    "comes up": "It comes up on an empty cluster by itself; nothing has to be seeded.",
    "needs a seed": "It comes up on an empty cluster with the seeds below.",
    "may come up": "It may come up on an empty cluster: not everything that it needs was seen.",
    "cannot come up": "It cannot come up on an empty cluster.",
}


def _described(path: str, analysis: Analysis) -> list[str]:
    lines = [f"{path}: {len(analysis.kustomizations)} Kustomizations"]
    lines += [f"  {one.namespace}/{one.name}  {one.path}" for one in analysis.kustomizations]
    lines.append(_VERDICTS[analysis.verdict])
    if analysis.needs:
        lines += ["", "An empty cluster lacks:"]
    for need in analysis.needs:
        lines += _need(need)
    if analysis.assumptions:
        lines += ["", "It was not seen, and is taken to be there:"]
    for one in analysis.assumptions:
        lines += [
            f"  ? {one.ref}",
            f"      stops:   {one.blocks}",
            f"      why:     {one.reason}",
            f"      where:   {one.where}",
            f"      from:    {' or '.join(one.by)}",
            f"      check:   {' or '.join(one.check)}",
        ]
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

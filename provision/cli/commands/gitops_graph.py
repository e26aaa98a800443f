"""``elysium gitops graph``."""

from __future__ import annotations

import json
from pathlib import Path

import click

from provision.cli import gitopstrees, lazy
from provision.cli.settings import Settings


@click.command(
    cls=lazy.Command,
    examples="""
    elysium gitops graph                              # the checkout you are in
    elysium gitops graph ~/homelab --path clusters/kyrion
    elysium gitops graph --format mermaid >> README.md
    elysium gitops graph --format svg --output cluster.svg
    """,
)
@click.argument("directory", default=".", type=gitopstrees.DIRECTORY)
@gitopstrees.options
@click.option(
    "--format",
    "format_",
    type=click.Choice(["text", "mermaid", "svg", "json"]),
    default="text",
    help="mermaid is drawn by GitHub, json is one object (as with --json).",
)
@click.option(
    "--output",
    "target",
    metavar="FILE",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write the graph there, not to stdout.",
)
@click.pass_obj
def graph(
    called: Settings,
    directory: Path,
    path: str | None,
    given: tuple[str, ...],
    flux_version: str,
    format_: str,
    target: Path | None,
) -> None:
    """Draw Kustomizations, HelmReleases and sources.

    In the text, an object stands below the Kustomization that applies it; what
    it waits for is named behind <-. What is suspended, does not build, was not
    seen or is not in the repository is marked. Exits with 3 when something
    does not build, after the graph.
    """
    from provision import errors
    from provision.cli.render import graphs, graphsvg
    from provision.fileio import atomic
    from provision.gitops import graph as model
    from provision.gitops import tree

    read = tree.Tree.from_directory(directory)
    folder = gitopstrees.cluster(called, read, path)
    found = gitopstrees.discover(read, folder, given=given, version=flux_version)
    drawn = model.of(found)
    if called.json or format_ == "json":
        lines = [json.dumps(drawn.to_json(), ensure_ascii=False)]
    else:
        forms = {"text": graphs.text, "mermaid": graphs.mermaid, "svg": graphsvg.svg}
        lines = list(forms[format_](drawn))
    if target is not None:
        atomic.write(target, "".join(f"{line}\n" for line in lines), mode=None)
        called.terminal.say(f"the graph of {folder or './'} is in {target}")
    elif called.json or format_ == "json":
        called.terminal.data(drawn.to_json())
    else:
        for line in lines:
            called.terminal.result(line)
    if found.problems:
        raise errors.GitOpsError("not every Kustomization builds", found.problems)

"""``elysium gitops diff``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from provision.cli import gitopstrees, lazy
from provision.cli.settings import Settings

if TYPE_CHECKING:
    from provision.gitops.revisions import Checkout
    from provision.gitops.tree import Tree

_SHORT = 12


@click.command(
    cls=lazy.Command,
    examples="""
    elysium gitops diff                               # HEAD and the files as they are now
    elysium gitops diff origin/main                   # a branch and the files as they are now
    elysium gitops diff v1.0 v1.1
    elysium gitops diff origin/main...HEAD --format markdown   # as a pull request shows it
    """,
)
@click.argument("a", required=False)
@click.argument("b", required=False)
@click.option(
    "--repo", "directory", default=".", type=gitopstrees.DIRECTORY, help="The checkout. Default: ."
)
@gitopstrees.options
@click.option(
    "--format",
    "format_",
    type=click.Choice(["text", "markdown", "json"]),
    default="text",
    help="markdown is for a pull request, json is one object (as with --json).",
)
@click.pass_obj
def diff(
    called: Settings,
    a: str | None,
    b: str | None,
    directory: Path,
    path: str | None,
    given: tuple[str, ...],
    flux_version: str,
    format_: str,
) -> None:
    """Show what changes in the cluster between two commits.

    Builds the cluster's Kustomizations from A and from B as Flux does, and
    compares the objects, after substitution. A is HEAD without a name. B is
    the working tree without a name: the files as they are now, without
    ignored ones. A..B are two commits, A...B is what B did since it left A.
    The values of Secrets are hashes. Deletions that lose data come first:
    claims, volumes, namespaces, definitions of kinds. With -v, objects that
    come or go are printed whole. Exits with 3 when B does not build.
    """
    from provision import errors
    from provision.cli.render import differences
    from provision.gitops.build import placement
    from provision.gitops.diff import compare
    from provision.gitops.revisions import Checkout

    pair = _pair(Checkout.containing(directory), a, b)
    old, new = pair.before, pair.after
    folder = gitopstrees.cluster(
        called, new if path is not None or placement.clusters(new) else old, path
    )
    before, after = (
        gitopstrees.discover(tree, folder, given=given, version=flux_version).units
        if folder in tree.folders or tree is new
        else []
        for tree in (old, new)
    )
    found = compare.compare(before, after)
    title = f"{folder or './'}: {old.origin} -> {new.origin}"
    if called.json or format_ == "json":
        called.terminal.data({"path": folder, "a": old.origin, "b": new.origin, **found.to_json()})
    elif format_ == "markdown":
        called.terminal.result(differences.markdown(title, found).rstrip("\n"))
    else:
        for line in differences.text(title, found, whole=called.verbose > 0):
            called.terminal.result(line)
    if found.problems:
        raise errors.GitOpsError(
            f"{new.origin} does not build; Flux would keep what it applied",
            list(found.problems),
        )


@dataclass(frozen=True, kw_only=True)
class _Pair:
    before: Tree
    after: Tree


def _pair(checkout: Checkout, a: str | None, b: str | None) -> _Pair:
    """Return the two trees that the arguments name. Raises `click.UsageError`."""
    a = a or "HEAD"
    if ".." in a:
        if b is not None:
            raise click.UsageError(f"{a} names two commits already; {b} is one too many")
        sign = "..." if "..." in a else ".."
        a, _, b = (part or None for part in a.partition(sign))
        a, b = a or "HEAD", b or "HEAD"
        if sign == "...":
            a = checkout.merge_base(a, b)
    before = _tree(checkout, a)
    return _Pair(before=before, after=_tree(checkout, b) if b else checkout.working_tree())


def _tree(checkout: Checkout, revision: str) -> Tree:
    commit = checkout.commit(revision)
    short = commit[:_SHORT]
    return checkout.tree(commit, short if commit.startswith(revision) else f"{revision} ({short})")

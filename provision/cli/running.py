"""What preview, up, refresh and destroy share: their options, the plan, the question."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

import click

from provision.cli.settings import Settings

if TYPE_CHECKING:
    from rich.console import Console

    from provision.cli.render.run import Run

_NO_SEEDS: Final = "ELYSIUM_NO_SEEDS"
"""Earlier versions seeded nothing while it was set."""


def options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add ``--target`` and ``--parallel``."""
    target = click.option(
        "--target",
        "targets",
        metavar="NAME",
        multiple=True,
        help="Only the resource of this name or URN (* and ** match); may be repeated.",
    )
    parallel = click.option(
        "--parallel",
        metavar="N",
        type=click.IntRange(min=0),
        default=0,
        help="How many things at once. Default: four for each core.",
    )
    return target(parallel(function))


def refresh_option(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add ``--refresh/--no-refresh``."""
    return click.option(
        "--refresh/--no-refresh",
        default=True,
        help="Read every resource before it is compared (default). --no-refresh believes what "
        "the state says of the cluster; node and GitHub are looked at in any case.",
    )(function)


def seeding_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add ``--no-seeds`` and ``--anyway``; see `seeding`."""
    anyway = click.option(
        "--anyway",
        is_flag=True,
        help="Go on although the repository cannot come up: seed what can be seeded.",
    )(function)
    return click.option(
        "--no-seeds",
        is_flag=True,
        help="Seed nothing, to see where the repository stops by itself.",
    )(anyway)


def seeding(*, no_seeds: bool, anyway: bool) -> dict[str, Any]:
    """Return the argument `seeding` of operations; none where the user asks for nothing special.

    Raises `click.UsageError` while the variable is set that earlier versions read.
    """
    from provision.operations.repository import Seeding

    if os.environ.get(_NO_SEEDS) and not no_seeds:
        raise click.UsageError(f"{_NO_SEEDS} is no longer read: unset it, or give --no-seeds")
    if no_seeds:
        return {"seeding": Seeding.NONE}
    return {"seeding": Seeding.POSSIBLE} if anyway else {}


def needs_an_answer(called: Settings, yes: bool, about: str) -> None:
    """Refuse, before anything is done, when there is nobody to ask."""
    if not yes and not called.terminal.can_ask:
        why = "with --json nobody is asked" if called.json else "there is no terminal to ask on"
        raise click.UsageError(f"{why} {about}: give --yes to go on without asking")


def update_kubeconfigs(called: Settings, cluster: str, kubeconfig: Any) -> None:
    """Bring a cluster's new kubeconfig to where the user had merged it; never fail for that."""
    from provision import config_file, errors
    from provision.secret import Secret

    root = config_file.find_project(called.directory).root
    if not isinstance(kubeconfig, Secret) or not (root / ".elysium").is_dir():
        return
    from provision.cli import merged_kubeconfigs

    try:
        changed = merged_kubeconfigs.update(root, cluster, kubeconfig.reveal())
    except errors.ElysiumError as error:
        called.terminal.warn(f"the merged kubeconfig was not updated: {error.summary}")
        return
    for path in changed:
        called.terminal.say(f"{path} has the new credentials of {cluster}")


def show_plan(
    console: Console, seen: Run, called: Settings, *, diffs: bool, tree: bool = True
) -> None:
    """Print what was planned, if this is not for a machine."""
    if called.json:
        return
    from provision.cli.render import plan

    if tree and any(True for _ in seen.roots()):
        drawn = plan.render(seen, diffs=diffs, everything=called.verbose > 0)
        if drawn.children:
            console.print(drawn)
            console.print()
    lost = plan.losses(seen)
    if lost is not None:
        console.print(lost)
        console.print()
    if seen.summary is not None:
        console.print(plan.counts(seen.counts(), planned=True))

"""What preview, up and destroy share: their options, the plan, the question."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from provision.cli.settings import Settings

if TYPE_CHECKING:
    from rich.console import Console

    from provision.cli.render.run import Run


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


def needs_an_answer(called: Settings, yes: bool, about: str) -> None:
    """Refuse, before anything is done, when there is nobody to ask."""
    if not yes and not called.terminal.can_ask:
        why = "with --json nobody is asked" if called.json else "there is no terminal to ask on"
        raise click.UsageError(f"{why} {about}: give --yes to go on without asking")


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
        console.print(plan.counts(seen.summary.counts, planned=True))

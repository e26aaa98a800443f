"""``elysium destroy``."""

from __future__ import annotations

from typing import Any

import click

from provision.cli import lazy, running, stack_context
from provision.cli.settings import Settings


@click.command(
    cls=lazy.Command,
    examples="""
    elysium destroy
    elysium destroy --keep-data      # local-path volumes stay on the node
    """,
)
@running.options
@click.option("--keep-data", is_flag=True, help="Leave local-path volumes on the node.")
@click.option("-y", "--yes", is_flag=True, help="Do not ask for the cluster's name.")
@click.pass_obj
def destroy(called: Settings, keep_data: bool, yes: bool, **options: Any) -> None:
    """Take the cluster down again.

    First lists what would be lost, and asks for the cluster's name. Then
    removes what up brought: k3s, the mount, the deploy key on GitHub. What
    was on the node before, and the repository's commits, stay.
    """
    running.needs_an_answer(called, yes, "for the cluster's name")
    from provision.cli.render import plan, reporter
    from provision.operations import destroy

    terminal = called.terminal
    with stack_context.stack(called) as stack, reporter.of(called) as listening:
        listening.step("looking for what would be lost")
        lost = destroy.losses(stack, keep_data=keep_data)
        listening.pause()
        if called.json:
            terminal.event({"event": "losses", "losses": lost})
        terminal.say(
            "This takes away:" if lost else "Neither k3s nor a media library was set up so far."
        )
        for line in lost:
            terminal.say(f"  - {line}")
        cluster = stack.config.cluster
        if not yes and terminal.ask(f"Type the cluster's name ({cluster}) to go on") != cluster:
            raise click.UsageError(f"that is not {cluster}; nothing was changed")
        destroy.destroy(
            stack,
            keep_data=keep_data,
            on_event=listening.on_event,
            options=stack_context.run_options(**options),
        )
    if not called.json and listening.seen.summary is not None:
        terminal.out.print(plan.counts(listening.seen.summary.counts, planned=False))

"""``elysium refresh``."""

from __future__ import annotations

from typing import Any

import click

from provision.cli import lazy, running, stack_context
from provision.cli.settings import Settings


@click.command(
    cls=lazy.Command,
    examples="""
    elysium refresh
    elysium refresh --yes            # without being asked, as in a script
    elysium refresh --target media   # only the resource of that name
    """,
)
@running.options
@click.option("-y", "--yes", is_flag=True, help="Write it without asking.")
@click.option("--diff/--no-diff", default=True, help="Show the values that differ (default).")
@click.pass_obj
def refresh(called: Settings, yes: bool, diff: bool, **options: Any) -> None:
    """Bring the state to what is really there.

    Reads every resource of the state, shows what differs, asks, and writes
    that into the state: changed values, and which resources are gone. Nothing
    on the node, on GitHub or in the cluster is changed. up does not need it,
    since it reads everything itself; it is for a state that shall tell the
    truth without up, as before moving to another engine.
    """
    running.needs_an_answer(called, yes, "whether to write it")
    from provision.cli.render import plan, reporter
    from provision.operations import deploy

    wanted = stack_context.run_options(**options)
    with stack_context.stack(called) as stack, reporter.of(called) as listening:
        if not yes:
            found = deploy.refresh(stack, on_event=listening.on_event, options=wanted, dry_run=True)
            listening.pause()
            running.show_plan(called.terminal.err, listening.seen, called, diffs=diff)
            if not found.changed:
                return
            if not called.terminal.confirm("Write this into the state?"):
                called.terminal.say("nothing was changed")
                return
        deploy.refresh(stack, on_event=listening.on_event, options=wanted)
    if not called.json and listening.seen.summary is not None:
        called.terminal.out.print(plan.counts(listening.seen.summary.counts, planned=False))

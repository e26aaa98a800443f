"""``elysium up``."""

from __future__ import annotations

from typing import Any

import click

from provision.cli import lazy, running, stack_context
from provision.cli.settings import Settings


@click.command(
    cls=lazy.Command,
    examples="""
    elysium up
    elysium up --yes                 # without being asked, as in a script
    elysium up --target media        # only the resource of that name
    """,
)
@running.options
@running.refresh_option
@click.option("-y", "--yes", is_flag=True, help="Do it without asking.")
@click.option("--diff/--no-diff", default=True, help="Show file hunks and values (default).")
@click.pass_obj
def up(called: Settings, yes: bool, diff: bool, **options: Any) -> None:
    """Make the cluster as configured; repair what drifted.

    Checks everything first, shows the plan, asks, and does it: k3s, GPU,
    media mount, deploy key, Flux; then waits until Flux has applied the
    repository. What is as it should be is left alone, so it can be run at
    any time, and again after it was interrupted.
    """
    running.needs_an_answer(called, yes, "whether to carry out the plan")
    from provision.cli.render import reporter, summary
    from provision.operations import deploy, preflight

    wanted = stack_context.run_options(**options)
    with stack_context.stack(called) as stack, reporter.of(called) as listening:
        for warning in preflight.preflight(stack, listening.step):
            called.terminal.warn(warning)
        if not yes:
            planned = deploy.preview(stack, on_event=listening.on_event, options=wanted)
            listening.pause()
            running.show_plan(called.terminal.err, listening.seen, called, diffs=diff)
            if planned.changed and not called.terminal.confirm("Do this?"):
                called.terminal.say("nothing was changed")
                return
        done = deploy.up(stack, on_event=listening.on_event, options=wanted)
    running.update_kubeconfigs(called, stack.config.cluster, done.result.outputs.get("kubeconfig"))
    if called.json:
        called.terminal.event(summary.as_json(done))
    else:
        called.terminal.out.print(summary.render(stack.config, done))

"""``elysium preview``."""

from __future__ import annotations

from typing import Any

import click

from provision.cli import lazy, running, stack_context
from provision.cli.settings import Settings


@click.command(
    cls=lazy.Command,
    examples="""
    elysium preview
    elysium preview --no-diff        # what changes, without file hunks
    elysium preview --json | jq -c 'select(.event == "resource-planned" and .op != "same")'
    """,
)
@running.options
@running.refresh_option
@running.seeding_options
@click.option("--diff/--no-diff", default=True, help="Show file hunks and values (default).")
@click.option("--summary", is_flag=True, help="Show the totals only.")
@click.option(
    "--expect-no-changes", is_flag=True, help="Exit with 5 if there is anything to change."
)
@click.pass_obj
def preview(
    called: Settings,
    diff: bool,
    summary: bool,
    expect_no_changes: bool,
    no_seeds: bool,
    anyway: bool,
    **options: Any,
) -> None:
    """Show what up would do, and change nothing.

    Reads the node, GitHub and the cluster as they are now, and prints what
    differs from the configuration: files on the node as diffs, commits, keys,
    objects. Signs: + create, ~ change, - delete, +- replace.
    """
    from provision import errors
    from provision.cli.render import reporter
    from provision.operations import deploy, preflight

    asked = running.seeding(no_seeds=no_seeds, anyway=anyway)
    with stack_context.stack(called) as stack, reporter.of(called) as listening:
        for warning in preflight.preflight(stack, listening.step, **asked):
            called.terminal.warn(warning)
        result = deploy.preview(
            stack,
            on_event=listening.on_event,
            options=stack_context.run_options(**options),
            **asked,
        )
    if not called.json:
        console = called.terminal.out
        running.show_plan(console, listening.seen, called, diffs=diff, tree=not summary)
    if expect_no_changes and result.changed:
        raise errors.NotConvergedError(
            "there are changes", remaining=(), hint="elysium up carries them out"
        )

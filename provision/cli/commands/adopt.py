"""``elysium adopt``."""

from __future__ import annotations

import click

from provision.cli import lazy, running, stack_context
from provision.cli.settings import Settings


@click.command(
    cls=lazy.Command,
    examples="""
    elysium init --host 192.168.1.10 --github me/homelab     # first: how to reach it
    elysium adopt
    elysium adopt --dry-run          # what is there, and what would be written
    """,
)
@click.option("--dry-run", is_flag=True, help="Look, write nothing and change nothing.")
@click.option("-y", "--yes", is_flag=True, help="Do it without asking.")
@click.option("--diff/--no-diff", default=True, help="Show file hunks and values (default).")
@click.pass_obj
def adopt(called: Settings, dry_run: bool, yes: bool, diff: bool) -> None:
    """Take over a cluster that was set up by hand.

    Looks at the node, its cluster and GitHub: the k3s that an install script
    left, a media library that rclone mounts, Flux and its deploy key, sealing
    keys. Writes the settings that describe them into the configuration, shows
    what would change (nothing, if all is well), and takes them into the
    stack. What is as configured is left as it is, files and all.
    """
    if not dry_run:
        running.needs_an_answer(called, yes, "whether to take it over")
    from provision import errors
    from provision.cli.render import found as drawing
    from provision.cli.render import reporter
    from provision.operations import adoption

    with stack_context.stack(called) as stack, reporter.of(called) as listening:
        found = adoption.look(stack, listening.step)
        listening.pause()
        called.terminal.keep_secret(found.secrets)
        if called.json:
            called.terminal.event(drawing.as_json(found))
        else:
            shown = called.terminal.out if dry_run else called.terminal.err
            shown.print(drawing.render(found))
        if found.problems:
            raise errors.PreflightError(
                "the cluster cannot be taken over as it is",
                list(found.problems),
                hint="nothing was changed; run elysium adopt again afterwards",
            )
        if dry_run:
            return
        if found.settings and not yes and not called.terminal.confirm("Write these settings?"):
            called.terminal.say("nothing was changed")
            return
        adoption.write(stack, found.settings)
    _take_over(called, yes=yes, diff=diff)


def _take_over(called: Settings, *, yes: bool, diff: bool) -> None:
    """Show what would change, do it if that is wanted, and show that nothing is left."""
    from provision import errors
    from provision.cli.render import reporter, summary
    from provision.operations import deploy, preflight

    with stack_context.stack(called) as stack, reporter.of(called) as listening:
        for warning in preflight.preflight(stack, listening.step):
            called.terminal.warn(warning)
        planned = deploy.preview(stack, on_event=listening.on_event)
        listening.pause()
        running.show_plan(called.terminal.err, listening.seen, called, diffs=diff)
        if planned.changed and not yes and not called.terminal.confirm("Take it over?"):
            called.terminal.say("the settings are written, and nothing else was changed")
            return
        done = deploy.up(stack, on_event=listening.on_event)
        again = deploy.preview(stack, on_event=listening.on_event)
    if called.json:
        called.terminal.event(summary.as_json(done))
    else:
        called.terminal.out.print(summary.render(stack.config, done))
    if again.changed:
        raise errors.NotConvergedError(
            "the cluster is taken over, and a preview still shows changes",
            remaining=(),
            hint="elysium preview shows them, elysium up carries them out",
        )

"""``elysium up``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from provision.cli import bundlekeys, lazy, running, stack_context
from provision.cli.settings import Settings

if TYPE_CHECKING:
    from provision.operations.stack import Stack
    from provision.progress import Progress
    from provision.recovery.bundle import encryption


@click.command(
    cls=lazy.Command,
    examples="""
    elysium up
    elysium up --yes                 # without being asked, as in a script
    elysium up --target media        # only the resource of that name
    elysium up --migrate-datastore   # from SQLite to etcd, for good
    """,
)
@running.options
@running.refresh_option
@running.seeding_options
@click.option("-y", "--yes", is_flag=True, help="Do it without asking.")
@click.option("--diff/--no-diff", default=True, help="Show file hunks and values (default).")
@click.option(
    "--migrate-datastore",
    is_flag=True,
    help="Back up, then move k3s' data from SQLite to etcd. This cannot be undone.",
)
@click.option(
    "--passphrase-file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A file with the passphrase of the backup that --migrate-datastore makes. Default: as for "
    "elysium backup.",
)
@click.pass_obj
def up(
    called: Settings,
    yes: bool,
    diff: bool,
    migrate_datastore: bool,
    passphrase_file: Path | None,
    no_seeds: bool,
    anyway: bool,
    **options: Any,
) -> None:
    """Make the cluster as configured; repair what drifted.

    Checks everything first, shows the plan, asks, and does it: k3s, GPU,
    media mount, deploy key, Flux; then waits until Flux has applied the
    repository. What is as it should be is left alone, so it can be run at
    any time, and again after it was interrupted.
    """
    running.needs_an_answer(called, yes, "whether to carry out the plan")
    if migrate_datastore and options["targets"]:
        raise click.UsageError("--migrate-datastore moves the whole cluster: leave out --target")
    if passphrase_file is not None and not migrate_datastore:
        raise click.UsageError("--passphrase-file is for the backup of --migrate-datastore")
    from provision.cli.render import reporter, summary
    from provision.operations import deploy, preflight

    wanted = stack_context.run_options(**options)
    moving: dict[str, Any] = {"migrate_datastore": True} if migrate_datastore else {}
    asked = running.seeding(no_seeds=no_seeds, anyway=anyway)
    with stack_context.stack(called) as stack, reporter.of(called) as listening:
        for warning in preflight.preflight(stack, listening.step, **moving, **asked):
            called.terminal.warn(warning)
        if migrate_datastore and not preflight.moves_datastore(stack):
            called.terminal.warn("the node has no SQLite datastore to move: no backup is made")
            moving = {}
        if not yes:
            planned = deploy.preview(
                stack, on_event=listening.on_event, options=wanted, **moving, **asked
            )
            listening.pause()
            running.show_plan(called.terminal.err, listening.seen, called, diffs=diff)
            if planned.changed and not called.terminal.confirm("Do this?"):
                called.terminal.say("nothing was changed")
                return
        if moving:
            listening.pause()
            locks = bundlekeys.locks(called, stack.config.backup.recipients, passphrase_file)
            _back_up(called, stack, locks, listening.step)
        done = deploy.up(stack, on_event=listening.on_event, options=wanted, **moving, **asked)
    running.update_kubeconfigs(called, stack.config.cluster, done.result.outputs.get("kubeconfig"))
    if called.json:
        called.terminal.event(summary.as_json(done))
    else:
        called.terminal.out.print(summary.render(stack.config, done))


def _back_up(called: Settings, stack: Stack, locks: encryption.Locks, progress: Progress) -> None:
    """Make a backup with the datastore, which is the only way back from its move.

    Raises `errors.ElysiumError` when it cannot be made; nothing is changed then.
    """
    from provision.recovery.backup import backup, collect

    made = backup.make(stack, locks, collect.Choice(datastore=True), progress=progress)
    called.terminal.say(f"backup before the move: {made.path}")

"""``elysium drill``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from provision.cli import bundlefiles, bundlekeys, bundletrust, lazy, stack_context
from provision.cli.settings import Settings

if TYPE_CHECKING:
    from provision.recovery.bundle import archive


@click.command(
    cls=lazy.Command,
    examples="""
    elysium drill                                    # the newest backup, into a sandbox
    elysium drill --datastore                        # the backup's database, not Git
    elysium drill -i key.txt --report /srv/evidence
    elysium drill -i key.txt --webhook https://example.org/hook
    elysium drill -i key.txt --at 'Sun 03:00'         # on a timer, from now on
    """,
)
@click.argument("file", metavar="[BUNDLE]", required=False)
@bundlekeys.opening_options
@click.option(
    "--datastore",
    is_flag=True,
    help="Rehearse bringing back the cluster's database, instead of rebuilding from Git.",
)
@click.option(
    "--report",
    "folder",
    metavar="DIR",
    type=click.Path(file_okay=False, path_type=Path),
    help="Where the report goes, as JSON and as a page. Default: .elysium/drills.",
)
@bundletrust.option
@click.option("--webhook", metavar="URL", help="POST the JSON report there, passed or failed.")
@click.option("--name", default="drill", show_default=True, help="The sandbox to use.")
@click.option("--keep", is_flag=True, help="Leave the sandbox up, to look into it.")
@click.option(
    "--at",
    metavar="WHEN",
    help="Not now, but on a timer of this machine's systemd: weekly, 'Sun 03:00'.",
)
@click.option("--remove", is_flag=True, help="Take the timer away again.")
@click.pass_obj
def drill(
    called: Settings,
    file: str | None,
    folder: Path | None,
    webhook: str | None,
    name: str,
    *,
    datastore: bool,
    keep: bool,
    at: str | None,
    remove: bool,
    trusted: tuple[str, ...],
    **keys: Any,
) -> None:
    """Rehearse a restore in a sandbox, and write a report of it.

    Takes the newest backup, or BUNDLE, and the repository at its head,
    rebuilds the cluster in a sandbox (with --datastore, restores its database
    there), waits for every Kustomization, and compares with what the backup
    says the cluster was. The real repository is only read; node, media
    library and deploy key are the sandbox's own. Exits with 5 when something
    failed. Needs Linux, systemd and root. Addresses other than GitHub's own
    and local files that the backup names are shown and confirmed before they
    are used.
    """
    from provision import errors
    from provision.cli.render import drills, reporter
    from provision.recovery.backup import catalog
    from provision.recovery.drill import rehearse, report
    from provision.sandbox import rehearsal

    if at is not None or remove:
        _schedule(called, file, at or "", folder, webhook, name, trusted, **keys)
        return
    where, path = bundlefiles.find(called, file)
    content = catalog.load(path)
    found = bundlefiles.unlock(called, path, content, **keys)
    bundlefiles.checked(path, found)
    called.terminal.say(f"{path.name}: {found.signed.words}")
    if datastore and not found.manifest.datastore.part:
        raise errors.ConfigError(
            "the backup has no copy of the datastore",
            [],
            hint="elysium backup --datastore makes one with it; without --datastore, the cluster "
            "is rebuilt from Git",
        )
    root = where.root if where is not None else called.directory.absolute()
    _confirm(called, found, root, trusted)
    wanted = rehearse.Wanted(
        bundle=found,
        file=path.name,
        mode="datastore" if datastore else "rebuild",
        keep=keep,
        root=root,
    )
    with stack_context.ending_well(called), reporter.of(called) as listening:
        done = rehearse.rehearse(
            wanted,
            rehearsal.Rehearsal(name),
            on_event=listening.on_event,
            progress=listening.step,
        )
    written = report.write(done, folder or root / ".elysium" / "drills")
    if called.json:
        called.terminal.event(drills.ended(done, written))
    else:
        called.terminal.out.print(drills.summary(done, written))
    if webhook:
        report.tell(done, webhook)
    if not done.passed:
        raise click.exceptions.Exit(5)


def _confirm(called: Settings, found: archive.Bundle, root: Path, trusted: tuple[str, ...]) -> None:
    """Have the addresses confirmed that the rehearsal contacts, and the files that it reads."""
    from provision import errors
    from provision.operations import node_replace
    from provision.recovery.restore import addresses, workspace

    try:
        with workspace.opened(found, node_replace.NewNode(), ask=False) as space:
            named = addresses.used_in_drill(space.named())
    except errors.ElysiumError:
        return  # the rehearsal ends at the same place, with this as its finding
    cluster = found.manifest.cluster
    bundletrust.confirm(called, named, cluster=cluster, target=root, trusted=trusted)


def _schedule(
    called: Settings,
    file: str | None,
    at: str,
    folder: Path | None,
    webhook: str | None,
    name: str,
    trusted: tuple[str, ...],
    *,
    identities: tuple[Path, ...],
    passphrase_file: Path | None,
    verify_keys: tuple[str, ...],
) -> None:
    """Have a timer rehearse with the newest backup; without `at`, take it away."""
    from provision import errors
    from provision.recovery.backup import schedule as timers

    if file is not None:
        raise click.UsageError("a timer takes the newest backup: leave BUNDLE out")
    if at and not identities and passphrase_file is None:
        raise errors.ConfigError(
            "a timer has nobody to ask for what opens a backup",
            [],
            hint="give --identity FILE, or --passphrase-file FILE",
        )
    words = ["drill", "--name", name]
    for path in identities:
        words += ["--identity", str(path.absolute())]
    for option, path in (("--passphrase-file", passphrase_file), ("--report", folder)):
        if path is not None:
            words += [option, str(path.absolute())]
    if webhook:
        words += ["--webhook", webhook]
    for key in verify_keys:
        words += ["--verify-key", str(Path(key).absolute()) if Path(key).is_file() else key]
    for address in trusted:
        words += ["--trust-address", address]
    with stack_context.stack(called) as stack:
        job = timers.job(stack, at=at, system=True, kind="drill", words=tuple(words))
        if not at:
            removed = timers.remove(job)
            called.terminal.result(
                f"{job.timer} is removed" if removed else f"there is no {job.timer}"
            )
            return
        for warning in timers.install(job):
            called.terminal.warn(warning)
    called.terminal.result(f"{job.timer} is on; next run: {timers.next_run(job)}")

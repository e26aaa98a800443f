"""``elysium drill``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from provision.cli import bundlefiles, bundlekeys, lazy, opened
from provision.cli.settings import Settings


@click.command(
    cls=lazy.Command,
    examples="""
    elysium drill                                    # the newest backup, into a sandbox
    elysium drill -i key.txt --report /srv/evidence
    elysium drill -i key.txt --webhook https://example.org/hook
    """,
)
@click.argument("file", metavar="[BUNDLE]", required=False)
@bundlekeys.opening_options
@click.option(
    "--report",
    "folder",
    metavar="DIR",
    type=click.Path(file_okay=False, path_type=Path),
    help="Where the report goes, as JSON and as a page. Default: .elysium/drills.",
)
@click.option("--webhook", metavar="URL", help="POST the JSON report there, passed or failed.")
@click.option("--name", default="drill", show_default=True, help="The sandbox to use.")
@click.option("--keep", is_flag=True, help="Leave the sandbox up, to look into it.")
@click.pass_obj
def drill(
    called: Settings,
    file: str | None,
    folder: Path | None,
    webhook: str | None,
    name: str,
    *,
    keep: bool,
    **keys: Any,
) -> None:
    """Rehearse a restore in a sandbox, and write a report of it.

    Takes the newest backup, or BUNDLE, and the repository at its head,
    rebuilds the cluster in a sandbox, waits for every Kustomization, and compares with
    what the backup says the cluster was. The real repository is only read;
    node, media library and deploy key are the sandbox's own. Exits with 5
    when something failed. Needs Linux, systemd and root.
    """
    from provision.cli.render import drills, reporter
    from provision.recovery import reading, soundness
    from provision.recovery.drill import rehearse, report

    where, path = bundlefiles.find(called, file)
    content = reading.load(path)
    found = bundlefiles.unlock(called, content, **keys)
    soundness.check(found)
    wanted = rehearse.Wanted(
        bundle=found,
        file=path.name,
        sandbox=name,
        keep=keep,
    )
    with opened.ending_well(called), reporter.of(called) as listening:
        done = rehearse.rehearse(wanted, on_event=listening.on_event, progress=listening.step)
    root = where.root if where is not None else called.directory.absolute()
    written = report.write(done, folder or root / ".elysium" / "drills")
    if called.json:
        called.terminal.event(drills.ended(done, written))
    else:
        called.terminal.out.print(drills.summary(done, written))
    if webhook:
        report.tell(done, webhook)
    if not done.passed:
        raise click.exceptions.Exit(5)

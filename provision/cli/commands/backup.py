"""``elysium backup`` and ``backup list|show|verify|extract|schedule``."""

from __future__ import annotations

import datetime
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from provision.cli import bundlefiles, bundlekeys, lazy, stack_context
from provision.cli.settings import Settings

if TYPE_CHECKING:
    from provision.recovery.bundle import signature


@click.group(
    cls=lazy.Group,
    invoke_without_command=True,
    examples="""
    elysium backup                                   # asks for a passphrase
    elysium backup --recipient age1…                 # who has the private key can open it
    elysium backup --datastore                       # with a copy of the datastore
    elysium backup verify
    elysium backup schedule --at daily
    """,
)
@click.option(
    "-r",
    "--recipient",
    "recipients",
    metavar="KEY",
    multiple=True,
    help="A public key that may open it; may be repeated. Default: backup.recipients.",
)
@bundlekeys.passphrase_option
@click.option(
    "--datastore/--no-datastore",
    default=None,
    help="With a copy of the cluster's datastore. Default: backup.datastore.",
)
@click.option(
    "--stop-k3s", is_flag=True, help="Stop k3s for the seconds that copying SQLite takes."
)
@click.option(
    "--keep",
    type=click.IntRange(min=1),
    metavar="N",
    help="Keep the newest N. Default: backup.keep.",
)
@click.option(
    "--keep-days",
    type=click.IntRange(min=0),
    metavar="DAYS",
    help="Remove older ones too; never the newest. Default: backup.keepDays.",
)
@click.pass_context
def backup(
    context: click.Context,
    recipients: tuple[str, ...],
    passphrase_file: Path | None,
    datastore: bool | None,
    stop_k3s: bool,
    keep: int | None,
    keep_days: int | None,
) -> None:
    """Make a backup, or look at those there are.

    One encrypted file holds what a rebuild needs and Git does not have: state,
    configuration and its passphrase, sealing keys, deploy key, tokens, and a
    list of what the cluster was. It is opened and compared before it counts,
    and copied to backup.copies. Volumes of the workloads are not in it.
    """
    if context.invoked_subcommand is not None:
        return
    called: Settings = context.obj
    from provision import errors
    from provision.cli.render import backups, reporter
    from provision.recovery.backup import backup as backing
    from provision.recovery.backup import catalog, collect

    with stack_context.stack(called) as stack, reporter.of(called) as listening:
        cfg = stack.config.backup
        wanted = cfg.datastore if datastore is None else datastore
        if stop_k3s and not wanted:
            raise errors.ConfigError(
                "--stop-k3s is for a copy of SQLite: give --datastore too; etcd needs no stop", []
            )
        listening.pause()
        locks = bundlekeys.locks(called, recipients or cfg.recipients, passphrase_file)
        done = backing.make(
            stack,
            locks,
            collect.Choice(datastore=wanted, stop=stop_k3s),
            keep=keep,
            days=keep_days,
            progress=listening.step,
        )
    if called.json:
        called.terminal.data(
            {
                **_entry(done.entry),
                **_signature(catalog.recorded(done.entry, signed=False)),
                "path": str(done.path),
                "seconds": done.seconds,
                "absent": list(done.manifest.absent),
                "excluded": list(done.manifest.excluded),
                "removed": list(done.removed),
            }
        )
    else:
        called.terminal.out.print(backups.made(done))


@backup.command(name="list", examples="elysium backup list")
@click.pass_obj
def list_(called: Settings) -> None:
    """List the backups of the cluster, newest last."""
    from provision.cli.render import backups
    from provision.recovery.backup import catalog

    where = catalog.shelf(called.directory, called.stack)
    rows, signed = where.rows(), where.signed()
    if called.json:
        for name, entry, here in rows:
            body = _entry(entry) if entry is not None else {"file": name}
            known = catalog.recorded(entry, signed=name in signed)
            called.terminal.data({**body, **_signature(known), "here": here})
        return
    if not rows:
        called.terminal.say("there is no backup yet: elysium backup makes one")
        return
    called.terminal.out.print(backups.listed(rows, signed, datetime.datetime.now(datetime.UTC)))


@backup.command(
    examples="""
    elysium backup show
    elysium backup show kyrion-20260301T020304Z.tar.gz.age -i key.txt
    """
)
@click.argument("file", required=False)
@bundlekeys.opening_options
@click.pass_obj
def show(called: Settings, file: str | None, **options: Any) -> None:
    """Show what is in a backup: FILE, a name from the list, or the newest.

    No secret is shown.
    """
    from provision.cli.render import backups

    _, _, found = bundlefiles.open_(called, file, **options)
    if called.json:
        described = found.manifest.model_dump(mode="json", by_alias=True)
        called.terminal.data({**described, **_signature(found.signed)})
    else:
        called.terminal.out.print(backups.shown(found))


@backup.command(
    examples="""
    elysium backup verify
    elysium backup verify --no-open      # only that it is the file that was written
    """
)
@click.argument("file", required=False)
@click.option(
    "--no-open", is_flag=True, help="Compare with what was recorded; needs neither key nor phrase."
)
@bundlekeys.opening_options
@click.pass_obj
def verify(
    called: Settings,
    file: str | None,
    no_open: bool,
    verify_keys: tuple[str, ...],
    **options: Any,
) -> None:
    """Check a backup: FILE, a name from the list, or the newest.

    Checks its signature, opens it, checks every part against its checksum,
    the datastore's copy, the sealing keys and the inventory. Exits with 3 when
    something is wrong.
    """
    from provision import errors
    from provision.recovery.backup import catalog

    where, path = bundlefiles.find(called, file)
    content = catalog.load(path)
    recorded = catalog.compare(content, where.known.find(path.name) if where else None)
    if no_open:
        if not recorded:
            raise errors.ConfigError(
                f"{path.name} was not made on this machine: there is nothing to compare it with",
                [],
                hint="open it: leave out --no-open",
            )
        checked = bundlefiles.signed(called, path, content, verify_keys)
        called.terminal.result(f"{path}: as it was written, {checked.words}; it was not opened")
        return
    found = bundlefiles.unlock(called, path, content, verify_keys=verify_keys, **options)
    bundlefiles.checked(path, found)
    if where is not None:
        catalog.mark_verified(where, content, found, path)
    if called.json:
        body = {"file": str(path), "ok": True, "created": found.manifest.created}
        called.terminal.data({**body, **_signature(found.signed)})
    else:
        called.terminal.result(f"{path}: {len(found.manifest.parts)} parts, all right")
        called.terminal.result(f"{path}: {found.signed.words}")
        for words in found.manifest.excluded:
            called.terminal.say(f"Not in it: {words}.")


@backup.command(
    examples="""
    elysium backup extract --to rescue
    elysium backup extract kyrion-20260301T020304Z.tar.gz.age secrets/sealing-keys.json --to -
    """
)
@click.argument("file", required=False)
@click.argument("parts", nargs=-1)
@click.option(
    "--to",
    type=click.Path(path_type=Path, allow_dash=True),
    required=True,
    help="A folder, made if need be; - prints one part.",
)
@bundlekeys.opening_options
@click.pass_obj
def extract(
    called: Settings, file: str | None, parts: tuple[str, ...], to: Path, **options: Any
) -> None:
    """Write parts of a backup out, unencrypted: PARTS, or all of them.

    Files are readable by you alone. Remove them when you are done.
    """
    from provision.recovery.backup import catalog

    if str(to) == "-" and len(parts) != 1:
        raise click.UsageError("--to - prints one part: name it")
    _, _, found = bundlefiles.open_(called, file, **options)
    if str(to) == "-":
        content = found.read(parts[0])
        if sys.stdout.isatty():
            called.terminal.reveal(content.decode("utf-8", "backslashreplace"))
            return
        sys.stdout.buffer.write(content)
        sys.stdout.buffer.flush()
        return
    called.terminal.say(f"The backup is {found.signed.words}.")
    for path in catalog.extract(found, parts, to):
        called.terminal.result(str(path))
    called.terminal.warn(f"what is in {to} is not encrypted: remove it when you are done")


@backup.command(
    examples="""
    elysium backup schedule
    elysium backup schedule --at 'Sun 03:00'
    elysium backup schedule --remove
    """
)
@click.option(
    "--at",
    default="daily",
    show_default=True,
    metavar="WHEN",
    help="When, as systemd.time(7) has it: daily, weekly, 'Sun 03:00'.",
)
@click.option(
    "--system/--user",
    default=None,
    help="A unit of the system or of yours. Default: root's is system.",
)
@click.option("--remove", is_flag=True, help="Take the timer away again.")
@click.pass_obj
def schedule(called: Settings, at: str, system: bool | None, remove: bool) -> None:
    """Make backups on a timer of this machine's systemd.

    Needs backup.recipients: nobody is there to type a passphrase.
    """
    from provision.recovery.backup import schedule as timers
    from provision.recovery.backup import signing

    with stack_context.stack(called) as stack:
        job = timers.job(stack, at=at, system=system)
        if remove:
            removed = timers.remove(job)
            called.terminal.result(
                f"{job.timer} is removed" if removed else f"there is no {job.timer}"
            )
            return
        cfg, root = stack.config.backup, stack.directory
        timers.check(cfg.recipients, root, stack.config.cluster, signing.of(root, cfg))
        for warning in timers.install(job):
            called.terminal.warn(warning)
    called.terminal.result(f"{job.timer} is on; next run: {timers.next_run(job)}")


def _signature(checked: signature.Checked) -> dict[str, Any]:
    return {"signature": {"state": checked.state, "fingerprint": checked.fingerprint}}


def _entry(entry: Any) -> dict[str, Any]:
    return dict(entry.model_dump(mode="json", by_alias=True))

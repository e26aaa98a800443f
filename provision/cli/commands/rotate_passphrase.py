"""``elysium rotate passphrase``."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import click

from provision.cli import lazy, running, stack_context
from provision.cli.settings import Settings
from provision.secret import Secret


@click.command(
    "passphrase",
    cls=lazy.Command,
    examples="""
    elysium rotate passphrase                               # asks, twice
    elysium rotate passphrase --generate
    pass show homelab/new | elysium rotate passphrase --yes
    elysium rotate passphrase --new-passphrase-file new.txt
    """,
)
@click.option(
    "--new-passphrase-file",
    "file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Read the new passphrase from a file. Default: asked for, or read from stdin.",
)
@click.option("--generate", is_flag=True, help="Make one up, where a file keeps it.")
@click.option("-y", "--yes", is_flag=True, help="Do it without asking.")
@click.pass_obj
def passphrase(called: Settings, file: Path | None, generate: bool, yes: bool) -> None:
    """Replace the passphrase of the stack.

    Configuration, state, history and backups are encrypted anew, and the file
    that the passphrase is read from is replaced, all in one switch: whatever
    happens meanwhile, the stack opens with the old passphrase or with the new
    one, and the next command puts the rest right. Afterwards the old one
    opens none of them. Copies elsewhere (Git's history, bundles) still open
    with it.
    """
    if file is not None and generate:
        raise click.UsageError("--generate and --new-passphrase-file exclude each other")
    if generate and "PULUMI_CONFIG_PASSPHRASE" in os.environ:
        raise click.UsageError(
            "--generate needs a file to keep it, and the passphrase is in PULUMI_CONFIG_PASSPHRASE"
        )
    running.needs_an_answer(called, yes, "whether to do it")
    from provision.cli.render import reporter
    from provision.operations.rotation import passphrase as rotation

    began = time.monotonic()
    with stack_context.stack(called) as stack:
        new = _new(called, file, generate=generate)
        called.terminal.keep_secret([new])
        typed = file is None and not generate  # twice, which is answer enough
        question = f"Replace the passphrase of {stack.ref.stack}?"
        if not yes and not typed and not called.terminal.confirm(question):
            called.terminal.say("nothing was changed")
            return
        with reporter.of(called) as listening:
            done = rotation.rotate(stack.ref, stack.passphrase, new, os.environ, listening.step)
    for path in done.left:
        called.terminal.warn(f"{path} did not open with the old passphrase and is as it was")
    where = str(done.kept_in) if done.kept_in else "PULUMI_CONFIG_PASSPHRASE"
    if called.json:
        called.terminal.event(
            {
                "event": "rotation",
                "credential": "passphrase",
                "changed": True,
                "before": "",
                "after": where,
                "seconds": round(time.monotonic() - began, 3),
            }
        )
        return
    if done.kept_in is None:
        called.terminal.warn("set PULUMI_CONFIG_PASSPHRASE to the new passphrase from now on")
        called.terminal.result(f"the new passphrase is in force in {done.files} files")
    else:
        called.terminal.result(
            f"the new passphrase is in force in {done.files} files; it is kept in {where}"
        )


def _new(called: Settings, file: Path | None, *, generate: bool) -> Secret:
    if generate:
        import secrets

        return Secret(secrets.token_urlsafe(32))
    if file is not None:
        from provision.cli import sealingkeys

        return Secret(sealingkeys.read_text(file).strip())
    if called.terminal.can_ask:
        first = called.terminal.ask("New passphrase", secret=True)
        if called.terminal.ask("Once more", secret=True) != first:
            raise click.UsageError("the two are not the same; nothing was changed")
        return Secret(first)
    return Secret(sys.stdin.read().strip())

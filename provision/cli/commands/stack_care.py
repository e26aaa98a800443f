"""``elysium stack import|unlock|repair|rename|rm``: what changes the state."""

from __future__ import annotations

import contextlib
import dataclasses
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from provision.cli import lazy, running
from provision.cli.commands.stack import state_of
from provision.cli.settings import Settings

if TYPE_CHECKING:
    from provision.engine.state import repair as mending


@click.command(
    "import",
    cls=lazy.Command,
    examples="""
    elysium stack import kyrion.json
    pulumi stack export | elysium stack import - --yes
    """,
)
@click.argument("file", type=click.Path(dir_okay=False, exists=True, allow_dash=True))
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@click.pass_obj
def import_(called: Settings, file: str, yes: bool) -> None:
    """Replace the state by the one in FILE (- is stdin).

    FILE is what export printed, or pulumi stack export. It is refused when it
    belongs to another stack, breaks a rule, or holds secrets that are not
    encrypted. The state before it stays beside it as .bak.
    """
    if file == "-" and not yes:
        raise click.UsageError("stdin holds the state, so nobody can be asked there: give --yes")
    running.needs_an_answer(called, yes, "whether to replace the state")
    from provision import errors, safejson
    from provision.engine.state import stacks

    ref = state_of(called)
    try:
        exported = safejson.loads(sys.stdin.read() if file == "-" else Path(file).read_bytes())
    except ValueError as error:
        raise errors.StackError(
            f"{file} is no JSON: {error}", operation="import", hint="elysium stack export writes it"
        ) from error
    if not isinstance(exported, dict):
        raise errors.StackError(f"{file} is no exported stack", operation="import")
    stacks.check_import(ref, exported)
    question = f"Replace the state of {ref.stack} by the one in {file}?"
    if not yes and stacks.exists(ref) and not called.terminal.confirm(question):
        called.terminal.say("nothing was changed")
        return
    stacks.import_(ref, exported)
    number = len(stacks.resources(ref))
    if called.json:
        called.terminal.data({"stack": ref.stack, "resources": number})
    else:
        called.terminal.say(
            f"the state of {ref.stack} now has {number} resources; elysium preview compares it"
        )


@click.command(cls=lazy.Command)
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@click.pass_obj
def unlock(called: Settings, yes: bool) -> None:
    """Take the stack's lock away.

    The next run does so by itself for a run that died on this computer. For
    one that was cut off elsewhere, make sure that it no longer runs.
    """
    from provision.engine.state import stacks

    ref = state_of(called)
    held = stacks.holders(ref)
    if held and not yes:
        for each in held:
            called.terminal.say(f"the stack {ref.stack} is locked by {each}")
        running.needs_an_answer(called, yes, "whether that run is over")
        if not called.terminal.confirm("Does that run no longer go on anywhere?"):
            called.terminal.say("nothing was changed")
            return
    gone = stacks.unlock(ref)
    if called.json:
        called.terminal.data({"stack": ref.stack, "unlocked": gone})
    elif not gone:
        called.terminal.say(f"the stack {ref.stack} is not locked")
    else:
        called.terminal.say(f"the stack {ref.stack} is no longer locked by {', '.join(gone)}")


@click.command(
    cls=lazy.Command,
    examples="""
    elysium stack repair --check     # only say what is wrong
    elysium stack repair             # say it, ask, mend it
    """,
)
@click.option("--check", is_flag=True, help="Only say what is wrong; exit with 7 if anything is.")
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@click.pass_obj
def repair(called: Settings, check: bool, yes: bool) -> None:
    """Explain what is wrong with the stack's state, and mend it.

    Finds every broken rule: resources twice or before what they need,
    references to what is not there, a manifest that was edited; and a file that
    cannot be read at all, for which the newest readable one before it takes
    its place. The state as it was stays beside it.
    """
    from provision import errors
    from provision.engine.state import stacks

    ref = state_of(called)
    found = stacks.mend(ref, write=False)
    for each in found if not called.json else ():
        called.terminal.result(f"- {each.message}")
        if each.remedy:
            called.terminal.result(f"  to mend it: {each.remedy}")
    broken = [each for each in found if each.blocks]
    mendable = any(each.remedy for each in broken)
    mended = False
    if mendable and not check:
        running.needs_an_answer(called, yes, "whether to mend the state")
        if yes or called.terminal.confirm("Mend it so?"):
            found = stacks.mend(ref, write=True)
            mended = True
    if called.json:
        rows = [dataclasses.asdict(each) for each in found]
        called.terminal.data({"stack": ref.stack, "findings": rows, "mended": mended})
    elif not broken:
        called.terminal.say(f"the state of {ref.stack} keeps all rules")
    elif mended:
        called.terminal.say("mended; look at elysium preview before anything else")
    left = [each for each in broken if not (mended and each.remedy)]
    if left:
        raise errors.StackError(
            f"the state of {ref.stack} is not in order",
            operation="repair",
            detail="\n".join(f"- {each.message}" for each in left) if mended else "",
            hint=_next_step(left, check=check),
        )


def _next_step(left: list[mending.Finding], *, check: bool) -> str:
    if check and any(each.remedy for each in left):
        return "elysium stack repair mends it"
    return "what has no remedy here needs an older state: elysium stack import puts one in place"


@click.command(
    cls=lazy.Command,
    examples="""
    elysium stack rename homelab
    elysium stack rename --stack kyrion homelab
    """,
)
@click.argument("name")
@click.pass_obj
def rename(called: Settings, name: str) -> None:
    """Give the stack, and with it the cluster, the name NAME.

    Renames Pulumi.<cluster>.yaml, the state with its history, and the
    passphrase's file. The cluster itself is left alone; the next up gives the
    deploy key and the kubeconfig the new name.
    """
    from provision.operations import rename

    done = rename.rename(called.directory, called.stack, name)
    if called.json:
        called.terminal.data({"stack": name, "done": list(done)})
        return
    for each in done:
        called.terminal.say(each)


@click.command(
    cls=lazy.Command,
    examples="""
    elysium destroy && elysium stack rm
    elysium stack rm --stack old --force
    """,
)
@click.option("--force", is_flag=True, help="Forget resources that are still there.")
@click.option("-y", "--yes", is_flag=True, help="Do not ask for the stack's name.")
@click.pass_obj
def rm(called: Settings, force: bool, yes: bool) -> None:
    """Remove the stack's state and history.

    Refuses while the state has resources: destroy them first. With --force they
    are forgotten and go on running. Pulumi.<cluster>.yaml stays.
    """
    running.needs_an_answer(called, yes, "for the stack's name")
    from provision.engine.state import stacks

    ref = state_of(called)
    terminal = called.terminal
    with contextlib.suppress(Exception):  # a broken state has no number to show
        left = len(stacks.resources(ref))
        if left and force:
            terminal.warn(f"{left} resources are forgotten and go on running")
    if not yes and terminal.ask(f"Type the stack's name ({ref.stack}) to go on") != ref.stack:
        raise click.UsageError(f"that is not {ref.stack}; nothing was changed")
    stacks.remove(ref, force=force)
    if called.json:
        terminal.data({"stack": ref.stack, "removed": True})
    else:
        terminal.say(f"the state of {ref.stack} is gone; Pulumi.{ref.stack}.yaml stays")

"""``elysium stack ls|history|graph|export``: what only looks."""

from __future__ import annotations

import dataclasses
import datetime
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from provision.cli import lazy
from provision.cli.commands.stack import state_of
from provision.cli.settings import Settings
from provision.fileio import atomic

if TYPE_CHECKING:
    from provision.engine.state.stacks import StackInfo


@click.command(
    cls=lazy.Command,
    examples="""
    elysium stack ls
    elysium stack ls --json | jq '.[] | select(.problem != "")'
    """,
)
@click.pass_obj
def ls(called: Settings) -> None:
    """List the stacks: configured, brought up, locked, broken."""
    from provision import config_file
    from provision.engine.state import stacks

    project = config_file.find_project(called.directory)
    found = stacks.ls(project.backend, project.root)
    known = {each.stack for each in found if each.project == project.name}
    waiting = [name for name in project.stacks() if name not in known]
    if called.json:
        rows = [dataclasses.asdict(each) for each in found]
        rows += [_not_up(project.name, name) for name in waiting]
        called.terminal.data([{**row, "updated": _iso(row["updated"])} for row in rows])
        return
    if not found and not waiting:
        called.terminal.say("there is no stack; elysium init writes one")
    for each in found:
        called.terminal.result(_line(each, project.name))
    for name in waiting:
        called.terminal.result(f"{name}  not brought up yet")


def _not_up(project: str, name: str) -> dict[str, Any]:
    row: dict[str, Any] = {"project": project, "stack": name, "resources": 0}
    return row | {"updated": None, "locked_by": "", "problem": ""}


def _line(each: StackInfo, project: str) -> str:
    name = each.stack if each.project == project else f"{each.project}/{each.stack}"
    parts = [name, each.problem or f"{each.resources} resources"]
    if each.updated is not None:
        parts.append(f"changed {each.updated.astimezone():%Y-%m-%d %H:%M}")
    if each.locked_by:
        parts.append(f"locked by {each.locked_by}")
    return "  ".join(parts)


@click.command(
    cls=lazy.Command,
    examples="""
    elysium stack export --output kyrion.json
    elysium stack export | jq '.deployment.resources[].urn'
    """,
)
@click.option("--output", "-o", "target", metavar="FILE", help="Write it to FILE, not to stdout.")
@click.option("--show-secrets", is_flag=True, help="With the secrets in plain text.")
@click.pass_obj
def export(called: Settings, target: str | None, show_secrets: bool) -> None:
    """Print the state as JSON, as pulumi stack export does.

    Secrets stay encrypted, unless --show-secrets; what holds them in plain
    text cannot be imported again.
    """
    from provision import config_file
    from provision.engine.state import stacks

    ref = state_of(called)
    passphrase = None
    if show_secrets:
        passphrase = config_file.find_passphrase(ref.root, ref.stack, os.environ)
    text = json.dumps(stacks.export(ref, passphrase), ensure_ascii=False, indent=4)
    if target is None:
        called.terminal.reveal(text)
        return
    atomic.write(Path(target), text + "\n")
    if called.json:
        called.terminal.data({"file": target})
    else:
        called.terminal.say(f"the state of {ref.stack} is in {target}")


@click.command(
    cls=lazy.Command,
    examples="""
    elysium stack history
    elysium stack history --json | jq '.[] | select(.ok | not)'
    """,
)
@click.option("--limit", metavar="N", type=click.IntRange(min=1), help="Only the last N runs.")
@click.pass_obj
def history(called: Settings, limit: int | None) -> None:
    """List the runs of the stack, the newest first."""
    from provision.cli.render import plan
    from provision.engine.state import stacks

    found = stacks.history(state_of(called))[:limit]
    if called.json:
        rows = [dataclasses.asdict(each) for each in found]
        called.terminal.data([{**row, "started": _iso(row["started"])} for row in rows])
        return
    if not found:
        called.terminal.say("nothing was run yet")
    for each in found:
        when = f"{each.started.astimezone():%Y-%m-%d %H:%M}"
        ended = plan.counts(each.changes, planned=False).plain if each.ok else "failed"
        about = f"  {each.message}" if each.message else ""
        called.terminal.result(f"{when}  {each.kind:<8} {each.seconds:>4}s  {ended}{about}")


@click.command(
    cls=lazy.Command,
    examples="""
    elysium stack graph
    elysium stack graph --format svg --output kyrion.svg
    elysium stack graph --format dot | dot -Tpng > kyrion.png
    """,
)
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "dot", "svg"]),
    default="text",
    show_default=True,
    help="A tree, a graph for Graphviz, or a picture.",
)
@click.option("--output", "-o", "target", metavar="FILE", help="Write it to FILE, not to stdout.")
@click.pass_obj
def graph(called: Settings, form: Any, target: str | None) -> None:
    """Show the stack's resources and what they depend on.

    In the tree a resource stands below its parent; what it depends on is named
    behind <-. With --json: a list of resources with urn, parent and needs.
    """
    from provision.engine.state import stacks

    ref = state_of(called)
    if called.json:
        called.terminal.data([dataclasses.asdict(each) for each in stacks.resources(ref)])
        return
    text = stacks.draw(ref, form)
    if target is None:
        called.terminal.result(text.rstrip("\n"))
        return
    atomic.write(Path(target), text, mode=None)
    called.terminal.say(f"the graph of {ref.stack} is in {target}")


def _iso(moment: datetime.datetime | None) -> str | None:
    return moment.isoformat(timespec="seconds") if moment is not None else None

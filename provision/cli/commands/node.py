"""``elysium node``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from provision.cli import lazy, node_prompts, stack_context
from provision.cli.settings import Settings

if TYPE_CHECKING:
    from provision.operations.node_replace import Inventory, NewNode
    from provision.operations.stack import Stack


@click.group(
    cls=lazy.Group,
    examples="""
    elysium node replace --host 192.168.1.11
    """,
)
def node() -> None:
    """Put another machine in the place of a lost one."""


@node.command(
    cls=lazy.Command,
    examples="""
    elysium node replace                              # same address, installed anew
    elysium node replace --host 192.168.1.11          # another address
    elysium node replace --host node.lan --host-key SHA256:… --yes
    """,
)
@node_prompts.options
@click.option("-y", "--yes", is_flag=True, help="Do it without asking; needs --host-key.")
@click.pass_obj
def replace(called: Settings, confirm: str | None, yes: bool, **given: Any) -> None:
    """Take a fresh machine for a lost node.

    Shows the new machine's host key and pins it, logs in to it once, and
    drops from the state what was lost with the old one: k3s and everything in
    its cluster. The deploy key stays. Deletes nothing anywhere; elysium up
    then builds the cluster on the new machine. While the old cluster still
    answers, its name has to be typed first.
    """
    from provision.cli.render import reporter
    from provision.operations import node_replace

    new = node_prompts.given(called, **given)
    if not yes and not called.terminal.can_ask:
        raise click.UsageError("there is no terminal to ask on: give --yes to go on without asking")
    with stack_context.stack(called) as stack, reporter.of(called) as listening:
        listening.step("asking whether the old cluster still answers")
        alive = node_replace.living(stack)
        found = node_replace.inventory(stack)
        listening.pause()
        node_prompts.refuse_living(called, stack.config.cluster, alive, confirm)
        new = node_prompts.pinned(called, stack.config.server, new)
        listening.step("logging in to the new machine")
        node_replace.prove(stack, new)
        listening.pause()
        _show(called, stack, new, found)
        if not yes and not called.terminal.confirm("Pin the machine and drop these?"):
            called.terminal.say("nothing was changed")
            return
        changed = node_replace.pin(stack, new)
        dropped = node_replace.forget(stack)
    if called.json:
        called.terminal.data(
            {
                "cluster": stack.config.cluster,
                "changed": list(changed),
                "dropped": [each.urn for each in dropped],
                "kept": [each.urn for each in found.kept],
            }
        )
        return
    called.terminal.result(
        f"{new.of(stack.config.server).host} takes the place of the lost node; "
        f"{len(dropped)} objects were dropped from the state"
    )
    called.terminal.say("Now build the cluster on it:\n  elysium up")


def _show(called: Settings, stack: Stack, new: NewNode, found: Inventory) -> None:
    say, old = called.terminal.say, stack.config.server
    host = new.of(old).host
    moved = f"{old.host} -> {host}" if host != old.host else f"{host}, at the same address"
    say(f"The new machine: {moved}")
    if found.lost:
        say("Lost with the old one, and dropped from the state (nothing is deleted anywhere):")
        for each in found.lost:
            say(f"  - {each.name}  {each.type}")
    else:
        say("The state remembers nothing of a lost cluster.")
    if found.kept:
        say("Kept:")
        for each in found.kept:
            say(f"  - {each.name}  {each.type}")
    say("Volumes of workloads were on the old machine's disk and are not brought back.")

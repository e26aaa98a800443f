"""``elysium stack``: the group; its commands are in `stack_look` and `stack_care`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from provision.cli import lazy
from provision.cli.settings import Settings

if TYPE_CHECKING:
    from provision.engine import api

_LOOK = "provision.cli.commands.stack_look"
_CARE = "provision.cli.commands.stack_care"

COMMANDS = {
    "ls": (f"{_LOOK}:ls", "List the stacks: configured, brought up, locked, broken."),
    "history": (f"{_LOOK}:history", "List the runs of the stack, the newest first."),
    "graph": (f"{_LOOK}:graph", "Show the stack's resources and what they depend on."),
    "export": (f"{_LOOK}:export", "Print the state as JSON, as pulumi stack export does."),
    "import": (f"{_CARE}:import_", "Replace the state by the one in FILE (- is stdin)."),
    "unlock": (f"{_CARE}:unlock", "Take the stack's lock away."),
    "repair": (f"{_CARE}:repair", "Explain what is wrong with the stack's state, and mend it."),
    "rename": (f"{_CARE}:rename", "Give the stack, and with it the cluster, the name NAME."),
    "rm": (f"{_CARE}:rm", "Remove the stack's state and history."),
}


@click.group(
    cls=lazy.Group,
    lazy=COMMANDS,
    examples="""
    elysium stack ls
    elysium stack graph --format svg --output kyrion.svg
    elysium stack repair
    """,
)
def stack() -> None:
    """Look into the stacks' state, and mend, move or remove it.

    The state says what up made, in the folder that backend.url of Pulumi.yaml
    names. No node, GitHub or cluster is contacted.
    """


def state_of(called: Settings) -> api.StackRef:
    """Return the state that the options name. Needs no passphrase."""
    from provision.operations import rename

    return rename.find_state(called.directory, called.stack)

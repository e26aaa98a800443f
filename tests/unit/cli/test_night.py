"""The page for the night names commands and options that there are."""

from __future__ import annotations

import click

from provision.cli import main
from tests.support import night


def test_every_command_of_the_page_is_understood() -> None:
    found = night.commands()
    assert len(found) >= 9
    for arguments in found:
        given = list(arguments)
        command: click.Command = main.cli
        context = click.Context(command, info_name="elysium")
        while isinstance(command, click.Group) and given:
            inner = command.get_command(context, given[0])
            if inner is None:
                break
            command, context = inner, click.Context(inner, parent=context, info_name=given.pop(0))
        command.parse_args(context, given)


def test_the_three_decisions_are_there() -> None:
    named = {arguments[:2] for arguments in night.commands()}
    assert ("up",) in named and ("node", "replace") in named and ("restore", "BUNDLE") in named

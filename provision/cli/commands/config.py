"""``elysium config show|set|validate``."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import click

from provision.cli import lazy
from provision.cli.settings import Settings

if TYPE_CHECKING:
    from provision.config_file import Project


@click.group(
    cls=lazy.Group,
    examples="""
    elysium config show
    elysium config set k3s.version v1.36.4+k3s1
    elysium config set --secret github.token
    elysium config validate
    """,
)
def config() -> None:
    """Show, change or check the configuration.

    It is the file Pulumi.<cluster>.yaml, which can be edited by hand as well.
    docs/configuration.md explains every key.
    """


@config.command(
    examples="""
    elysium config show
    elysium config show --json | jq .k3s
    """
)
@click.pass_obj
def show(called: Settings) -> None:
    """Print the configuration with all its defaults; secrets as ***.

    A comment says where each value comes from: the stack's file and line, the
    SSH client configuration, or a default.
    """
    from provision.cli import config_sources

    project, stack = _stack(called)
    sources = config_sources.Sources(project.stack_file(stack))
    if called.json:
        called.terminal.data(sources.values)
    else:
        called.terminal.result(sources.text())


def _keys(_context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[str]:
    from provision.config_file import schema

    names = [key.name.replace("[]", "[0]") for key in schema.every() if "*" not in key.path]
    return [name for name in names if name.startswith(incomplete)]


@config.command(
    "set",
    examples="""
    elysium config set nodes[0].host 192.168.1.11
    elysium config set k3s.disable traefik,servicelb
    elysium config set --secret media.remote.key        # asks, and shows nothing
    elysium config set --secret github.token < token    # or reads it
    """,
)
@click.argument("key", shell_complete=_keys)
@click.argument("value", required=False)
@click.option("--secret", is_flag=True, help="Ask for the value, or read it from stdin; encrypt.")
@click.pass_obj
def set_(called: Settings, key: str, value: str | None, secret: bool) -> None:
    """Set KEY to VALUE, keeping your comments.

    A key is a path such as k3s.version, nodes[0].host or media.remote.account.
    Without VALUE it is asked for, or read from stdin. A secret never goes on
    the command line, where others could see it.
    """
    from provision import config_file

    if secret and value is not None:
        raise click.UsageError(
            "a secret does not go on the command line, which others can see: leave VALUE out"
        )
    project, stack = _stack(called)
    config_file.set_value(
        project.stack_file(stack),
        key,
        _given(called, key, secret) if value is None else value,
        secret=secret,
        crypter=config_file.stack_crypter(project, stack, os.environ),
    )
    called.terminal.say(f"{key} is set in Pulumi.{stack}.yaml")


@config.command()
@click.pass_obj
def validate(called: Settings) -> None:
    """Check the configuration and list every problem in it.

    Contacts nothing. Encrypted values are opened too if the passphrase is at
    hand.
    """
    from provision import config_file, errors

    project, stack = _stack(called)
    path = project.stack_file(stack)
    crypter = None
    try:
        config_file.find_passphrase(project.root, stack, os.environ)
        crypter = config_file.stack_crypter(project, stack, os.environ)
    except errors.StackError as missing:
        called.terminal.say(f"encrypted values are not checked: {missing.summary}")
    loaded = config_file.read(path, crypter)
    warnings = [str(warning) for warning in loaded.warnings]
    if called.json:
        called.terminal.data({"file": str(path), "ok": True, "warnings": warnings})
        return
    for warning in warnings:
        called.terminal.warn(warning)
    called.terminal.result(f"{path.name} is right")


def _stack(called: Settings) -> tuple[Project, str]:
    from provision import config_file

    project = config_file.find_project(called.directory)
    return project, project.choose(called.stack)


def _given(called: Settings, key: str, secret: bool) -> str:
    """Return the value that was not on the command line."""
    if called.terminal.can_ask:
        return called.terminal.ask(key, secret=secret)
    text = sys.stdin.read()
    text = text.removesuffix("\n").removesuffix("\r")
    if not text:
        raise click.UsageError(f"nothing was given for {key}, neither VALUE nor on stdin")
    return text

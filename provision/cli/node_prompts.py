"""What ``node replace`` and ``restore`` ask of a new machine, and whether the old one lives."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from provision.cli.settings import Settings

if TYPE_CHECKING:
    from provision import config
    from provision.operations.node_replace import NewNode


def options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add how the new machine is reached, and ``--confirm``."""
    for option in reversed(
        (
            click.option("--host", metavar="HOST", help="The new machine's name or address."),
            click.option(
                "--host-key", metavar="FINGERPRINT", help="Its host key or SHA256 fingerprint."
            ),
            click.option(
                "--user", metavar="USER", help="Who logs in there: root, or who may use sudo."
            ),
            click.option(
                "--port", type=click.IntRange(1, 65535), help="Where its SSH server listens."
            ),
            click.option("--identity-file", metavar="FILE", help="A private key that it takes."),
            click.option(
                "--confirm", metavar="NAME", help="The cluster's name: goes on though it answers."
            ),
        )
    ):
        function = option(function)
    return function


def given(called: Settings, *, host_key: str | None, **more: Any) -> NewNode:
    """Return the new machine as the options say. Raises `click.UsageError`."""
    from provision.cli import init_prompts
    from provision.operations import node_replace

    if more.get("host"):
        host, user, port = init_prompts.split(more["host"], more.get("user"), more.get("port"))
        more |= {"host": host, "user": user, "port": port}
    new = node_replace.NewNode(host_key=init_prompts.checked_key(host_key or "") or None, **more)
    if new.host_key is None and not called.terminal.can_ask:
        raise click.UsageError("there is nobody to compare the host key: give --host-key")
    return new


def refuse_living(called: Settings, cluster: str, alive: str, confirm: str | None) -> None:
    """Go on over a cluster that answers only where its name was typed."""
    if not alive:
        return
    called.terminal.warn(alive)
    called.terminal.say("Whatever only that cluster has would be left behind on the old machine.")
    if confirm is None and called.terminal.can_ask:
        confirm = called.terminal.ask(f"Type the cluster's name ({cluster}) to go on")
    if confirm is None:
        raise click.UsageError(
            f"{alive}; nothing was changed: turn it off, or give --confirm {cluster}"
        )
    if confirm != cluster:
        raise click.UsageError(f"that is not {cluster}; nothing was changed")


def pinned(called: Settings, old: config.Node, new: NewNode) -> NewNode:
    """Return `new` with a host key: the given one, or the one that is shown and confirmed."""
    from provision.operations import node_replace

    if new.host_key is not None:
        return new
    shown = node_replace.scan(old, new)
    host, terminal = new.of(old).host, called.terminal
    terminal.say(f"{host} shows the host key\n  {shown.type} {shown.fingerprint}")
    terminal.say(
        "To compare, on the new machine itself:\n"
        "  for key in /etc/ssh/ssh_host_*.pub; do ssh-keygen -lf $key; done"
    )
    if not terminal.confirm("Is this the right machine?", default=False):
        raise click.Abort
    return dataclasses.replace(new, host_key=shown.line)

"""``elysium sandbox up|down|status|replace-node|ssh|build``."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from provision.cli import lazy, stack_context
from provision.cli.settings import Settings

if TYPE_CHECKING:
    from provision.sandbox.lifecycle import Status
    from provision.sandbox.model import Sandbox
    from provision.sandbox.services import Parts


def _names(_context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[str]:
    from provision.sandbox import lifecycle

    return [name for name in lifecycle.names() if name.startswith(incomplete)]


def _name(function: Callable[..., Any]) -> Callable[..., Any]:
    return click.option(
        "--name",
        default="default",
        show_default=True,
        shell_complete=_names,
        help="Which sandbox; several can run side by side.",
    )(function)


parts_option = click.option(
    "--parts",
    type=click.Choice(("auto", "official", "built")),
    default="auto",
    show_default=True,
    help="The official k3s, Flux and rclone, or programs that are built here.",
)


@click.group(
    cls=lazy.Group,
    examples="""
    elysium sandbox up
    elysium sandbox ssh
    elysium sandbox down
    """,
)
def sandbox() -> None:
    """A throwaway node and GitHub to try it on.

    A Debian machine in a container, a stand-in for GitHub with real git over
    SSH, and an Azure Blob emulator, on a network of their own on this
    computer. Needs Linux, systemd and root.
    """


@sandbox.command()
@_name
@click.option("--fresh", is_flag=True, help="Start anew, also if it is up and well.")
@click.option("--gpu/--no-gpu", default=True, help="Whether the node has an Intel GPU.")
@parts_option
@click.option(
    "--releases",
    metavar="DIR",
    type=click.Path(file_okay=False, exists=True, path_type=Path),
    help="A folder laid out as the releases' hosts are, instead of these.",
)
@click.pass_obj
def up(
    called: Settings,
    name: str,
    fresh: bool,
    gpu: bool,
    parts: Parts,
    releases: Path | None,
) -> None:
    """Start a sandbox, or leave it as it is when it is up.

    What an earlier one left behind is removed first.

    Its k3s, Flux and rclone are the official releases where their hosts
    answer within three seconds: they are downloaded, and container images
    come through a proxy on this computer. Else stand-ins and Kubernetes
    programs are built, which takes minutes the first time.
    """
    if releases is not None and parts == "built":
        raise click.UsageError("--releases does not go with --parts built")
    from provision.cli.render import reporter
    from provision.sandbox import lifecycle

    with stack_context.ending_well(called), reporter.of(called) as listening:
        options = lifecycle.Options(gpu=gpu, parts=parts, releases=releases)
        made = lifecycle.up(name, options, listening.step, fresh=fresh)
    if called.json:
        called.terminal.data(made.model_dump(mode="json", by_alias=True))
        return
    _show_parts(called, made)
    more = "" if name == "default" else f" --name {name}"
    called.terminal.say(f"To look inside:   elysium sandbox ssh{more}")
    called.terminal.say(f"To take it down:  elysium sandbox down{more}")


@sandbox.command()
@_name
@click.option("--all", "all_", is_flag=True, help="Every sandbox of this user.")
@click.pass_obj
def down(called: Settings, name: str, all_: bool) -> None:
    """Take a sandbox down, with everything in it."""
    from provision.cli.render import reporter
    from provision.sandbox import lifecycle

    with stack_context.ending_well(called), reporter.of(called) as listening:
        for each in lifecycle.names() if all_ else (name,):
            there = lifecycle.down(each, listening.step)
            listening.pause()
            if called.json:
                called.terminal.data({"name": each, "removed": there})
            else:
                called.terminal.say(
                    f"sandbox {each} is gone" if there else f"there is no sandbox {each}"
                )


@sandbox.command()
@click.option("--name", shell_complete=_names, help="Which sandbox. Default: all there are.")
@click.pass_obj
def status(called: Settings, name: str | None) -> None:
    """Say which sandboxes there are, what answers, and what is real in them."""
    from provision import errors
    from provision.sandbox import lifecycle

    found = [lifecycle.status(each) for each in ([name] if name else lifecycle.names())]
    if name and found == [None]:
        raise errors.ElysiumError(
            f"there is no sandbox {name}", hint=f"elysium sandbox up --name {name} starts one"
        )
    there = [each for each in found if each is not None]
    if called.json:
        called.terminal.data([_as_json(each) for each in there])
        return
    if not there:
        called.terminal.say("there is no sandbox; elysium sandbox up starts one")
    for each in there:
        health = "is up" if each.healthy else "is not whole: elysium sandbox up starts it anew"
        called.terminal.result(f"sandbox {each.name} {health}")
        for service in each.services:
            sign = "✓" if service.answers else "✗"
            called.terminal.result(f"  {sign} {service.service:<8} {service.where}")
        if each.sandbox is not None:
            _show_parts(called, each.sandbox)


@sandbox.command("replace-node")
@_name
@click.option("--hostname", default="", help="What the new machine calls itself.")
@click.pass_obj
def replace_node(called: Settings, name: str, hostname: str) -> None:
    """Lose the node with its disk, and set up an empty one.

    As when a machine dies: what was on it is gone, and the new one has another
    address and host key. GitHub and the media library stay as they are. To
    rehearse: elysium node replace, elysium restore.
    """
    from provision.cli.render import reporter
    from provision.sandbox import renewal

    with stack_context.ending_well(called), reporter.of(called) as listening:
        made = renewal.replace_node(name, listening.step, hostname=hostname)
    if called.json:
        called.terminal.data(made.model_dump(mode="json", by_alias=True))
        return
    _show_parts(called, made)
    fingerprint = _fingerprint(made)
    called.terminal.say(
        "On a cluster that was on the old node:\n"
        f"  elysium node replace --host {made.node.host} --host-key {fingerprint}"
    )


@sandbox.command(context_settings={"ignore_unknown_options": True})
@_name
@click.option("--user", default="", help="Log in as another user than root.")
@click.argument("command", nargs=-1, type=click.UNPROCESSED)
@click.pass_obj
def ssh(called: Settings, name: str, user: str, command: tuple[str, ...]) -> None:
    """Log in to the sandbox's node, or run COMMAND on it."""
    from provision import errors
    from provision.sandbox import lifecycle, node

    argv = node.ssh_argv(lifecycle.load(name).node, *command, user=user)
    try:
        os.execvp(argv[0], argv)  # noqa: S606 - ssh takes over the terminal
    except FileNotFoundError:
        raise errors.ElysiumError(
            "there is no ssh program here", hint="apt install openssh-client"
        ) from None


@sandbox.command()
@click.pass_obj
def build(called: Settings) -> None:
    """Build what sandboxes are made of, and start none.

    Root file system, Kubernetes and Flux programs, object store: once, into
    the cache, as the first sandbox up would.
    """
    from provision.cli.render import reporter
    from provision.sandbox import lifecycle

    with stack_context.ending_well(called), reporter.of(called) as listening:
        seconds = lifecycle.prepare(listening.step)
    if called.json:
        called.terminal.data(seconds)
        return
    for part, took in seconds.items():
        called.terminal.result(f"{part}: {took:.1f}s")


def _fingerprint(made: Sandbox) -> str:
    from provision.host import hostkey

    return hostkey.parse_pin(made.node.host_key).fingerprint


def _show_parts(called: Settings, made: Sandbox) -> None:
    put = called.terminal.result
    put(f"  node     ssh {made.node.user}@{made.node.host} -p {made.node.port}")
    if made.forge is not None:
        put(f"  GitHub   {made.forge.api}, repository {made.forge.owner}/{made.forge.repository}")
    if made.azure is not None:
        put(f"  Azure    {made.azure.endpoint}, container {made.azure.container}")
    if made.registry is not None:
        put(f"  registry {made.registry.address}")
    put("  real:       " + ", ".join(part.part for part in made.real))
    put("  stood in:   " + ", ".join(part.part for part in made.stood_in))


def _as_json(found: Status) -> dict[str, Any]:
    return {
        "name": found.name,
        "healthy": found.healthy,
        "services": [
            {"service": s.service, "where": s.where, "answers": s.answers} for s in found.services
        ],
        "sandbox": found.sandbox.model_dump(mode="json", by_alias=True) if found.sandbox else None,
    }

"""``elysium engine``: the programs of the upstream engine."""

from __future__ import annotations

import click

from provision.cli import lazy, stack_context
from provision.cli.settings import Settings


@click.group(
    cls=lazy.Group,
    examples="""
    elysium engine install
    """,
)
def engine() -> None:
    """Install Pulumi's own engine, for --engine upstream.

    The default engine is part of elysium and needs none of this.
    """


@engine.command(
    cls=lazy.Command,
    examples="""
    elysium engine install
    elysium engine install --mirror /mnt/mirror
    elysium up --engine upstream
    """,
)
@click.option(
    "--mirror",
    metavar="DIR|URL",
    help="Take the downloads from here. Default: artifacts.mirror of the cluster, if any.",
)
@click.pass_obj
def install(called: Settings, mirror: str | None) -> None:
    """Download the pulumi program and its kubernetes plugin.

    Both are of the versions that belong to the Pulumi SDK that elysium uses.
    Each is checked against the checksums of its release, and against pins.json
    of the cluster whose folder this is. Run it again at any time: what is in
    place stays. Needs no passphrase; contacts no node and no cluster.
    """
    from provision.cli.render import reporter
    from provision.operations import engine_install

    with stack_context.ending_well(called), reporter.of(called) as listening:
        where = engine_install.sources(called.directory, called.stack, mirror or "")
        done = engine_install.install(where, listening.step)
    if called.json:
        called.terminal.data(
            {
                "programs": [
                    {
                        "name": each.name,
                        "version": each.version,
                        "path": str(each.path),
                        "changed": each.changed,
                    }
                    for each in done
                ]
            }
        )
        return
    for each in done:
        state = "installed" if each.changed else "is there already"
        called.terminal.say(f"{each.name} {each.version} {state}: {each.path}")
    called.terminal.say("elysium uses them with --engine upstream.")

"""``elysium kubeconfig``."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from provision.cli import lazy, stack_context
from provision.cli.settings import Settings

if TYPE_CHECKING:
    from provision.operations.stack import Stack


def _advise(called: Settings, stack: Stack, text: str) -> None:
    """Say that the kubeconfig works only through a tunnel, where that is so."""
    from provision import errors
    from provision.operations import tunnel

    try:
        advice = tunnel.advice(stack, text)
    except errors.ElysiumError:
        return  # what is wrong is told where it is needed
    if advice is None:
        return
    called.terminal.warn(
        f"{advice.address} does not answer from here: this kubeconfig works only through a tunnel."
        f" Keep this running:\n  {advice.ssh}\nand use:\n  kubectl --server {advice.server} …"
    )


@click.command(
    cls=lazy.Command,
    examples="""
    elysium kubeconfig --merge       # then: kubectl --context kyrion get pods -A
    elysium kubeconfig > kyrion.yaml
    """,
)
@click.option("--merge", is_flag=True, help="Add it to $KUBECONFIG or ~/.kube/config.")
@click.option("--context", metavar="NAME", help="What to call it. Default: the cluster's name.")
@click.option("--use/--no-use", default=False, help="With --merge: make it the current context.")
@click.pass_obj
def kubeconfig(called: Settings, merge: bool, context: str | None, use: bool) -> None:
    """Print or merge the kubeconfig.

    Merging replaces entries of the same name from an earlier cluster, leaves
    all others and your comments alone, and keeps the file as it was beside it.
    From then on up keeps the entries true, also after a rebuild.
    """
    if use and not merge:
        raise click.UsageError("--use goes with --merge")
    from provision import config_file
    from provision.cli import kubeconfigs, merged_kubeconfigs
    from provision.operations import status

    with stack_context.stack(called) as stack:
        text = status.kubeconfig(stack)
        cluster = stack.config.cluster
        _advise(called, stack, text)
    name = context or cluster
    named = kubeconfigs.renamed(text, name)
    if not merge:
        called.terminal.reveal(kubeconfigs.dump(named), newline=False)
        return
    path = kubeconfigs.target(os.environ, Path.home())
    result = kubeconfigs.merge(path, named, name, use=use)
    merged_kubeconfigs.remember(
        config_file.find_project(called.directory).root, cluster, path, name
    )
    if called.json:
        called.terminal.data(
            {"file": str(path), "context": name, "changed": result.changed}
            | ({"backup": str(result.backup)} if result.backup else {})
        )
        return
    if not result.changed:
        called.terminal.say(f"{path} has this context {name} already")
    elif result.backup:
        called.terminal.say(f"{path} as it was is in {result.backup}")
    called.terminal.result(f"kubectl --context {name} --kubeconfig {path} get nodes")

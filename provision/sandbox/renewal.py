"""A node is lost, and an empty one comes in its place: what a recovery starts from.

As when a machine died and another was set up: nothing of the old root file
system is left, address, host key and machine id are new. Or as when its disk
was saved: `move_node`. The forge, the media library and their addresses are
what they were.
"""

from __future__ import annotations

from pathlib import Path

from provision import progress
from provision.sandbox import build, lifecycle, model, mounts, network, node, processes, services


def lose_node(name: str, say: progress.Progress = progress.silent) -> None:
    """End the node of the sandbox `name` as a power cut does, and delete its disk.

    Raises:
        errors.ElysiumError: when there is no such sandbox, or something in it does not end.
    """
    with lifecycle.held(name, say):
        _lose(lifecycle.load(name), say)


def replace_node(
    name: str,
    say: progress.Progress = progress.silent,
    *,
    hostname: str = "",
    moved: bool = True,
) -> model.Sandbox:
    """Put an empty node in the place of the one of the sandbox `name`; return the sandbox.

    The old one, if it still runs, is lost first. `hostname` is what the new
    machine calls itself; by default as the old one did. It has another address
    unless `moved` is false.

    Raises:
        errors.ElysiumError: when there is no such sandbox, or the node does not come up:
            then run it again.
    """
    with lifecycle.held(name, say):
        before = lifecycle.load(name)
        _lose(before, say)
        return _boot(before, hostname or before.node.hostname, say, moved=moved)


def move_node(
    name: str, say: progress.Progress = progress.silent, *, moved: bool = True
) -> model.Sandbox:
    """Cut the node's power, and boot its disk again at another address; return the sandbox.

    At the same one unless `moved`.

    Raises:
        errors.ElysiumError: when there is no such sandbox, or the node does not come up.
    """
    with lifecycle.held(name, say):
        before = lifecycle.load(name)
        say(f"sandbox {name}: the node loses its power, and keeps its disk")
        _cut_power(before)
        return _boot(before, before.node.hostname, say, moved=moved, kept=before.node)


def _boot(
    before: model.Sandbox,
    hostname: str,
    say: progress.Progress,
    *,
    moved: bool,
    kept: model.Node | None = None,
) -> model.Sandbox:
    name = before.name
    folder = lifecycle.folder_of(name)
    net = network.Network(
        name=name, number=before.number, place=int(before.node.host.rpartition(".")[2])
    )
    network.forget_node(net)
    if moved:
        net = network.move_node(net)
    whole = before.forge is not None and not before.real_k3s
    built = build.ensure(say) if whole else None
    options = node.Options(
        hostname=hostname,
        gpu=before.gpu,
        binds=services.node_binds(built),
        kubelet=before.real_k3s,
        **services.node_names(net, built if before.charts else None),
    )
    group = processes.Group.of(name)
    made, process = node.start(net, group, folder / "node", options, say, kept=kept)
    running = processes.load(folder / lifecycle.PROCESSES)
    processes.save(folder / lifecycle.PROCESSES, {**running, "node": process})
    sandbox = before.model_copy(update={"node": made})
    model.save(sandbox, lifecycle.file_of(name))
    return sandbox


def _lose(sandbox: model.Sandbox, say: progress.Progress) -> None:
    say(f"sandbox {sandbox.name}: the node is lost, with its disk")
    _cut_power(sandbox)
    mounts.remove_tree(lifecycle.folder_of(sandbox.name) / "node")


def _cut_power(sandbox: model.Sandbox) -> None:
    group = processes.Group.of(sandbox.name)
    # The loop first: it would boot the node again.
    for part in ("loop", "node"):
        group.only(part).kill()
    mounts.remove_tree(Path("/run/systemd/nspawn/propagate") / network.namespace_of(sandbox.name))

"""What runs beside the node, on this machine's side of its network."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypedDict

from provision import progress
from provision.sandbox import (
    azure,
    build,
    mirror,
    model,
    network,
    node,
    official,
    ownimages,
    processes,
    registry,
)
from provision.sandbox.charts import service as charts
from provision.sandbox.charts import trust
from provision.sandbox.forge import client, control

API_PORT = 8080
SSH_PORT = 2222


Parts = Literal["auto", "official", "built"]


@dataclass(frozen=True, kw_only=True)
class Options:
    """What a sandbox is called inside, and what its node has.

    `parts` says what k3s, Flux and rclone are: the official releases, from the folder
    `releases` where that is given, programs that are built here, or (``auto``) the
    releases where they can be had.
    """

    hostname: str = "kyrion"
    owner: str = "homelab"
    repository: str = "elysium"
    gpu: bool = True
    parts: Parts = "built"
    releases: Path | None = None


class NodeNames(TypedDict, total=False):
    """The options of a node that `node_names` returns."""

    resolver: str
    trusted: Path


Starts = Mapping[str, Callable[[], tuple[Any, processes.Process | None]]]


def starts(
    net: network.Network,
    group: processes.Group,
    folder: Path,
    options: Options,
    built: build.Parts | None,
    say: progress.Progress,
) -> Starts:
    """Return what makes each part of a whole sandbox: the part, and its process.

    `built` are the programs of the stand-ins; None with the official releases.
    """
    real = built is None
    booted = node.Options(
        hostname=options.hostname,
        gpu=options.gpu,
        binds=node_binds(built),
        kubelet=real,
        **node_names(net, built),
    )
    names = {"owner": options.owner, "repository": options.repository}
    return {
        "node": lambda: node.start(net, group, folder / "node", booted, say),
        "forge": lambda: start_forge(net, group, folder / "forge", **names, say=say),
        "azure": lambda: start_azure(net, group, folder / "azure", say),
        "artifacts": lambda: (
            make_mirror(folder / "mirror", built, say)
            if built is not None
            else official.fetch(folder / "official", options.releases, say),
            None,
        ),
        **(
            {"outward": lambda: official.start_outward(net, group, folder / "outward", say)}
            if real
            else {}
        ),
        **(
            {
                "charts": lambda: start_charts(net, group, folder, built, say),
                "registry": lambda: registry.start(
                    net, group, folder / "registry", built.bin / "standin", say
                ),
            }
            if built is not None
            else {}
        ),
    }


def node_binds(built: build.Parts | None) -> tuple[tuple[Path, str], ...]:
    """Return where the node of a whole sandbox has the built programs, if it has any."""
    if built is None:
        return ()
    return (
        (built.bin, f"{node.OPT}/bin"),
        (built.crds, f"{node.OPT}/crds"),
        (ownimages.ensure(built), f"{node.OPT}/images"),
    )


def node_names(net: network.Network, built: build.Parts | None) -> NodeNames:
    """Return what the node asks for names, and whom it trusts: the server of the charts."""
    if built is None:
        return {}
    return {"resolver": net.host_address, "trusted": trust.file()}


def start_charts(
    net: network.Network,
    group: processes.Group,
    folder: Path,
    built: build.Parts,
    say: progress.Progress = progress.silent,
) -> tuple[model.Charts, processes.Process]:
    """Start the server of the charts that the forge's repositories ask for.

    Raises:
        errors.WaitError: when it does not listen, with the end of its log.
    """
    return charts.start(
        net,
        group,
        folder / "charts",
        repositories=folder / "forge" / "repositories",
        definitions=built.crds,
        say=say,
    )


def start_forge(
    net: network.Network,
    group: processes.Group,
    folder: Path,
    *,
    owner: str,
    repository: str,
    say: progress.Progress = progress.silent,
) -> tuple[model.Forge, processes.Process]:
    """Start what stands in for GitHub and return when it answers.

    Raises:
        errors.WaitError: when it does not, with the end of its log.
    """
    say("forge: starting")
    folder.mkdir(parents=True, exist_ok=True)
    start = control.Start(
        root=folder,
        owner=owner,
        repository=repository,
        api=f"{net.host_address}:{API_PORT}",
        ssh=f"{net.host_address}:{SSH_PORT}",
        tls=True,
    )
    process = group.spawn(start.command(), log=folder / "forge.log")
    processes.wait_until(
        lambda: client.read_info(folder) is not None,
        what="Forge: its first answer",
        timeout=60,
        process=process,
    )
    info = client.read_info(folder)
    if info is None:
        raise processes.ended("Forge", process)
    forge = model.Forge(
        api=info.api,
        ca_file=info.ca_file,
        owner=info.owner,
        repository=info.repository,
        token_file=info.token_file,
        ssh_host=info.ssh_host,
        ssh_port=info.ssh_port,
        git_host_keys=info.git_host_keys,
        call_log=info.call_log,
        root=folder,
    )
    return forge, process


def start_azure(
    net: network.Network,
    group: processes.Group,
    folder: Path,
    say: progress.Progress = progress.silent,
) -> tuple[model.Azure, processes.Process]:
    """Start the object store, put the media library into it, and return.

    Raises:
        errors.ElysiumError: when it does not answer or cannot be filled.
    """
    store, process = azure.start(net, group, folder, say)
    azure.put(store, azure.LIBRARY, folder / "library")
    return store, process


def forge_answers(forge: model.Forge) -> bool:
    """Return whether the forge's API and its git server answer."""
    info = client.read_info(forge.root)
    return info is not None and node.answers_ssh(forge.ssh_host, forge.ssh_port)


def make_mirror(
    folder: Path, built: build.Parts, say: progress.Progress = progress.silent
) -> model.Artifacts:
    """Lay out the releases below `folder` as their own hosts do; return where they are.

    The pins beside it are filled at the first fetch, from the releases' own
    checksum files, so that they never mix with those of the real releases.
    """
    say("releases: laying out the mirror")
    target = folder / "releases"
    target.mkdir(parents=True, exist_ok=True)
    mirror.build_into(target, built.bin)
    return model.Artifacts(mirror=target, pins=folder / "pins.json")

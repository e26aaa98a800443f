"""The official releases in place of what is stood in: ``elysium sandbox up --real-k3s``.

They are downloaded before anything is started, each checked against its
release's checksum file, into the cache where `elysium up` looks for them.
Never met here: the releases themselves. What is tested is a mirror of their
layout, and that nothing of the stand-ins reaches the node.
"""

from __future__ import annotations

import socket
import sys
from pathlib import Path

import platformdirs

from provision import config, errors, progress
from provision.artifacts import catalog, store
from provision.sandbox import build, model, network, outward, processes


def fetch(
    folder: Path, source: Path | None = None, say: progress.Progress = progress.silent
) -> model.Artifacts:
    """Have k3s, Flux and rclone in the cache; pin them in `folder`.

    `source` is a mirror folder instead of the releases' own hosts.

    Raises:
        errors.ArtifactError: when one cannot be downloaded, or is not what its checksum says.
    """
    folder.mkdir(parents=True, exist_ok=True)
    pins = folder / "pins.json"
    cache = Path(platformdirs.user_cache_dir("elysium")) / "artifacts"
    kept = store.ArtifactStore(str(source or ""), pins, cache)
    wanted = (
        catalog.k3s(config.K3s().version),
        catalog.flux(config.Flux.model_fields["version"].default),
        catalog.rclone(config.Media.model_fields["rclone_version"].default),
    )
    try:
        for one in wanted:
            kept.fetch(one, build.goarch(), progress=say)
    except errors.ArtifactError as error:
        raise errors.ArtifactError(
            f"the official releases are not to be had here: {error.summary}",
            detail=error.detail,
            hint="without --real-k3s the sandbox needs no download of them",
        ) from error
    return model.Artifacts(mirror=source, pins=pins)


def start_outward(
    net: network.Network,
    group: processes.Group,
    folder: Path,
    say: progress.Progress = progress.silent,
) -> tuple[str, processes.Process]:
    """Start the node's way out; return its address as an HTTP proxy.

    Raises:
        errors.WaitError: when it does not listen.
    """
    say("way out: starting")
    argv = (sys.executable, "-m", "provision.sandbox.outward")
    process = group.spawn((*argv, net.host_address, str(outward.PORT)), log=folder / "outward.log")
    processes.wait_until(
        lambda: listens(net.host_address, outward.PORT),
        what="The way out: listening",
        timeout=60,
        process=process,
    )
    return f"http://{net.host_address}:{outward.PORT}", process


def listens(host: str, port: int) -> bool:
    """Return whether something takes connections there."""
    try:
        socket.create_connection((host, port), timeout=2).close()
    except OSError:
        return False
    return True

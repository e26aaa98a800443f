"""The official releases in place of what is stood in: ``elysium sandbox up --parts official``.

They are downloaded before anything is started, each checked against its
release's checksum file, into the cache where `elysium up` looks for them.
Never met here: the releases themselves. What is tested is a mirror of their
layout, and that nothing of the stand-ins reaches the node.
"""

from __future__ import annotations

import queue
import socket
import sys
import threading
from pathlib import Path

import platformdirs

from provision import cancellation, config, errors, progress
from provision.artifacts import catalog, download, store
from provision.artifacts import source as mirrored
from provision.sandbox import build, model, network, outward, processes

ANSWER = 3
"""Seconds within which the host of the releases has to answer."""


def why_not(source: Path | None = None) -> str:
    """Return why the releases cannot be used, empty where their hosts answer within `ANSWER`.

    Asked is for the list of checksums of k3s, of `source` or of the release's host.
    """
    asset = catalog.k3s(config.K3s().version).asset(build.goarch())
    asking = cancellation.Cancellation()
    answer: queue.Queue[str] = queue.Queue()

    def ask() -> None:
        try:
            mirrored.read(str(source or ""), asset.checksums, cancelled=asking)
        except errors.ElysiumError as error:
            answer.put(error.summary)
        else:
            answer.put("")

    # A name that nobody resolves cannot be cancelled, hence a thread that ends with the process.
    threading.Thread(target=ask, daemon=True).start()
    try:
        return answer.get(timeout=ANSWER)
    except queue.Empty:
        asking.cancel()
        return f"{download.shown(asset.checksums)} does not answer within {ANSWER} s"


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
        catalog.k3s_images(config.K3s().version),
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
            hint="with --parts built the sandbox needs no download of them",
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

"""The registry of a sandbox: container images, beside the node, over plain HTTP.

The node's image-reflector-controller asks it for tags. It holds no image that
could run: each tag is a manifest with a configuration and no layers.
"""

from __future__ import annotations

import hashlib
import http.client
import json
from pathlib import Path

from provision import errors, progress
from provision.sandbox import model, network, processes

PORT = 5000
_SECONDS = 30.0
_CONFIG = "application/vnd.oci.image.config.v1+json"
_MANIFEST = "application/vnd.oci.image.manifest.v1+json"

TAGS = {"plexinc/pms-docker": ("1.41.3.9314-a0bfb8370",)}
"""What a new registry holds: the images that the repository of a sandbox has policies for."""


def start(
    net: network.Network,
    group: processes.Group,
    folder: Path,
    program: Path,
    say: progress.Progress = progress.silent,
) -> tuple[model.Registry, processes.Process]:
    """Start the registry with `program`, the stand-in; return it when it holds `TAGS`.

    Raises:
        errors.WaitError: when it does not listen, with the end of its log.
        errors.ElysiumError: when it refuses an image.
    """
    say("registry: starting")
    folder.mkdir(parents=True, exist_ok=True)
    registry = model.Registry(address=f"{net.host_address}:{PORT}")
    command = (str(program), "registry", "--listen", registry.address)
    process = group.spawn(command, log=folder / "registry.log")
    processes.wait_until(
        lambda: answers(registry),
        what="The registry: its first answer",
        timeout=60,
        process=process,
    )
    for repository, tags in TAGS.items():
        for tag in tags:
            push(registry, repository, tag)
    return registry, process


def answers(registry: model.Registry) -> bool:
    """Return whether a registry answers at that address (OCI distribution, ``GET /v2/``)."""
    connection = http.client.HTTPConnection(registry.address, timeout=2)
    try:
        connection.request("GET", "/v2/")
        return connection.getresponse().status == http.HTTPStatus.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def push(registry: model.Registry, repository: str, tag: str) -> None:
    """Give `repository` (``acme/web``) an image of that tag.

    Raises:
        errors.ElysiumError: when the registry refuses it or cannot be reached.
    """
    config = _json(
        {
            "architecture": "amd64",
            "os": "linux",
            "config": {"Labels": {"org.opencontainers.image.version": tag}},
            "rootfs": {"type": "layers", "diff_ids": []},
        }
    )
    digest = f"sha256:{hashlib.sha256(config).hexdigest()}"
    manifest = _json(
        {
            "schemaVersion": 2,
            "mediaType": _MANIFEST,
            "config": {"mediaType": _CONFIG, "digest": digest, "size": len(config)},
            "layers": [],
        }
    )
    octets = "application/octet-stream"
    _send(registry, "POST", f"/v2/{repository}/blobs/uploads/?digest={digest}", config, octets)
    _send(registry, "PUT", f"/v2/{repository}/manifests/{tag}", manifest, _MANIFEST)


def _json(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def _send(registry: model.Registry, method: str, path: str, body: bytes, kind: str) -> None:
    connection = http.client.HTTPConnection(registry.address, timeout=_SECONDS)
    try:
        connection.request(method, path, body, {"Content-Type": kind})
        answer = connection.getresponse()
        words = answer.read().decode(errors="replace")
    except (OSError, http.client.HTTPException) as error:
        raise errors.ElysiumError(
            f"The registry at {registry.address} does not answer {method} {path}.",
            detail=str(error),
            hint="start the sandbox again with --fresh",
        ) from error
    finally:
        connection.close()
    if answer.status != http.HTTPStatus.CREATED:
        raise errors.ElysiumError(
            f"The registry at {registry.address} answers {method} {path} with {answer.status}, not"
            f" {http.HTTPStatus.CREATED.value}.",
            detail=words,
        )

"""Backups that somebody else made: valid, and with a configuration of their choice."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyrage

from provision.gitops.sealing import keys as sealing_keys
from provision.recovery.bundle import archive, encryption, parts
from tests.support import restores

LOCK = pyrage.x25519.Identity.generate()
KEY = sealing_keys.make_key()


def write(
    folder: Path,
    more: str = "",
    *,
    kubeconfig: str = "",
    node: str = "",
    paths: bytes = b"",
    changes: Mapping[str, Any] | None = None,
) -> tuple[str, ...]:
    """Write a backup whose configuration has `more` into `folder`; return what opens it.

    `more` are lines at the end, in the section of GitHub; `node` are lines of the node. `changes`
    are fields of the manifest.
    """
    text = restores.CONFIGURATION.format(salt=restores.vault().salt) + more
    text = text.replace("      user: root\n", f"      user: root\n{node}")
    replaced = {parts.stack_file("kyrion"): text.encode()}
    if paths:
        replaced[parts.PATHS] = paths
    if kubeconfig:
        replaced[parts.STATE] = json.dumps(state(kubeconfig)).encode()
    found = restores.made(KEY, KEY, replaced=replaced, changes=changes)
    listed = [
        archive.Part(
            name=info.name, content=found.read(info.name), kind=info.kind, source=info.source
        )
        for info in found.manifest.parts
    ]
    return locked(folder, archive.pack(found.manifest, listed)[1])


def state(kubeconfig: str) -> dict[str, Any]:
    """Return a deployment whose k3s has `kubeconfig`."""
    document = restores.state(KEY)
    (server,) = (
        one
        for one in document["deployment"]["resources"]
        if one["type"] == "elysium:node:K3sServer"
    )
    server["outputs"] = {"kubeconfig": kubeconfig}
    return document


def locked(folder: Path, packed: bytes) -> tuple[str, ...]:
    """Write `packed`, an archive, as a backup into `folder`; return what opens it."""
    lock = encryption.Recipients(lines=(str(LOCK.to_public()),))
    file, key = folder / "kyrion.age", folder / "key.txt"
    file.write_bytes(encryption.encrypt(packed, lock))
    key.write_text(str(LOCK))
    return str(file), "-i", str(key)

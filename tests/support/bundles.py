"""Small bundles for tests."""

from __future__ import annotations

import json
from typing import Any

from provision.recovery.bundle import archive, manifest, parts


def described(**changes: Any) -> manifest.Manifest:
    """A manifest without its parts."""
    values: dict[str, Any] = {
        "cluster": "kyrion",
        "created": "2026-03-01T02:03:04Z",
        "elysium": "0.1.0",
        "node": manifest.Node(name="kyrion", host="10.0.0.1"),
        "datastore": manifest.Datastore(kind="sqlite"),
    }
    return manifest.Manifest(**values | changes)


def contents(**more: bytes) -> list[archive.Part]:
    """The parts that every bundle has, and `more` by name."""
    texts: dict[str, bytes] = {
        parts.STATE: json.dumps({"version": 3, "deployment": {"resources": []}}).encode(),
        parts.PROJECT: b"name: elysium\n",
        parts.stack_file("kyrion"): b"config: {}\n",
        parts.PASSPHRASE: b"canary-passphrase",
        parts.CRDS: b'{"items": []}',
        parts.INVENTORY: b'{"salt": "00"}',
        **more,
    }
    return [archive.Part(name=name, content=content) for name, content in texts.items()]

"""The names of a bundle's parts: the one list that writing and reading share.

Parts under ``node/`` are files of the node by their own path; what they are is
their `kind`. Changing a name, or what a part holds, takes a new `manifest.SCHEMA`.
"""

from __future__ import annotations

from typing import Final

MANIFEST: Final = "manifest.json"

STATE: Final = "stack/state.json"
"""The deployment as ``pulumi stack import`` reads it: secrets encrypted with `PASSPHRASE`."""
PROJECT: Final = "stack/Pulumi.yaml"
PINS: Final = "stack/pins.json"
PASSPHRASE: Final = "stack/passphrase"  # noqa: S105 - a name
SEALING_KEYS: Final = "secrets/sealing-keys.json"
"""A List of Secrets: every sealing key of the cluster and of the state, each once."""
FLUX_SYSTEM: Final = "secrets/flux-system.json"
"""The Secret with the deploy key that Flux fetches with."""
SOPS_AGE: Final = "secrets/sops-age.json"
"""A List of Secrets: what the Kustomizations decrypt SOPS files with."""
CRDS: Final = "cluster/crds.json"
"""A List of CustomResourceDefinitions that neither Flux nor k3s brings."""
INVENTORY: Final = "cluster/inventory.json"
"""What the cluster was: `provision.recovery.bundle.inventory`."""
SQLITE: Final = "datastore/state.db"
"""One consistent SQLite file, nothing beside it."""
ETCD: Final = "datastore/etcd-snapshot"
PATHS: Final = "paths.tar"
"""A tar of ``backup.paths``, names relative to ``/``."""
NODE: Final = "node"

TOKEN_KIND: Final = "k3s-token"  # noqa: S105 - a name
CONFIG_KIND: Final = "k3s-config"
AUTHORITY_KIND: Final = "k3s-authority"
NODE_PASSWORD_KIND: Final = "node-password"  # noqa: S105 - a name
RCLONE_KIND: Final = "rclone-config"

REQUIRED: Final = (STATE, PROJECT, PASSPHRASE, CRDS, INVENTORY)
"""Without one of these nothing is a bundle; the cluster's `stack_file` is the sixth."""


def stack_file(cluster: str) -> str:
    """Return the part that holds ``Pulumi.<cluster>.yaml``."""
    return f"stack/Pulumi.{cluster}.yaml"


def node_file(path: str) -> str:
    """Return the part that holds the node's file at the absolute `path`."""
    return NODE + path

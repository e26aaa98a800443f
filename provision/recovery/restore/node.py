"""What a bundle puts on the new node before k3s starts there.

Rebuilding from Git, k3s makes its own token, authorities and datastore; only
what the user put beside it comes back. Restoring the datastore, everything
that belongs to it comes first: without its token it does not open, and its
Secrets only with its encryption key.

Facts: k3s' documentation (cli/token, cli/etcd-snapshot, datastore/backup-restore).
kine's SQLite is in WAL mode: a log of another life beside it would be applied
to it, so the folder is emptied before the copy is placed. Of an etcd snapshot
k3s makes a datastore itself (`etcd_snapshot`).
"""

from __future__ import annotations

import io
from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from provision.host import bundle as host_bundle
from provision.host import scripts
from provision.progress import Progress
from provision.provider import node_templates
from provision.provider.k3s import files as k3s_files
from provision.recovery.bundle import archive, manifest, parts, paths
from provision.recovery.bundle import validation as bundle_validation
from provision.recovery.restore import etcd_snapshot

if TYPE_CHECKING:
    from provision.host.session import NodeSession
    from provision.operations.stack import Stack

_ELYSIUMS: Final = (k3s_files.CONFIG, k3s_files.ENV)
"""Written from the configuration, never from a bundle."""
_LONG: Final = 900


def users_files(found: archive.Bundle) -> tuple[manifest.PartInfo, ...]:
    """Return the parts of k3s' configuration that the user wrote, not elysium."""
    return tuple(
        info
        for info in found.manifest.of_kind(parts.CONFIG_KIND)
        if info.source not in _ELYSIUMS
        and not found.read(info.name).startswith(k3s_files.HEADER.encode())
    )


def place_users_files(node: NodeSession, found: archive.Bundle, progress: Progress) -> None:
    """Put back the user's drop-ins and ``backup.paths``. May be run again."""
    chosen = users_files(found)
    if chosen:
        progress("putting back k3s' drop-ins")
        node.apply(
            host_bundle.Bundle(files=tuple(_files(found, chosen)), reload=True),
            what="putting back k3s' drop-ins",
        )
    if parts.PATHS in found.contents:
        progress("putting back backup.paths")
        node.run(
            "tar -C / -xpf -\n",
            stdin=paths.packed(bundle_validation.users_files(found)),
            timeout=_LONG,
            what="putting back backup.paths",
        )


def place_datastore(stack: Stack, found: archive.Bundle, progress: Progress) -> None:
    """Stop k3s, and put token, authorities, node password and the datastore in place.

    May be run again at any point: k3s does not start before all of it is
    there, and what an earlier run left of a datastore is removed first.
    """
    node = stack.live.node(stack.config.server.name)
    at = k3s_files.places({"options": stack.config.k3s.options})
    kinds = (parts.TOKEN_KIND, parts.AUTHORITY_KIND, parts.NODE_PASSWORD_KIND)
    chosen = [info for kind in kinds for info in found.manifest.of_kind(kind)]
    folder = f"{at.data}/server/db"
    progress("stopping k3s, and putting its token and authorities in place")
    etcd_snapshot.halt(node)
    node.run(
        f"set -eu\n{node_templates.removal(folder)}"
        f"mkdir -p {scripts.quote([folder])}\nchmod 700 {scripts.quote([folder])}\n",
        timeout=180,
        what="making room for the datastore",
    )
    node.apply(
        host_bundle.Bundle(
            directories=(host_bundle.Directory(path=f"{at.data}/server", mode=0o700),),
            files=tuple(_files(found, chosen)),
        ),
        what="placing the k3s token",
    )
    store = found.manifest.datastore
    if store.kind == "etcd":
        encrypt = any(info.source == at.encryption for info in chosen)
        etcd_snapshot.install(stack, encrypt=encrypt, progress=progress)
        etcd_snapshot.restore_snapshot(node, at.data, found.read(store.part), progress)
    else:
        progress("placing the datastore")
        node.stream(io.BytesIO(found.read(store.part)), f"{folder}/state.db", mode=0o600)


def _files(
    found: archive.Bundle, chosen: Iterable[manifest.PartInfo]
) -> Iterable[host_bundle.File]:
    for info in chosen:
        yield host_bundle.File(path=info.source, content=found.read(info.name), mode=info.mode)

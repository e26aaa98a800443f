"""k3s on a node before it runs there: installed, and told to take an etcd snapshot.

An etcd snapshot is no file that could be laid in place: k3s itself makes a
datastore of it (``k3s server --cluster-reset --cluster-reset-restore-path``),
with its token at hand, and ends. That run is a transient unit of systemd's, so
that one whose caller was cut off is found and ended by the next.

Facts: k3s' documentation (cli/etcd-snapshot, datastore/backup-restore) and its
source (pkg/cluster/managed.go): a flag file says that a reset was done; the next
start removes it and takes the node's password anew. Without a snapshot, a flag
refuses a second reset; with one it does not count.
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Final

from provision.artifacts import catalog
from provision.host import bundle as host_bundle
from provision.host import facts, scripts
from provision.progress import Progress
from provision.provider.k3s import binaries as k3s_binaries
from provision.provider.k3s import files as k3s_files
from stacks.components import node as components

if TYPE_CHECKING:
    from provision.host.session import NodeSession
    from provision.operations.stack import Stack

_UNIT: Final = "elysium-k3s-reset.service"
_LONG: Final = 900
_PROGRAMS: Final = facts.FactRequest(
    files=frozenset(f"{folder}/k3s" for folder in k3s_binaries.FOLDERS),
    snippets=frozenset({k3s_binaries.snippet()}),
)


def install(stack: Stack, *, encrypt: bool, progress: Progress) -> None:
    """Put k3s' binary and ``config.yaml`` on the server, as `up` would; start nothing.

    `encrypt` is whether the datastore has its Secrets encrypted. What is as
    wanted is left alone. Raises the errors of downloads and of the node.
    """
    cfg = stack.config
    node = stack.live.node(cfg.server.name)
    inputs = components.k3s_inputs(cfg) | {"datastore": "etcd"}
    wanted = catalog.k3s(cfg.k3s.version)
    found = node.facts(_PROGRAMS)
    binary = k3s_files.places(k3s_binaries.placed(found, inputs)).binary
    arch = found.system.arch
    store = stack.live.artifacts()
    pinned = store.content_sha256(wanted, arch)
    if found.sha256(binary) != pinned:
        path = store.fetch(wanted, arch, progress=progress)
        progress(f"uploading k3s {cfg.k3s.version}")
        node.lock()
        node.stream(path, binary, mode=0o755, sha256=pinned)
    content = k3s_files.render_config(inputs, encrypt=encrypt)
    node.apply(
        host_bundle.Bundle(
            files=(host_bundle.File(path=k3s_files.CONFIG, content=content, mode=0o600),)
        ),
        what="writing k3s' configuration",
    )


def halt(node: NodeSession) -> None:
    """Stop k3s, and what an earlier run that was cut off may have left running."""
    node.run(
        "set -eu\n"
        f"systemctl stop {_UNIT} 2>/dev/null || [ $? = 5 ]\n"
        f"systemctl reset-failed {_UNIT} 2>/dev/null || true\n"
        "systemctl stop k3s.service 2>/dev/null || [ $? = 5 ]\n",
        timeout=180,
        what="stopping k3s",
    )


def restore_snapshot(node: NodeSession, data: str, snapshot: bytes, progress: Progress) -> None:
    """Have k3s make the datastore in its folder `data` of `snapshot`.

    k3s is installed and stopped, its token is in place, and there is no
    datastore yet. Raises `errors.CommandError` with what k3s said.
    """
    path = f"{data}/server/elysium-restore.snapshot"
    progress("uploading the snapshot")
    node.stream(io.BytesIO(snapshot), path, mode=0o600)
    progress("having k3s restore the snapshot")
    binary = program(node)
    node.run(
        reset_script(data, path, binary), timeout=_LONG + 60, what="restoring the snapshot of etcd"
    )


def program(node: NodeSession) -> str:
    """Return the path of k3s on the node: /usr/local/bin/k3s, or that in /opt/bin."""
    return f"{k3s_binaries.folder(node.facts(_PROGRAMS))}/k3s"


def reset_script(data: str, snapshot: str, binary: str) -> str:
    """Return the script that has k3s restore the file `snapshot`, and removes it afterwards."""
    database = f"{data}/server/db"
    command = scripts.quote(
        [
            *(binary, "server", "--cluster-reset"),
            f"--cluster-reset-restore-path={snapshot}",
            f"--token-file={data}/server/token",
        ]
    )
    quoted = scripts.quote([snapshot])
    return (
        "set -eu\n"
        # What is left is the end of what k3s said; all of it is in the node's journal.
        f"systemd-run --quiet --collect --wait --unit={_UNIT} -p RuntimeMaxSec={_LONG} -- "
        f"{command} || {{\n"
        f"journalctl -q --no-pager -o cat -n 20 -u {_UNIT} >&2\nexit 1\n}}\n"
        # The folder db/etcd alone proves nothing: k3s makes it in any case.
        f"[ -d {scripts.quote([f'{database}/etcd/member'])} ] || "
        "{ echo 'k3s ended without a datastore' >&2; exit 1; }\n"
        f"rm -f -- {quoted}\n"
    )

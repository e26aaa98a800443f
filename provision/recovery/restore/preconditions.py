"""What of bundle, folder and node would keep a restore from ending well."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from provision import config, config_file, errors
from provision.operations import repository
from provision.operations.stack import Stack
from provision.recovery import journal
from provision.recovery.bundle import archive, parts

if TYPE_CHECKING:
    from provision.recovery.restore import workspace

_VARIABLE = "PULUMI_CONFIG_PASSPHRASE"
_MINOR = re.compile(r"v?(\d+)\.(\d+)\.")


def here(space: workspace.Workspace, target: Path) -> Iterable[errors.Problem]:
    """Return what is in the way in the folder `target` and in this shell."""
    if (target / "Pulumi.yaml").exists():
        there = config_file.open_project(target)
        if there.name != space.project:
            yield errors.Problem(
                message=f"it is another project, {there.name}; the backup's is {space.project}",
                where=str(target / "Pulumi.yaml"),
                hint="restore into an empty folder: -C DIR",
            )
        elif not there.backend.startswith("file://"):
            yield errors.Problem(
                message=f"the state of this folder is kept in {there.backend}",
                where=str(target / "Pulumi.yaml"),
                hint="restore into an empty folder: -C DIR",
            )
    if given_passphrase() not in (None, space.passphrase.reveal()):
        yield errors.Problem(
            message="it is not the passphrase of the stack in the backup",
            where="this shell's environment",
            key=_VARIABLE,
            hint=f"unset {_VARIABLE} and {_VARIABLE}_FILE: the backup brings its own",
        )


def given_passphrase() -> str | None:
    """Return the passphrase that this shell's environment gives, or None."""
    if _VARIABLE in os.environ:
        return os.environ[_VARIABLE]
    named = os.environ.get(f"{_VARIABLE}_FILE")
    if not named:
        return None
    try:
        return Path(named).expanduser().read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError):
        return ""


def of_bundle(
    found: archive.Bundle, cfg: config.Config, mode: journal.Mode
) -> Iterable[errors.Problem]:
    """Return what the bundle lacks for `mode`."""
    if mode == "rebuild":
        return
    store = found.manifest.datastore
    if not store.part:
        yield errors.Problem(
            message="the backup has no copy of the datastore",
            hint="leave out --datastore: the cluster is then rebuilt from Git",
        )
    elif store.kind == "etcd" and cfg.k3s.datastore == "sqlite":
        yield errors.Problem(
            message=f"the copy is of {store.kind}, and k3s.datastore is {cfg.k3s.datastore}",
            key="k3s.datastore",
            hint="leave out --datastore: the cluster is then rebuilt from Git",
        )
    if not found.manifest.of_kind(parts.TOKEN_KIND):
        yield errors.Problem(
            message="the backup has no k3s token, without which the datastore does not open"
        )
    if not found.manifest.of_kind(parts.NODE_PASSWORD_KIND):
        yield errors.Problem(
            message="the backup has no node password, and k3s refuses a node that has another one"
        )
    old, new = minor(found.manifest.versions.get("k3s", "")), minor(cfg.k3s.version)
    if old > new:
        yield errors.Problem(
            message=f"the datastore is of k3s {found.manifest.versions['k3s']}, and k3s.version "
            f"is {cfg.k3s.version}, which is older and may not read it",
            key="k3s.version",
            hint="set it to that version or a newer one",
        )
    given = str(cfg.k3s.options.get("token") or "")
    token = found.contents.get(parts.node_file(_token(cfg)), b"").decode().strip()
    if given and token and given.rpartition(":")[2] != token.rpartition(":")[2]:
        yield errors.Problem(
            message="the token of the configuration is not the one of the datastore",
            key="k3s.options.token",
        )


def of_node(stack: Stack) -> Iterable[errors.Problem]:
    """Return what is on the node already."""
    if not repository.is_empty(stack):
        yield errors.Problem(
            message="it holds a cluster's data already",
            where=f"node {stack.config.server.host}",
            hint="a node that kept its disk: elysium up repairs it; else install it anew",
        )


def minor(version: str) -> tuple[int, int]:
    """Return major and minor of a version; zeros for what is none."""
    match = _MINOR.match(version)
    return (int(match[1]), int(match[2])) if match else (0, 0)


def _token(cfg: config.Config) -> str:
    from provision.provider.k3s import files as k3s_files

    return k3s_files.places({"options": cfg.k3s.options}).token

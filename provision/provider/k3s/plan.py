"""Deciding what a k3s server needs. Pure: facts and inputs in, changes out."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from provision.change import Change
from provision.host import facts
from provision.provider import node_files
from provision.provider.k3s import datastore, existing, files, folders

_VERSION = re.compile(r"v(\d+)\.(\d+)\.(\d+)(?:-[\w.]+)?\+k3s(\d+)")


@dataclass(frozen=True, kw_only=True)
class K3sFacts:
    """What was found.

    `pinned` is the sha256 of the wanted version's binary, `images` that of the archive
    of its container images, empty where the configuration does not ask for it.
    """

    node: facts.NodeFacts
    pinned: str
    images: str = ""

    @property
    def installed(self) -> str:
        """The version that the binary on the node names, empty where it names none."""
        return parse_version(self.node.snippet("k3s-version"))


def parse_version(text: str) -> str:
    """Return the version in the output of ``k3s --version``, empty if there is none."""
    match = re.search(r"k3s version (v\S+)", text)
    return match.group(1) if match else ""


def order(version: str) -> tuple[int, ...]:
    """Return a version as numbers to compare; () for one that is no release of k3s."""
    match = _VERSION.match(version)
    return tuple(int(part) for part in match.groups()) if match else ()


def encrypts(found: facts.NodeFacts, inputs: Mapping[str, Any]) -> bool:
    """Return whether Secrets are encrypted: an existing datastore has decided it.

    k3s cannot turn it on for a datastore that began without, and could not
    read its own Secrets if it were turned off.
    """
    at = files.places(inputs)
    if any(found.file(path) is not None for path in at.databases):
        return found.file(at.encryption) is not None
    return bool(inputs.get("secretsEncryption", True))


OWN_FOLDER = "give k3s a folder of its own: elysium config set k3s.options.data-dir /var/lib/…"


def shared_folders(
    found: facts.NodeFacts, inputs: Mapping[str, Any], *, fresh: bool
) -> tuple[str, ...]:
    """Return which folders k3s shares with others, in sentences.

    `fresh`: for a server that has no datastore yet, and so can be refused;
    otherwise for one that has.
    """
    at = files.places(inputs)
    if any(found.file(path) is not None for path in at.databases) is fresh:
        return ()
    return folders.warnings(found, at.data, at.kubelet)


def keeps_binary(found: K3sFacts, inputs: Mapping[str, Any]) -> bool:
    """Return whether the binary on the node is left alone although it is not the pinned one."""
    installed = found.installed
    if not installed:
        return False
    if inputs.get("managedBy") == "plan":
        return True
    return bool(order(installed)) and order(installed) > order(str(inputs["version"]))


def why_taken_over(found: K3sFacts, inputs: Mapping[str, Any]) -> tuple[str, ...] | None:
    """Return why a server that was set up by hand cannot stay as it is.

    Empty: it runs as configured, and none of its files is touched. None: there
    is no such server.
    """
    foreign = existing.read(found.node)
    if foreign is None:
        return None
    settled = datastore.settled(found.node, inputs)
    wanted = files.settings(settled, encrypt=encrypts(found.node, inputs))
    if datastore.kind(found.node, inputs) == "etcd":
        # `cluster-init` is ignored once etcd exists.
        wanted.pop("cluster-init", None)
        foreign = dataclasses.replace(
            foreign, options={k: v for k, v in foreign.options.items() if k != "cluster-init"}
        )
    why = list(existing.differences(foreign, wanted, inputs.get("proxy") or {}, found.node))
    why += [
        f"{path} changed after it started" for path in existing.newer_files(foreign, found.node)
    ]
    if datastore.migrates(found.node, inputs):
        why.append("its datastore is moved to etcd")
    if inputs.get("registries"):
        why.append("k3s.registries is configured")
    if _binary(found, inputs):
        why.append("its binary changes")
    return tuple(why)


def plan(found: K3sFacts, inputs: Mapping[str, Any]) -> tuple[Change, ...]:
    """Return every change, the (re)start last."""
    why = why_taken_over(found, inputs)
    if why is not None and not why:
        return tuple(_state(found))
    wanted = wanted_files(found, inputs)
    changes = [*_binary(found, inputs), *node_files.plan_files(found.node, wanted)]
    if why:
        summary = f"take over k3s, which was set up by hand: {'; '.join(why)}"
        changes.insert(0, Change(property="settings", action="update", summary=summary))
    if datastore.migrates(found.node, inputs):
        changes.insert(0, _MIGRATION)
    if not inputs.get("registries"):
        changes += node_files.plan_removals(found.node, ours(found.node, files.REGISTRIES))
    foreign = foreign_config(found.node)
    if foreign:
        changes.append(
            Change(
                property=f"files.{files.CONFIG_BACKUP}",
                action="create",
                summary=f"keep the {files.CONFIG} that was there as {files.CONFIG_BACKUP}",
            )
        )
    changes += [
        Change(
            property=f"files.{files.places(inputs).link(name)}",
            action="create",
            summary=f"link {files.places(inputs).link(name)} to k3s",
        )
        for name in missing_links(found.node, inputs)
    ]
    changes += _unit(found, inputs, wanted)
    return tuple(changes)


def plan_leftover(found: K3sFacts, inputs: Mapping[str, Any]) -> tuple[Change, ...]:
    """Return the adoption of a datastore that an earlier cluster left on a node without k3s."""
    said = datastore.leftover(found.node, inputs)
    return (Change(property="datastore", action="run", summary=said),) if said else ()


def plan_token(others: tuple[Change, ...]) -> tuple[Change, ...]:
    """Return what another server token needs besides `others`; a restart makes it count."""
    changes = [
        Change(
            property="token",
            action="update",
            summary="have k3s make another token, with which nodes join: its rotation is asked for",
        )
    ]
    if not any(change.action == "restart" for change in others):
        changes.append(
            Change(
                property=f"units.{files.UNIT_NAME}",
                action="restart",
                summary="restart k3s.service, which takes the old token until then",
            )
        )
    return tuple(changes)


def wanted_files(found: K3sFacts, inputs: Mapping[str, Any]) -> tuple[node_files.WantedFile, ...]:
    """Return the files the node should have."""
    settled = datastore.settled(found.node, inputs)
    return files.wanted_files(settled, encrypt=encrypts(found.node, inputs))


def ours(found: facts.NodeFacts, path: str) -> tuple[str, ...]:
    """Return `path` if a file of ours is there: what others wrote is left alone."""
    there = found.file(path)
    return (path,) if there is not None and there.text.startswith(files.HEADER) else ()


def foreign_config(found: facts.NodeFacts) -> bool:
    """Return whether there is a ``config.yaml`` that elysium did not write."""
    there = found.file(files.CONFIG)
    return (
        there is not None
        and there.kind == "file"
        and not there.text.startswith(files.HEADER)
        and found.file(files.CONFIG_BACKUP) is None
    )


def missing_links(found: facts.NodeFacts, inputs: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the links to make: a command of that name elsewhere in PATH is respected."""
    return tuple(
        name
        for name in files.LINKS
        if found.command(name) is None and found.file(files.places(inputs).link(name)) is None
    )


def stale(
    found: K3sFacts, inputs: Mapping[str, Any], wanted: tuple[node_files.WantedFile, ...]
) -> tuple[str, ...]:
    """Return the files that the running process did not start with, as they will be.

    The unit writes what it starts with to a file in /run; so a run that was
    interrupted between a change and the restart is made up for by the next.
    """
    there = found.node.file(files.STARTED)
    started: dict[str, str] = {}
    for line in (there.text if there is not None else "").splitlines():
        digest, _, path = line.partition("  ")
        started[path] = digest
    expected = {one.path: one.sha256 for one in wanted if one.path in _WATCHED}
    expected[files.places(inputs).binary] = _binary_sha256(found, inputs)
    own = found.node.file(files.REGISTRIES)
    stays = own is not None and not ours(found.node, files.REGISTRIES)
    if files.REGISTRIES not in expected and own is not None and stays:
        # The user's own, which k3s reads as well.
        expected[files.REGISTRIES] = own.sha256 or ""
    for name in found.node.listing(files.DROP_INS) or ():
        path = f"{files.DROP_INS}/{name}"
        entry = found.node.files.get(path)
        # The unit's globs follow links and pass over hidden files.
        if entry is not None and name.endswith((".yaml", ".yml")) and not name.startswith("."):
            expected[path] = entry.sha256 or started.get(path, "")
    paths = sorted(expected.keys() | started.keys())
    return tuple(path for path in paths if expected.get(path) != started.get(path))


def starts_with_other_files(found: K3sFacts, inputs: Mapping[str, Any]) -> bool:
    """Return whether a start is under way that began with other files than are wanted.

    One that crashes is begun again by systemd every few seconds. Such a start
    may have noted its files before ours were written and read them after: to
    join it would leave a note of files that k3s does not run with.
    """
    if found.node.unit(files.UNIT_NAME).active in ("active", "inactive", "failed"):
        return False
    wanted = wanted_files(found, inputs)
    return bool(stale(found, inputs, wanted) or node_files.needed(found.node, wanted))


_WATCHED = frozenset(
    {files.CONFIG, files.REGISTRIES, files.UNIT, files.ENV},
)


_MIGRATION = Change(
    property="datastore",
    action="update",
    summary="move the datastore from SQLite to etcd, after a backup; this cannot be undone: "
    "nothing moves etcd back to SQLite",
)


def _binary_sha256(found: K3sFacts, inputs: Mapping[str, Any]) -> str:
    if keeps_binary(found, inputs):
        return found.node.sha256(files.places(inputs).binary) or ""
    return found.pinned


def _binary(found: K3sFacts, inputs: Mapping[str, Any]) -> list[Change]:
    version, installed = str(inputs["version"]), found.installed
    binary = files.places(inputs).binary
    there = found.node.file(binary)
    key = f"files.{binary}"
    if there is None:
        return [Change(property=key, action="create", summary=f"install k3s {version}")]
    if keeps_binary(found, inputs):
        return []
    if there.sha256 != found.pinned:
        if not installed:
            summary = f"install k3s {version} over a {binary} that names no version"
        elif installed == version:
            summary = f"put back the k3s {version} binary: the one there has another sha256"
        else:
            summary = f"upgrade k3s from {installed} to {version}"
        return [Change(property=key, action="update", summary=summary)]
    if (there.mode, there.uid, there.gid) != (0o755, 0, 0):
        return [Change(property=key, action="update", summary="make the k3s binary root's, 0755")]
    return []


def _state(found: K3sFacts) -> list[Change]:
    """Return what systemd has to be told of the unit that is there."""
    unit = found.node.unit(files.UNIT_NAME)
    key = f"units.{files.UNIT_NAME}"
    changes: list[Change] = []
    if unit.enabled != "enabled":
        changes.append(Change(property=key, action="update", summary="enable k3s.service at boot"))
    if unit.active != "active":
        was = f" (it is {unit.active})" if unit.exists else ""
        changes.append(Change(property=key, action="start", summary=f"start k3s.service{was}"))
    return changes


def _unit(
    found: K3sFacts, inputs: Mapping[str, Any], wanted: tuple[node_files.WantedFile, ...]
) -> list[Change]:
    unit = found.node.unit(files.UNIT_NAME)
    key = f"units.{files.UNIT_NAME}"
    changes = _state(found)
    if unit.active != "active":
        return changes
    old = stale(found, inputs, wanted)
    if old:
        names = ", ".join(path.rsplit("/", 1)[1] for path in old)
        changes.append(
            Change(
                property=key,
                action="restart",
                summary=f"restart k3s.service, which runs with another {names}",
            )
        )
    elif unit.needs_reload:
        changes.append(
            Change(property=key, action="update", summary="let systemd read k3s.service again")
        )
    return changes


def remarks(found: K3sFacts, inputs: Mapping[str, Any]) -> tuple[str, ...]:
    """Return what is different from the configuration and stays so, in sentences."""
    said: list[str] = []
    installed, version, node = found.installed, str(inputs["version"]), inputs["node"]
    if installed and order(installed) > order(version) and inputs.get("managedBy") != "plan":
        said.append(
            f"k3s {installed} on {node} is newer than {version} of the configuration; "
            "nothing is downgraded: set k3s.version to what runs, or k3s.managedBy to plan"
        )
    older, wanted = order(installed)[:2], order(version)[:2]
    skips = older and older[:1] == wanted[:1] and wanted[1] - older[1] > 1
    if skips and not keeps_binary(found, inputs):
        said.append(
            f"going from k3s {installed} to {version} skips minor versions, "
            "which Kubernetes does not support: go through each of them"
        )
    if encrypts(found.node, inputs) != bool(inputs.get("secretsEncryption", True)):
        have = "encrypted" if not inputs.get("secretsEncryption", True) else "not encrypted"
        said.append(
            f"Secrets of the cluster on {node} are {have} in its datastore, "
            "and that cannot be changed afterwards: k3s.secretsEncryption is not followed"
        )
    said += datastore.remarks(found.node, inputs)
    said += [
        f"{words}: destroy removes there only what k3s creates, by name"
        for words in shared_folders(found.node, inputs, fresh=False)
    ]
    return tuple(said)

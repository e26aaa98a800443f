"""The archive of k3s' own container images on a node that pulls none (``k3s.airgapImages``).

Facts (docs.k3s.io, "Air-Gap Install" and "Import Images"): k3s imports the archives
in ``agent/images`` of its data folder when it starts; the releases since January
2025 (v1.29.13 to v1.32.0) also import one that comes while they run. So a server
is not restarted for an archive.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from provision.artifacts import catalog
from provision.change import Action, Change
from provision.host import facts, session
from provision.provider.context import Context
from provision.provider.k3s import files
from provision.provider.k3s import plan as k3s_plan

OUTPUT: Final = "airgapArchive"
"""The output that holds the sha256 of the archive that elysium placed."""


def wanted(inputs: Mapping[str, Any]) -> bool:
    """Return whether the configuration asks for the archive."""
    return bool(inputs.get("airgapImages"))


def concerns(inputs: Mapping[str, Any], state: Mapping[str, Any]) -> bool:
    """Return whether an archive is asked for, or was placed before."""
    return wanted(inputs) or bool(state.get(OUTPUT))


def paths(inputs: Mapping[str, Any]) -> tuple[str, ...]:
    """Return where the archive of each architecture is: which one a node has is not known yet."""
    artifact = catalog.k3s_images(str(inputs["version"]))
    return tuple(_path(inputs, artifact.asset(arch).filename) for arch in artifact.assets)


def path(found: facts.NodeFacts, inputs: Mapping[str, Any]) -> str:
    """Return where this node's archive is. Raises `errors.ArtifactError` where there is none."""
    artifact = catalog.k3s_images(str(inputs["version"]))
    return _path(inputs, artifact.asset(found.system.arch).filename)


def plan(
    found: k3s_plan.K3sFacts, inputs: Mapping[str, Any], state: Mapping[str, Any]
) -> tuple[Change, ...]:
    """Return what to do with the archive: nothing while the images would be another version's."""
    if not wanted(inputs):
        return tuple(
            _change(at, "delete", f"remove {at}, which elysium placed")
            for at in ours(found, inputs, state)
        )
    if another_version(found, inputs):
        return ()
    at, version = path(found.node, inputs), inputs["version"]
    there = found.node.file(at)
    if there is None:
        return (_change(at, "create", f"place the archive of k3s {version}'s images"),)
    if there.sha256 != found.images:
        return (_change(at, "update", f"replace {at} by the archive of k3s {version}'s images"),)
    return ()


def ours(
    found: k3s_plan.K3sFacts, inputs: Mapping[str, Any], state: Mapping[str, Any]
) -> tuple[str, ...]:
    """Return the archives that are byte for byte what elysium placed; others are the user's."""
    known = state.get(OUTPUT)
    if not known:
        return ()
    return tuple(at for at in paths(inputs) if found.node.sha256(at) == known)


def place(
    ctx: Context,
    node: session.NodeSession,
    found: k3s_plan.K3sFacts,
    inputs: Mapping[str, Any],
    changes: tuple[Change, ...],
) -> dict[str, str]:
    """Upload the archive if that is among `changes`; return what to remember of it.

    Raises the errors of `store.ArtifactStore.fetch` and `session.NodeSession.stream`.
    """
    at = path(found.node, inputs)
    if not any(one.property == _key(at) and one.action != "delete" for one in changes):
        return {}
    version, arch = str(inputs["version"]), found.node.system.arch
    archive = ctx.artifacts().fetch(catalog.k3s_images(version), arch, progress=ctx.progress)
    ctx.progress(f"uploading the images of k3s {version} to {node.name}")
    node.lock()
    node.stream(archive, at, mode=0o644, sha256=found.images)
    return {OUTPUT: found.images}


def removals(inputs: Mapping[str, Any], changes: tuple[Change, ...]) -> tuple[str, ...]:
    """Return the archives whose removal is among `changes`."""
    removed = {change.property for change in changes if change.action == "delete"}
    return tuple(at for at in paths(inputs) if _key(at) in removed)


def remarks(found: k3s_plan.K3sFacts, inputs: Mapping[str, Any]) -> tuple[str, ...]:
    """Say that no archive is placed, where the configuration asks for one."""
    if not wanted(inputs) or not another_version(found, inputs):
        return ()
    return (
        f"the images of k3s {inputs['version']} are not placed on {inputs['node']}:"
        f" {found.installed} runs there and is not replaced",
    )


def outputs(inputs: Mapping[str, Any], state: Mapping[str, Any]) -> dict[str, str]:
    """Return the output that says what elysium placed: an archive of the user's is never in it."""
    known = str(state.get(OUTPUT) or "")
    return {OUTPUT: known} if known and wanted(inputs) else {}


def another_version(found: k3s_plan.K3sFacts, inputs: Mapping[str, Any]) -> bool:
    """Return whether the binary on the node stays, and is of another version."""
    return k3s_plan.keeps_binary(found, inputs) and found.installed != inputs["version"]


def _path(inputs: Mapping[str, Any], name: str) -> str:
    return files.places(inputs).within(f"agent/images/{name}")


def _key(at: str) -> str:
    return f"files.{at}"


def _change(at: str, action: Action, summary: str) -> Change:
    return Change(property=_key(at), action=action, summary=summary)

"""Taking a cluster down, and saying first what goes with it."""

from __future__ import annotations

import fnmatch
import os
from typing import Any

from provision import config, config_file, errors
from provision.engine import api, events
from provision.operations import state, status
from provision.operations.stack import Listener, Stack
from provision.provider.k3s import files as k3s_files
from provision.provider.k3s import folders, network
from provision.provider.media import files as media_files
from provision.provider.media import validation as media_validation


def losses(stack: Stack, *, keep_data: bool = False) -> list[str]:
    """Return, in one sentence each, what a destroy would take that Git cannot bring back.

    What the state does not have was not set up, and is not taken.
    """
    cfg = stack.config
    at = k3s_files.places({"options": cfg.k3s.options})
    made = {record.type: record for record in state.resources(stack)}
    media = made.get("elysium:node:MediaMount")
    mounted = [] if media is None else _media(cfg, media)
    if "elysium:node:K3sServer" not in made:
        return mounted
    found = [
        f"the cluster {cfg.cluster} on {cfg.server.host}, with every object in it",
        *_folders(cfg, at, keep_data=keep_data),
        *mounted,
    ]
    try:
        client = stack.live.kube(status.kubeconfig(stack))
        volumes = client.list("v1", "PersistentVolume")
    except errors.ElysiumError as error:
        found.append(f"volumes that could not be listed ({error.summary}); look under {at.storage}")
        return found
    for volume in volumes:
        path = _local_path(volume)
        if path is None:
            continue
        claim = volume["spec"].get("claimRef") or {}
        owner = f"{claim.get('namespace')}/{claim.get('name')}" if claim else "no claim"
        inside = _is_removed(path, at)
        fate = "stays (--keep-data)" if keep_data else "is deleted"
        fate = fate if inside else "stays: k3s did not make this folder"
        found.append(f"volume {volume['metadata']['name']} ({owner}) at {path}: {fate}")
    return found


def _is_removed(path: str, at: k3s_files.Places) -> bool:
    """Return whether a volume at `path` goes with k3s."""
    folder, _, name = folders.normal(path).rpartition("/")
    ours = folder == at.storage and folders.inside(at.storage, at.data)
    return ours and fnmatch.fnmatchcase(name, folders.VOLUMES)


def _folders(cfg: config.Config, at: k3s_files.Places, *, keep_data: bool) -> list[str]:
    """Return every folder of the node that is removed, and its network, in one sentence each."""
    paths = [at.within(name) for name in folders.INNER]
    if not keep_data and folders.inside(at.storage, at.data):
        paths.append(f"{at.storage}/{folders.VOLUMES}")
    paths += [at.kubelet, *folders.OTHERS]
    said = [f"folder {path} on {cfg.server.name}: what k3s made there" for path in paths]
    said.append(
        f"network of {cfg.server.name}: k3s' firewall rules, chains and sets, and the interfaces "
        f"{', '.join(network.INTERFACES)}"
    )
    return said


def _media(cfg: config.Config, record: state.Record) -> list[str]:
    """Return what goes with the media library as it was set up."""
    inputs = media_validation.filled(record.inputs)
    cache, mount_point = inputs["cacheDir"], inputs["mountPoint"]
    said = [
        f"folder {cache}/{name}/{media_files.REMOTE} on {cfg.server.name}: rclone's cache"
        for name in ("vfs", "vfsMeta")
    ]
    said.append(
        f"folder {mount_point} on {cfg.server.name}, if elysium made it: "
        "the mount point of the media library"
    )
    return said


def _local_path(volume: dict[str, Any]) -> str | None:
    spec = volume.get("spec", {})
    for source in ("hostPath", "local"):
        if source in spec:
            return str(spec[source].get("path"))
    return None


def destroy(
    stack: Stack,
    *,
    keep_data: bool = False,
    on_event: Listener,
    options: api.Options | None = None,
) -> api.Result:
    """Delete all that the stack made; commits in the repository stay.

    `keep_data` spares local-path volumes on the node. The sealing keys, without
    which the repository's SealedSecrets never open again, go from the state
    into the stack's configuration first, encrypted.
    """
    kept = keep_sealing_keys(stack)
    if kept:
        on_event(events.Diagnostic(severity="info", message=kept))
    stack.live.keep_data = keep_data
    return stack.engine().destroy(None, options=options or api.Options(), on_event=on_event)


def keep_sealing_keys(stack: Stack) -> str:
    """Write the state's sealing keys into the configuration, and say so; nothing where they are.

    Raises `errors.ConfigError` when the file cannot be written.
    """
    from provision.gitops.sealing import keyring
    from provision.gitops.sealing import keys as sealing_keys

    keys = keyring.load(state.sealing_keys(stack))
    given = stack.config.sealing.keys
    there = sealing_keys.read_keys(given.reveal()) if given else []
    if {key.fingerprint for key in keys} <= {key.fingerprint for key in there}:
        return ""
    project = config_file.open_project(stack.directory)
    path = project.stack_file(stack.ref.stack)
    config_file.set_value(
        path,
        "sealing.keys",
        keyring.dump(keyring.together(keys, there), stack.config.flux.namespace),
        secret=True,
        crypter=config_file.stack_crypter(project, stack.ref.stack, os.environ),
    )
    return (
        f"the sealing keys are kept, encrypted, as sealing.keys in {path.name}: "
        "the next cluster opens the repository's secrets with them"
    )

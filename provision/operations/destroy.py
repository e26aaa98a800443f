"""Taking a cluster down, and saying first what goes with it."""

from __future__ import annotations

import os
from typing import Any

from provision import config_file, errors
from provision.engine import api, events
from provision.operations import state, status
from provision.operations.stack import Listener, Stack

LOCAL_PATH = "/var/lib/rancher/k3s/storage"


def losses(stack: Stack, *, keep_data: bool = False) -> list[str]:
    """Return, in one sentence each, what a destroy would take that Git cannot bring back."""
    found = [
        f"the cluster {stack.config.cluster} on {stack.config.server.host}, with every object in it"
    ]
    try:
        client = stack.live.kube(status.kubeconfig(stack))
        volumes = client.list("v1", "PersistentVolume")
    except errors.ElysiumError as error:
        found.append(f"volumes that could not be listed ({error.summary}); look under {LOCAL_PATH}")
        return found
    for volume in volumes:
        path = _local_path(volume)
        if path is None:
            continue
        claim = volume["spec"].get("claimRef") or {}
        owner = f"{claim.get('namespace')}/{claim.get('name')}" if claim else "no claim"
        inside = path.startswith(LOCAL_PATH)
        fate = "stays (--keep-data)" if keep_data else "is deleted"
        fate = fate if inside else "stays: it is outside k3s' own directory"
        found.append(f"volume {volume['metadata']['name']} ({owner}) at {path}: {fate}")
    return found


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
        keyring.dump(keyring.together(keys, there), "flux-system"),
        secret=True,
        crypter=config_file.stack_crypter(project, stack.ref.stack, os.environ),
    )
    return (
        f"the sealing keys are kept, encrypted, as sealing.keys in {path.name}: "
        "the next cluster opens the repository's secrets with them"
    )

"""Looking at node, cluster and GitHub; writing the settings that describe them."""

from __future__ import annotations

import os

from provision import config_file, errors
from provision.operations.adoption import cluster, flux, model, node
from provision.operations.stack import Stack
from provision.progress import Progress, silent


def look(stack: Stack, progress: Progress = silent) -> model.Found:
    """Return what is on the node, in its cluster and on GitHub. Changes nothing.

    Raises `errors.PreflightError` when there is no k3s on the node.
    """
    progress("looking at the node")
    server, kubeconfig = node.k3s(stack)
    parts = [server, *node.media(stack)]
    if kubeconfig:
        progress("looking at the cluster and GitHub")
        parts += [flux.look(stack, kubeconfig), cluster.sealing(stack, kubeconfig)]
    settings = tuple(setting for part in parts for setting in part.settings)
    return model.Found(parts=tuple(parts), settings=model.lacking(stack.config, settings))


def write(stack: Stack, settings: tuple[model.Setting, ...]) -> None:
    """Write `settings` into the stack's file, one after the other.

    Raises `errors.ConfigError` for one that cannot be there; those before it
    are written, and a second look finds only what is left.
    """
    project = config_file.find_project(stack.directory)
    path = project.stack_file(stack.ref.stack)
    crypter = config_file.stack_crypter(project, stack.ref.stack, os.environ)
    for one in settings:
        try:
            config_file.set_value(path, one.key, one.text, secret=one.secret, crypter=crypter)
        except errors.ConfigError as error:
            raise errors.ConfigError(
                f"{one.key}, which describes what is there, cannot be set: {error.summary}",
                error.problems,
                hint=error.hint,
            ) from error

"""The life of a sandbox: up, down, status.

For working on what runs on a node there is a node alone, in about a second once
the root file system is cached::

    from provision.sandbox import lifecycle, node
    box = lifecycle.up_node("mine")          # a model.Sandbox
    node.run(box.node, "systemctl is-system-running").stdout
    node.reboot(box.node)
    lifecycle.down("mine")
"""

from __future__ import annotations

import contextlib
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from provision import errors, progress
from provision.sandbox import files, model, mounts, network, node, processes


def folder_of(name: str) -> Path:
    """Return the folder of the sandbox `name`.

    Raises:
        errors.ConfigError: when that cannot be a sandbox's name.
    """
    try:
        TypeAdapter(model.Name).validate_python(name)
    except ValidationError:
        problem = errors.Problem(
            message=f"{name!r} is no name for a sandbox",
            hint="use up to 32 lower-case letters, digits and hyphens",
        )
        raise errors.ConfigError("The sandbox's name is wrong.", [problem]) from None
    return files.state_root() / name


def file_of(name: str) -> Path:
    """Return the ``sandbox.json`` of the sandbox `name`."""
    return folder_of(name) / "sandbox.json"


def load(name: str) -> model.Sandbox:
    """Return the sandbox `name`, which must be up.

    Raises:
        errors.ElysiumError: when it is not.
    """
    return model.load(file_of(name))


def up_node(
    name: str,
    options: node.Options | None = None,
    say: progress.Progress = progress.silent,
) -> model.Sandbox:
    """Start a sandbox of a node alone; what an earlier one of that name left goes first.

    Raises:
        errors.ElysiumError: when it does not come up; then nothing of it remains.
    """
    folder = folder_of(name)
    with _held(name, say):
        _clean(name)
        try:
            net = network.create(name)
            started, _ = node.start(
                net,
                processes.Group.of(name),
                folder / "node",
                options or node.Options(),
                say,
            )
            sandbox = model.Sandbox(
                name=name, number=net.number, host_address=net.host_address, node=started
            )
            model.save(sandbox, file_of(name))
        except BaseException:
            _clean(name)
            raise
    return sandbox


def down(name: str, say: progress.Progress = progress.silent) -> bool:
    """Take the sandbox `name` down, in whatever state it is; return whether there was one."""
    with _held(name, say):
        return _clean(name)


def _held(name: str, say: progress.Progress) -> contextlib.AbstractContextManager[None]:
    folder_of(name)  # a name that is none must not become a file
    return files.locked(files.lock_file(name), what=f"sandbox {name}", say=say)


def _clean(name: str) -> bool:
    """Remove every trace of the sandbox `name`: processes, mounts, network, files."""
    folder = folder_of(name)
    there = folder.exists() or network.namespace_path(name).exists()
    processes.Group.of(name).kill()
    mounts.remove_tree(Path("/run/systemd/nspawn/propagate") / network.namespace_of(name))
    network.remove(name)
    mounts.remove_tree(folder)
    return there

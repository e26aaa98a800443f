"""Which stack's state a command is about, and giving a stack another name."""

from __future__ import annotations

from pathlib import Path

from provision import config_file, errors
from provision.engine import api
from provision.engine.state import stacks
from provision.fileio import atomic


def find_state(directory: Path, stack: str | None) -> api.StackRef:
    """Return the state of the stack `stack` (default: the only one) at or above `directory`.

    Needs no passphrase. A stack whose ``Pulumi.<stack>.yaml`` is gone is found
    by its name as long as its state is there. Raises `errors.ConfigError`, and
    `errors.StackError` for a backend that is not a folder.
    """
    project = config_file.find_project(directory)
    if not project.backend.startswith("file://"):
        raise errors.StackError(
            f"the state of this project is in {project.backend}, not in a folder",
            operation="open",
            hint="the pulumi program reads it: use `pulumi stack …` in this folder",
        )
    try:
        return ref_of(project, project.choose(stack))
    except errors.ConfigError:
        if stack is None or not stacks.exists(ref_of(project, stack)):
            raise
        return ref_of(project, stack)


def rename(directory: Path, stack: str | None, name: str) -> tuple[str, ...]:
    """Give a stack the name `name`: its file, its passphrase's file, its state.

    The copies come first and the old files go last, so that a run that was cut
    off can be run again. ``flux.path`` is written down where it followed from
    the name, since the repository keeps its folder. Returns what was done, in
    sentences. Raises `errors.ConfigError` and `errors.StackError`.
    """
    ref = find_state(directory, stack)
    project = config_file.find_project(directory)
    if not config_file.is_stack_name(name):
        raise errors.ConfigError(
            f"{name!r} is no name for a cluster",
            [],
            hint="lower-case letters, digits and hyphens, at most 63",
        )
    target = ref_of(project, name)
    before, after = project.stack_file(ref.stack), project.stack_file(name)
    if stacks.exists(ref) and stacks.exists(target):
        raise errors.StackError(f"there is a stack '{name}' already", operation="rename")
    done: list[str] = []
    if before.exists():
        _keep_path(before, ref.stack)
        if after.exists() and before.read_bytes() != after.read_bytes():
            raise errors.ConfigError(f"{after.name} is there already", [])
        _copy(before, after)
        done.append(f"{before.name} is now {after.name}")
    kept = config_file.passphrase_file(project.root, ref.stack)
    if kept.exists():
        kept_after = config_file.passphrase_file(project.root, name)
        _copy(kept, kept_after)
        done.append(f"its passphrase is in {kept_after}")
    if stacks.exists(ref):
        stacks.rename(ref, name)
        done.insert(0, f"the stack {ref.stack} is now {name}")
    for path in (before, kept):
        path.unlink(missing_ok=True)
    return tuple(done)


def ref_of(project: config_file.Project, stack: str) -> api.StackRef:
    """Return where the state of `stack` is. Contacts nothing."""
    return api.StackRef(
        root=project.root, project=project.name, stack=stack, backend=project.backend
    )


def _copy(path: Path, copy: Path) -> None:
    if not copy.exists():
        mode = path.stat().st_mode & 0o777
        atomic.write(copy, path.read_text(encoding="utf-8"), mode=mode)


def _keep_path(path: Path, cluster: str) -> None:
    loaded = config_file.read(path, None)
    if not loaded.config.flux.path:
        config_file.set_value(path, "flux.path", f"clusters/{cluster}")

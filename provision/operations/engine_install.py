"""Installing the programs of the upstream engine: pinned downloads, in elysium's own folder."""

from __future__ import annotations

import platform
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import platformdirs

from provision import config_file, errors
from provision.artifacts import catalog, store
from provision.engine.upstream import programs
from provision.fileio import atomic
from provision.progress import Progress, silent

_SYSTEMS: Final = {"Linux": "linux", "Darwin": "darwin"}
_MACHINES: Final = {"x86_64": "amd64", "amd64": "amd64", "aarch64": "arm64", "arm64": "arm64"}


@dataclass(frozen=True, kw_only=True)
class Installed:
    """One program. `changed` says whether this call put it there."""

    name: str
    version: str
    path: Path
    changed: bool


@dataclass(frozen=True, kw_only=True)
class Sources:
    """Where downloads come from: a mirror or the releases' hosts, and the pins file."""

    mirror: str = ""
    pins: Path | None = None


def sources(directory: Path, stack: str | None, mirror: str) -> Sources:
    """Return the sources of a cluster's configuration at or above `directory`.

    `mirror` replaces the configured one. Needs no passphrase. Without a cluster's folder, the
    pins are kept in the cache. Raises `errors.ConfigError` where `stack` is not there.
    """
    try:
        project = config_file.find_project(directory)
    except errors.ConfigError:
        if stack is not None:
            raise
        return Sources(mirror=mirror)
    names = project.stacks()
    name = stack or (names[0] if len(names) == 1 else "")
    configured: dict[str, str] = {}
    if name:
        configured = config_file.artifacts_of(project.stack_file(project.choose(name)))
    pins = configured.get("pins")
    return Sources(
        mirror=mirror or configured.get("mirror", ""),
        pins=Path(pins) if pins else project.root / "pins.json",
    )


def install(where: Sources, progress: Progress = silent) -> tuple[Installed, ...]:
    """Download the CLI and the ``kubernetes`` plugin, check them, and put them in place.

    What is in place and holds what is pinned stays. Raises `errors.ArtifactError` for a
    download that cannot be had or is not what its checksum says, and `errors.StackError`
    where Pulumi has no release for this machine or a file cannot be written.
    """
    kind = machine()
    cache = Path(platformdirs.user_cache_dir("elysium")) / "artifacts"
    downloads = store.ArtifactStore(where.mirror, where.pins, cache)
    cli = catalog.pulumi(programs.cli_version())
    plugin = catalog.pulumi_kubernetes(programs.plugin_version())
    wanted = ((cli, programs.installed_cli()), (plugin, programs.installed_plugin()))
    # Both are checked before one is put in place.
    fetched = [
        (artifact, target, downloads.fetch(artifact, kind, progress=progress))
        for artifact, target in wanted
    ]
    return tuple(
        Installed(
            name=artifact.name,
            version=artifact.version,
            path=target,
            changed=_place(source, target),
        )
        for artifact, target, source in fetched
    )


def machine() -> str:
    """Return this machine as the releases name it: ``linux-amd64``.

    Raises `errors.StackError` for one that elysium knows no release for.
    """
    system, arch = platform.system(), platform.machine()
    if system not in _SYSTEMS or arch.lower() not in _MACHINES:
        raise errors.StackError(
            f"elysium knows no release of Pulumi for {system} on {arch}",
            operation="install",
            hint="install the pulumi program yourself and put it on PATH",
        )
    return f"{_SYSTEMS[system]}-{_MACHINES[arch.lower()]}"


def _place(source: Path, target: Path) -> bool:
    """Copy `source` to `target` unless it is there already; return whether it was copied."""
    try:
        if _same(source, target):
            return False
        atomic.folder(target.parent)
        with tempfile.TemporaryDirectory(dir=target.parent, prefix=".part-") as name:
            temporary = Path(name) / target.name
            shutil.copyfile(source, temporary)
            temporary.chmod(0o755)
            atomic.move(temporary, target)
    except OSError as error:
        raise errors.StackError(
            f"{target} cannot be written",
            operation="install",
            detail=str(error),
            hint="check the space and the owner of that folder",
        ) from error
    return True


def _same(source: Path, target: Path) -> bool:
    if not target.is_file() or target.stat().st_size != source.stat().st_size:
        return False
    if not target.stat().st_mode & 0o100:
        return False
    with source.open("rb") as one, target.open("rb") as other:
        while chunk := one.read(1 << 20):
            if chunk != other.read(1 << 20):
                return False
    return True

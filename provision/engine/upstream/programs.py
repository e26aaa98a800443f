"""The programs that the upstream engine runs: the CLI and the ``kubernetes`` plugin.

``elysium engine install`` puts both into a folder of elysium's, each below the
version that belongs to the SDK here. What is not there is looked for where
Pulumi itself looks: on PATH, and for the plugin in Pulumi's own folder.
"""

from __future__ import annotations

import importlib.metadata
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import platformdirs

PLUGIN: Final = "pulumi-resource-kubernetes"
_PATIENCE: Final = 60
"""Seconds to wait for the version."""


@dataclass(frozen=True, kw_only=True)
class Command:
    """The CLI. `root` is the folder above its ``bin``, empty for the CLI on PATH."""

    path: Path
    root: str = ""


def cli_version() -> str:
    """Return the version of the CLI that belongs to the SDK here, as ``v3.272.0``."""
    return f"v{importlib.metadata.version('pulumi')}"


def plugin_version() -> str:
    """Return the version of the plugin that the program asks for, as ``v4.34.2``."""
    return f"v{importlib.metadata.version('pulumi-kubernetes')}"


def home() -> Path:
    """Return the folder that ``elysium engine install`` installs into."""
    return Path(platformdirs.user_data_dir("elysium")) / "engine"


def installed_cli() -> Path:
    """Return the path of the installed CLI, whether it is there or not."""
    return home() / f"pulumi-{cli_version()}" / "bin" / "pulumi"


def installed_plugin() -> Path:
    """Return the path of the installed plugin, whether it is there or not."""
    return home() / f"kubernetes-{plugin_version()}" / PLUGIN


def find_cli() -> Command | None:
    """Return the CLI that is used, None where there is none."""
    installed = installed_cli()
    if _runs(installed):
        return Command(path=installed, root=str(installed.parent.parent))
    on_path = shutil.which("pulumi")
    return Command(path=Path(on_path)) if on_path else None


def find_plugin() -> Path | None:
    """Return the ``kubernetes`` plugin that is used, None where there is none."""
    if _runs(installed_plugin()):
        return installed_plugin()
    if on_path := shutil.which(PLUGIN):
        return Path(on_path)
    cached = _pulumi_home() / "plugins" / f"resource-kubernetes-{plugin_version()}" / PLUGIN
    return cached if _runs(cached) else None


def version_of(command: Command) -> str:
    """Return the version that the CLI gives, as ``v3.272.0``.

    Raises `OSError` or `subprocess.SubprocessError` where it does not answer.
    """
    variables = {**os.environ, "PULUMI_SKIP_UPDATE_CHECK": "true"}
    done = subprocess.run(
        (str(command.path), "version"),
        env=variables,
        capture_output=True,
        text=True,
        check=True,
        timeout=_PATIENCE,
    )
    return done.stdout.strip()


def _pulumi_home() -> Path:
    return Path(os.environ.get("PULUMI_HOME") or Path.home() / ".pulumi")


def _runs(path: Path) -> bool:
    return path.is_file() and os.access(path, os.X_OK)

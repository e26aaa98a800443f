"""``Pulumi.yaml`` of a folder, for the program that came with elysium."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

from provision import errors
from provision.config_file import project


def write_own_project(root: Path, *, name: str = "elysium") -> Path | None:
    """Write ``Pulumi.yaml`` with this machine's paths; None if there is one.

    Raises `errors.ElysiumError` when the program is not installed.
    """
    if (root / "Pulumi.yaml").exists():
        return None
    spec = importlib.util.find_spec("stacks")
    places = spec.submodule_search_locations if spec is not None else None
    if not places:
        raise errors.ElysiumError(
            "the program that comes with elysium is not installed",
            hint="install elysium again: the package 'stacks' belongs to it",
        )
    prefix = sys.prefix if sys.prefix != sys.base_prefix else ""
    return project.write_project(
        root,
        name=name,
        main=str(next(iter(places))),
        plugin_dir=str(Path(sys.executable).parent),
        virtualenv=prefix,
    )

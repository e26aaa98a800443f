"""The folder the `pulumi` CLI works in, and what it is started with.

The user's own ``Pulumi.yaml`` and ``Pulumi.<stack>.yaml`` are left alone: a
run gets a folder of its own with both files made for it, configuration
secrets encrypted, and the passphrase in a file that only the user may read,
never in an argument and never in the environment.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import tempfile
from collections.abc import Generator, Mapping
from pathlib import Path
from typing import Any, Final

from provision import crypter, errors
from provision.engine import api
from provision.engine.state import backend
from provision.engine.upstream import programs
from provision.fileio import atomic, leftovers

MINIMUM: Final = (3, 250, 0)
"""Oldest CLI whose events and options are known to fit."""

_PREFIX: Final = "elysium-"
_DROPPED: Final = (
    "PULUMI_CONFIG_PASSPHRASE",
    "PULUMI_DEBUG_GRPC",
    "PULUMI_OPTIMIZED_CHECKPOINT_PATCH",
)


def find_command() -> programs.Command:
    """Return the CLI. Raises `errors.StackError` where there is none."""
    found = programs.find_cli()
    if found is None:
        raise errors.StackError(
            "there is no `pulumi` on PATH, and none that elysium installed",
            operation="upstream",
            hint=f"run `elysium engine install`, which brings {programs.cli_version()}, "
            "or leave --engine upstream away",
        )
    return found


def require_version(version: str) -> None:
    """Raise `errors.StackError` for a CLI that is too old."""
    parts = version.removeprefix("v").split("-")[0].split("+")[0].split(".")
    try:
        found = tuple(int(part) for part in parts[:3])
    except ValueError:
        found = ()
    if len(found) != 3 or found < MINIMUM:
        needed = ".".join(map(str, MINIMUM))
        raise errors.StackError(
            f"the Pulumi CLI has version {version}, and {needed} or newer is needed",
            operation="upstream",
            hint=f"run `elysium engine install`, which brings {programs.cli_version()}, "
            "or leave --engine upstream away",
        )


def plugin_paths(packages: Mapping[str, Any]) -> dict[str, Path]:
    """Return the folder of each package's plugin that is there: ours, and the ``kubernetes`` one.

    The CLI looks for the others itself, and may download one in the middle of a run.
    """
    folder = Path(sys.executable).parent
    found = {
        package: folder for package in packages if (folder / f"pulumi-resource-{package}").exists()
    }
    if "kubernetes" in packages and "kubernetes" not in found:
        plugin = programs.find_plugin()
        found |= {"kubernetes": plugin.parent} if plugin else {}
    return found


@contextlib.contextmanager
def prepared(
    ref: api.StackRef,
    options: api.Options,
    sealing: crypter.PassphraseCrypter,
    passphrase: str,
    plugins: Mapping[str, Path],
) -> Generator[tuple[Path, dict[str, str]]]:
    """Make the folder and yield it with the environment to add; both are gone afterwards."""
    leftovers.sweep(Path(tempfile.gettempdir()), _PREFIX)
    with (
        tempfile.TemporaryDirectory(prefix=_PREFIX) as name,
        leftovers.claim(Path(name)),
    ):
        folder = Path(name)
        project = {
            "name": ref.project,
            "runtime": "python",
            "backend": {"url": _absolute(ref)},
            "plugins": {
                "providers": [
                    {"name": package, "path": str(path)} for package, path in plugins.items()
                ]
            },
        }
        # JSON is YAML, and needs no writer of its own.
        atomic.write(folder / "Pulumi.yaml", json.dumps(project).encode(), sync=False)
        config: dict[str, Any] = dict(options.config)
        for key, secret in options.secret_config.items():
            config[key] = {"secure": sealing.encrypt(secret.reveal())}
        stack = {"encryptionsalt": sealing.salt, "config": config}
        atomic.write(folder / f"Pulumi.{ref.stack}.yaml", json.dumps(stack).encode(), sync=False)
        secret_file = folder / ".passphrase"
        atomic.write(secret_file, passphrase.encode(), sync=False)
        yield folder, environment(secret_file)


def environment(passphrase_file: Path) -> dict[str, str]:
    """Return what the CLI's environment gets in addition to ours."""
    return {
        "PULUMI_CONFIG_PASSPHRASE_FILE": str(passphrase_file),
        "PULUMI_SKIP_UPDATE_CHECK": "true",
        "PULUMI_AUTOMATION_API_SKIP_VERSION_CHECK": "true",
        "PULUMI_PYTHON_CMD": sys.executable,
    }


@contextlib.contextmanager
def clean_environment() -> Generator[None]:
    """Take variables out of our environment that the CLI must not inherit."""
    kept = {key: os.environ.pop(key) for key in _DROPPED if key in os.environ}
    try:
        yield
    finally:
        os.environ.update(kept)


def _absolute(ref: api.StackRef) -> str:
    """Return the backend's URL so that it means the same from any folder."""
    if not ref.backend.startswith("file://"):
        return ref.backend
    folder = backend.folder_of(ref.backend, ref.root).resolve()
    atomic.folder(folder)
    return f"file://{folder}"

"""From a folder and a name to everything a command needs of a stack's files."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from provision import config, errors
from provision.config_file import passphrase, project, reader
from provision.secret import Secret


@dataclass(frozen=True, kw_only=True)
class Opened:
    """A stack's files, read. `root` is the folder of ``Pulumi.yaml``."""

    root: Path
    project: str
    backend: str
    config: config.Config
    passphrase: Secret
    warnings: tuple[errors.Problem, ...]
    secrets: tuple[Secret, ...]
    """Every secret in the configuration, for masking what is printed."""


def open_stack(
    directory: Path, stack: str | None = None, *, environ: Mapping[str, str] | None = None
) -> Opened:
    """Read the stack named `stack` (default: the only one) at or above `directory`.

    Contacts nothing. Raises `errors.ConfigError` with every problem of the
    files, and `errors.StackError` when the passphrase is missing, or does not
    open the encrypted values.
    """
    environ = os.environ if environ is None else environ
    found = project.find_project(directory)
    name = found.choose(stack)
    crypter = passphrase.stack_crypter(found, name, environ)
    loaded = reader.read(found.stack_file(name), crypter)
    return Opened(
        root=found.root,
        project=found.name,
        backend=found.backend,
        config=loaded.config,
        passphrase=passphrase.find_passphrase(found.root, name, environ),
        warnings=loaded.warnings,
        secrets=loaded.secrets,
    )

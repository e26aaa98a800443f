"""Whether the programs of ``--engine upstream`` are there, before a node is contacted."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from provision import errors
from provision.engine.upstream import programs, workspace

_OURS = "pulumi-resource-elysium"
_WHERE = "this computer"


def require(*, kubernetes: bool = True) -> None:
    """Raise `errors.PreflightError` with every program that is missing or too old.

    `kubernetes` says whether the ``kubernetes`` plugin is needed. Contacts nothing.
    """
    problems = list(_problems(kubernetes=kubernetes))
    if problems:
        raise errors.PreflightError(
            "--engine upstream cannot be used here", problems, hint="nothing was changed"
        )


def _problems(*, kubernetes: bool) -> Iterator[errors.Problem]:
    hint = f"elysium engine install brings pulumi {programs.cli_version()}"
    command = programs.find_cli()
    if command is None:
        yield errors.Problem(
            message="there is no `pulumi` on PATH, and none that elysium installed",
            where=_WHERE,
            hint=hint,
            kind="no-pulumi",
        )
    else:
        try:
            workspace.require_version(programs.version_of(command))
        except errors.StackError as error:
            yield errors.Problem(
                message=error.summary, where=str(command.path), hint=hint, kind="old-pulumi"
            )
        except (OSError, subprocess.SubprocessError) as error:
            yield errors.Problem(
                message=f"it does not tell its version: {error}",
                where=str(command.path),
                hint=hint,
                kind="pulumi-fails",
            )
    if kubernetes and programs.find_plugin() is None:
        version = programs.plugin_version()
        yield errors.Problem(
            message=f"there is no {programs.PLUGIN} {version}: not from elysium, not on PATH, "
            "and not among Pulumi's plugins",
            where=_WHERE,
            hint="elysium engine install brings it, or pulumi plugin install resource kubernetes "
            + version,
            kind="no-kubernetes-plugin",
        )
    if not (Path(sys.executable).parent / _OURS).exists() and not shutil.which(_OURS):
        yield errors.Problem(
            message=f"there is no {_OURS} beside {sys.executable}",
            where=_WHERE,
            hint="install elysium again: it comes with it",
            kind="no-elysium-plugin",
        )

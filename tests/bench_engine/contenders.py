"""The engines that are measured: ours, the pulumi CLI where there is one, and the SDK alone.

Each has a folder of its own with a stack in it, and runs one operation as one
process, with an empty home and nothing of the user's settings.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Literal, Protocol

from tests.bench import figures, machine

Operation = Literal["preview", "first up", "no-op up", "no-op preview", "refresh", "destroy"]
OPERATIONS: tuple[Operation, ...] = (
    *("preview", "first up", "no-op up", "no-op preview", "refresh", "destroy"),
)
"""In the order in which a stack goes through them."""
FLOOR = "the SDK alone (floor)"
IN_PROCESS = ("preview", "no-op up", "no-op preview")
"""What is also measured with upstream's program in the calling process."""
_ROOT = Path(__file__).parents[2]
_DRIVERS = Path(__file__).parent / "drivers"
_METHODS = {"first up": "up", "no-op up": "up", "no-op preview": "preview"}


class Contender(Protocol):
    """One engine and its stack."""

    name: str

    def run(self, operation: Operation, count: int, shape: str) -> machine.Ran:
        """Run one operation on a program of `count` resources. Raises `machine.Failed`."""
        ...


class Embedded:
    """The embedded engine."""

    name = figures.ELYSIUM

    def __init__(self, folder: Path) -> None:
        self._folder = _made(folder)

    def run(self, operation: Operation, count: int, shape: str) -> machine.Ran:
        """Run it, and see that it did what it had to."""
        argv = (sys.executable, "-m", "tests.bench_engine.drivers.embedded")
        method = _METHODS.get(operation, operation)
        environ = _environment(self._folder, count, shape)
        ran = machine.measure((*argv, method, str(self._folder)), environ=environ)
        expect(operation, count, json.loads(ran.output))
        return ran

    def trace(self, operation: Operation) -> machine.Ran:
        """Run it without resources; its output names what it imports, as ``-X importtime``."""
        argv = (sys.executable, "-m", "tests.bench_engine.drivers.embedded")
        environ = _environment(self._folder, 0, "chained") | {"PYTHONPROFILEIMPORTTIME": "1"}
        argv = (*argv, _METHODS.get(operation, operation), str(self._folder))
        return machine.measure(argv, environ=environ)


class Floor:
    """The SDK against a monitor that answers at once; the same for every operation."""

    name = FLOOR

    def __init__(self, folder: Path) -> None:
        self._folder = _made(folder)

    def run(self, operation: Operation, count: int, shape: str) -> machine.Ran:
        """Run the program."""
        del operation
        argv = (sys.executable, "-m", "tests.bench_engine.drivers.floor")
        return machine.measure(argv, environ=_environment(self._folder, count, shape))


class Upstream:
    """The pulumi CLI on PATH, as it is typed; the provider is a plugin process."""

    def __init__(self, folder: Path) -> None:
        """Make the project and its stack. Raises `machine.Failed` where the CLI cannot."""
        self._folder = _made(folder)
        self.name = f"pulumi {version()}"
        self._project()
        self._pulumi(("stack", "init", "dev", "--secrets-provider", "passphrase"), 0, "chained")

    def run(
        self, operation: Operation, count: int, shape: str, *, in_process: bool = False
    ) -> machine.Ran:
        """Run it, and see that it did what it had to.

        With `in_process` the program runs in the process that calls the CLI,
        which then starts no language host: upstream at its quickest.
        """
        method = _METHODS.get(operation, operation)
        options = ("--stack", "dev", "--color", "never", "--suppress-progress")
        go = () if method == "preview" else ("--yes", "--skip-preview")
        ran = self._pulumi((method, *options, *go), count, shape, in_process=in_process)
        if method != "preview":
            expect(operation, count, self._counts())
        return ran

    def _pulumi(
        self, arguments: tuple[str, ...], count: int, shape: str, *, in_process: bool = False
    ) -> machine.Ran:
        python = (sys.executable, "-m", "tests.bench_engine.drivers.upstream")
        argv = (*(python if in_process else ("pulumi",)), *arguments, "--non-interactive")
        environ = _environment(self._folder, count, shape) | {
            "PULUMI_HOME": str(self._folder / "home"),
            "PULUMI_CONFIG_PASSPHRASE": "bench",
            "PULUMI_SKIP_UPDATE_CHECK": "true",
            "PULUMI_PYTHON_CMD": sys.executable,
        }
        return machine.measure(argv, environ=environ, folder=self._folder, timeout=900)

    def _project(self) -> None:
        plugin = self._folder / "plugin"
        plugin.mkdir()
        script = plugin / "pulumi-resource-bench"
        script.write_text(f'#!/bin/sh\nexec {sys.executable} {_DRIVERS / "trivial.py"} "$@"\n')
        script.chmod(0o755)
        state = _made(self._folder / "state")
        project = {
            "name": "bench",
            "runtime": "python",
            "backend": {"url": f"file://{state}"},
            "plugins": {"providers": [{"name": "bench", "path": str(plugin)}]},
        }
        program = "from tests.bench_engine.drivers import trivial\n\ntrivial.make_as_told()\n"
        (self._folder / "__main__.py").write_text(program)
        # JSON is YAML.
        (self._folder / "Pulumi.yaml").write_text(json.dumps(project))

    def _counts(self) -> Mapping[str, int]:
        """Return what the last operation did, as the CLI wrote it into its history."""
        folder = self._folder / "state/.pulumi/history/bench/dev"
        last = max(folder.glob("*.history.json"), key=lambda path: path.name)
        found: Mapping[str, int] = json.loads(last.read_text())["resourceChanges"]
        return found


def version() -> str:
    """Return the version of the `pulumi` on PATH, empty where there is none."""
    if shutil.which("pulumi") is None:
        return ""
    try:
        said = subprocess.run(
            ("pulumi", "version"), capture_output=True, text=True, check=True, timeout=60
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return said.stdout.strip().removeprefix("v")


def expect(operation: Operation, count: int, counts: Mapping[str, int]) -> None:
    """Raise `machine.Failed` unless every resource and the stack itself took the right step.

    An engine that did less must not count as quick.
    """
    step = {"preview": "create", "first up": "create", "destroy": "delete"}.get(operation, "same")
    done = {kind: number for kind, number in counts.items() if number}
    # Upstream counts what a refresh of the unchanged leaves as it is, or does not count it.
    if done.get(step, 0) < count or set(done) - {step}:
        raise machine.Failed(f"{operation} of {count} resources did {dict(counts)}")


def _environment(folder: Path, count: int, shape: str) -> dict[str, str]:
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "LC_ALL": "C.UTF-8",
        "PYTHONPATH": str(_ROOT),
        "BENCH_COUNT": str(count),
        "BENCH_SHAPE": shape,
    }


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True)
    return folder

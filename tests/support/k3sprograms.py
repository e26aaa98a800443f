"""The k3s programs that the life of a server is tried with: the sandbox's, and real ones.

``ELYSIUM_REAL_K3S=OLDER:NEWER`` names two real ones of following versions, or one.
The archive of a version's images is beside its program where that has one
(``PROGRAM-airgap-images.tar.zst``).
"""

from __future__ import annotations

import hashlib
import os
import pathlib
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass

from provision.provider.k3s import plan
from provision.sandbox import build, kubeletlimits, mirror, model, node
from tests.support import lab as labs

VARIABLE = "ELYSIUM_REAL_K3S"
SUFFIX = "-airgap-images.tar.zst"
IMAGES = "/var/lib/rancher/k3s/agent/images"


@dataclass(frozen=True, kw_only=True)
class Programs:
    """Versions of k3s, oldest first, with the file of each; the sandbox's own have none."""

    versions: tuple[str, ...]
    files: Mapping[str, pathlib.Path]

    @property
    def real(self) -> bool:
        """Whether these are real ones."""
        return bool(self.files)

    @property
    def with_images(self) -> bool:
        """Whether each has the archive of its images."""
        return self.real and all(_archive(path).exists() for path in self.files.values())

    def publish(self, sandbox: model.Sandbox) -> None:
        """Put them into the sandbox's mirror, as releases."""
        assert sandbox.artifacts is not None and sandbox.artifacts.mirror is not None
        releases = sandbox.artifacts.mirror / "github.com/k3s-io/k3s/releases/download"
        for version, path in self.files.items():
            _publish(releases / version, path)


def in_sandbox() -> Programs:
    """Return the sandbox's own."""
    return Programs(versions=mirror.K3S_VERSIONS, files={})


def real() -> Programs | None:
    """Return the real ones that the environment names, None where it names none."""
    paths = [pathlib.Path(one) for one in os.environ.get(VARIABLE, "").split(":") if one]
    found = {_version(path): path for path in paths}
    versions = tuple(sorted(found, key=plan.order))
    return Programs(versions=versions, files=found) if found else None


def prepare(lab: labs.Lab, programs: Programs) -> None:
    """Make the node, which is new, fit for a real k3s."""
    if programs.real:
        for path, content in kubeletlimits.files().items():
            folder = pathlib.PurePosixPath(path).parent
            lab.on_node(f"mkdir -p {folder} && cat >{path}", stdin=content)


def give_images(lab: labs.Lab, programs: Programs) -> None:
    """Place the images of the sandbox's own programs where a real k3s imports them from.

    The sandbox's k3s has them already.
    """
    if programs.real:
        lab.on_node(f"mkdir -p {IMAGES} && cp {node.OPT}/images/sandbox.tar {IMAGES}")


def _version(path: pathlib.Path) -> str:
    said = subprocess.run(  # it calls itself by the name that it was started by
        ["k3s", "--version"], executable=path, capture_output=True, text=True, check=True
    )
    version = plan.parse_version(said.stdout)
    assert plan.order(version), f"{path} --version names no release of k3s: {said.stdout}"
    return version


def _archive(path: pathlib.Path) -> pathlib.Path:
    return path.with_name(path.name + SUFFIX)


def _publish(folder: pathlib.Path, program: pathlib.Path) -> None:
    arch = build.goarch()
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    names = {program: "k3s" if arch == "amd64" else f"k3s-{arch}"}
    if _archive(program).exists():
        names[_archive(program)] = f"k3s-airgap-images-{arch}.tar.zst"
    lines: list[str] = []
    for source, name in names.items():
        shutil.copyfile(source, folder / name)
        with source.open("rb") as file:
            lines.append(f"{hashlib.file_digest(file, 'sha256').hexdigest()}  {name}\n")
    (folder / f"sha256sum-{arch}.txt").write_text("".join(lines))

"""The releases that elysium downloads, laid out as on their own hosts.

The sandbox cannot have the real ones of k3s and Flux: what is laid out under
their names is the stand-in, which says so in ``--version``. rclone is the real
one, from its wheel. A file ``MIRROR/HOST/PATH`` answers ``https://HOST/PATH``.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import shutil
import tarfile
import tempfile
import zipfile
from collections.abc import Mapping
from pathlib import Path

from provision.sandbox import azure, build

K3S_VERSIONS = ("v1.36.2+k3s1", "v1.36.3+k3s1")
"""What the mirror offers; the first is for trying an upgrade."""
FLUX_VERSION = "v2.9.3"
RCLONE_VERSION = "v1.75.2"
SEALED_SECRETS_VERSION = "v0.27.1"
_MAGIC = b"ELYSATT1"  # as the stand-in's package attach reads it
_SUFFIX = {"amd64": "", "arm64": "-arm64", "arm": "-armhf"}


def build_into(target: Path, bin_dir: Path) -> None:
    """Lay out below `target` the releases made of the programs in `bin_dir`.

    The CRDs are in the folder ``crds`` beside `bin_dir`. The files are made
    once into the cache and linked from there.

    Raises:
        OSError: when a file cannot be read or written.
    """
    standin = bin_dir / "standin"
    crds = {
        path.name: path.read_text() for path in sorted((bin_dir.parent / "crds").glob("*.yaml"))
    }
    rclone = Path(azure.rclone_program())
    cached = bin_dir.parent.with_name(f"mirror-{_key(standin, crds, rclone)}")
    if not cached.exists():
        _publish(cached, standin.read_bytes(), crds, rclone)
    shutil.copytree(cached, target, copy_function=_link, dirs_exist_ok=True)


def _key(standin: Path, crds: Mapping[str, str], rclone: Path) -> str:
    digest = hashlib.sha256(Path(__file__).read_bytes())
    for program in (standin, rclone):
        with program.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    digest.update(json.dumps(crds, sort_keys=True).encode())
    return digest.hexdigest()[:16]


def _link(source: str, target: str) -> None:
    Path(target).unlink(missing_ok=True)
    try:
        os.link(source, target)
    except OSError:  # another file system
        shutil.copy2(source, target)


def _publish(cached: Path, standin: bytes, crds: Mapping[str, str], rclone: Path) -> None:
    cached.parent.mkdir(parents=True, exist_ok=True)
    making = Path(tempfile.mkdtemp(dir=cached.parent, prefix=f".{cached.name}-"))
    try:
        making.chmod(0o755)
        _k3s(making, standin)
        _flux(making, standin, crds)
        _rclone(making, rclone)
        _sealed_secrets(making, crds)
        making.rename(cached)
    except FileExistsError:
        shutil.rmtree(making)  # another process was first
    except OSError:
        shutil.rmtree(making)
        if not cached.exists():
            raise


def attached(program: bytes, version: str, crds: Mapping[str, str] | None = None) -> bytes:
    """Return `program`, a stand-in, claiming `version` and carrying `crds`."""
    data = json.dumps({"version": version, "crds": dict(crds or {})}, sort_keys=True)
    packed = gzip.compress(data.encode(), mtime=0)
    return program + packed + len(packed).to_bytes(8, "big") + _MAGIC


def _k3s(root: Path, standin: bytes) -> None:
    arch = build.goarch()
    for version in K3S_VERSIONS:
        folder = root / "github.com/k3s-io/k3s/releases/download" / version
        name = f"k3s{_SUFFIX.get(arch, '')}"
        _write(folder / name, attached(standin, version), mode=0o755)
        _checksums(folder, f"sha256sum-{arch}.txt", [name])


def _flux(root: Path, standin: bytes, crds: Mapping[str, str]) -> None:
    plain, arch = FLUX_VERSION.removeprefix("v"), build.goarch()
    folder = root / "github.com/fluxcd/flux2/releases/download" / FLUX_VERSION
    name = f"flux_{plain}_linux_{arch}.tar.gz"
    program = attached(standin, FLUX_VERSION, crds)
    packed = io.BytesIO()
    with (
        gzip.GzipFile(fileobj=packed, mode="wb", compresslevel=1, mtime=0) as stream,
        tarfile.open(fileobj=stream, mode="w") as archive,
    ):
        member = tarfile.TarInfo("flux")
        member.size, member.mode = len(program), 0o755
        archive.addfile(member, io.BytesIO(program))
    _write(folder / name, packed.getvalue())
    _checksums(folder, f"flux_{plain}_checksums.txt", [name])


def _rclone(root: Path, program: Path) -> None:
    arch = build.goarch()
    stem = f"rclone-{RCLONE_VERSION}-linux-{'arm-v7' if arch == 'arm' else arch}"
    folder = root / "downloads.rclone.org" / RCLONE_VERSION
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        info = zipfile.ZipInfo(f"{stem}/rclone")
        info.external_attr = 0o755 << 16
        info.compress_type = zipfile.ZIP_DEFLATED
        archive.writestr(info, program.resolve().read_bytes())
    _write(folder / f"{stem}.zip", packed.getvalue())
    _checksums(folder, "SHA256SUMS", [f"{stem}.zip"])


def _sealed_secrets(root: Path, crds: Mapping[str, str]) -> None:
    release = "github.com/bitnami-labs/sealed-secrets/releases/download"
    text = "\n---\n".join(text for name, text in crds.items() if name.startswith("bitnami.com_"))
    _write(root / release / SEALED_SECRETS_VERSION / "controller.yaml", text.encode())


def _write(path: Path, data: bytes, mode: int = 0o644) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    path.chmod(mode)


def _checksums(folder: Path, name: str, files: list[str]) -> None:
    lines = [
        f"{hashlib.sha256((folder / file).read_bytes()).hexdigest()}  {file}\n" for file in files
    ]
    _write(folder / name, "".join(lines).encode())

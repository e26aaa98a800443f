"""Container images of the sandbox's own programs: one OCI archive, as k3s imports it.

An image has no base: a program, which is linked statically, and what it reads.
A layer that several images have is in the archive once. The layout is that of
the OCI image format, the names are where containerd looks for them.
"""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

_BLOCK = 1 << 20
_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
_CONFIG = "application/vnd.oci.image.config.v1+json"
_LAYER = "application/vnd.oci.image.layer.v1.tar"
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass(frozen=True, kw_only=True)
class Image:
    """One image: its names, what it holds by path, and how it starts.

    `names` have their registry and tag. Of `files` each goes from a place on
    this machine to one in the image, and `links` are the image's symbolic links.
    """

    names: tuple[str, ...]
    files: Mapping[str, Path]
    entrypoint: tuple[str, ...]
    links: Mapping[str, str] = field(default_factory=dict[str, str])
    environment: tuple[str, ...] = ()
    user: str = "65534:65534"


@dataclass(frozen=True)
class _Blob:
    digest: str
    size: int

    def descriptor(self, kind: str) -> dict[str, object]:
        return {"mediaType": kind, "digest": self.digest, "size": self.size}


def write(target: Path, images: Sequence[Image], architecture: str) -> None:
    """Write the archive of `images` to `target`.

    The same images make the same bytes.

    Raises:
        OSError: when a file cannot be read or written.
    """
    with tarfile.open(target, "w") as archive:
        writer = _Writer(archive)
        entries = [entry for image in images for entry in _entries(writer, image, architecture)]
        index = {"schemaVersion": 2, "manifests": entries}
        writer.add("index.json", json.dumps(index).encode())
        writer.add("oci-layout", b'{"imageLayoutVersion": "1.0.0"}')


def write_layer(target: Path, content: Mapping[str, Path]) -> None:
    """Write the layer of an image that holds `content`, by path, to `target`.

    Raises:
        OSError: when a file cannot be read or written.
    """
    with tarfile.open(target, "w") as layer:
        _fill(layer, content, {})


class _Writer:
    """Puts blobs into an archive, each once."""

    def __init__(self, archive: tarfile.TarFile) -> None:
        self.archive = archive
        self._there: set[str] = set()
        self._layers: dict[str, _Blob] = {}

    def add(self, name: str, content: bytes) -> None:
        member = tarfile.TarInfo(name)
        member.size = len(content)
        self.archive.addfile(member, io.BytesIO(content))

    def blob(self, content: IO[bytes], size: int) -> _Blob:
        found = _Blob(f"sha256:{_sha256(content)}", size)
        if found.digest not in self._there:
            self._there.add(found.digest)
            member = tarfile.TarInfo(f"blobs/sha256/{found.digest.removeprefix('sha256:')}")
            member.size = size
            content.seek(0)
            self.archive.addfile(member, content)
        return found

    def document(self, value: object) -> _Blob:
        content = json.dumps(value, sort_keys=True).encode()
        return self.blob(io.BytesIO(content), len(content))

    def layer(self, image: Image) -> _Blob:
        key = repr((sorted(image.files.items()), sorted(image.links.items())))
        if key not in self._layers:
            with tempfile.TemporaryFile() as file:
                with tarfile.open(fileobj=file, mode="w") as layer:
                    _fill(layer, image.files, image.links)
                self._layers[key] = self.blob(file, file.tell())
        return self._layers[key]


def _sha256(content: IO[bytes]) -> str:
    digest = hashlib.sha256()
    content.seek(0)
    while block := content.read(_BLOCK):
        digest.update(block)
    return digest.hexdigest()


def _fill(layer: tarfile.TarFile, content: Mapping[str, Path], links: Mapping[str, str]) -> None:
    folders = {
        str(folder)
        for path in (*content, *links)
        for folder in Path(path.lstrip("/")).parents
        if str(folder) != "."
    } | {"tmp"}
    for name in sorted(folders):
        member = tarfile.TarInfo(name)
        member.type, member.mode = tarfile.DIRTYPE, 0o1777 if name == "tmp" else 0o755
        layer.addfile(member)
    for path, source in sorted(content.items()):
        member = tarfile.TarInfo(path.lstrip("/"))
        about = source.stat()
        member.size, member.mode = about.st_size, about.st_mode & 0o755
        with source.open("rb") as file:
            layer.addfile(member, file)
    for path, destination in sorted(links.items()):
        member = tarfile.TarInfo(path.lstrip("/"))
        member.type, member.linkname = tarfile.SYMTYPE, destination
        layer.addfile(member)


def _entries(writer: _Writer, image: Image, architecture: str) -> Iterator[dict[str, object]]:
    layer = writer.layer(image)
    config = writer.document(
        {
            "architecture": architecture,
            "os": "linux",
            "config": {
                "Entrypoint": list(image.entrypoint),
                "Env": [f"PATH={_PATH}", *image.environment],
                "User": image.user,
                "WorkingDir": "/",
            },
            "rootfs": {"type": "layers", "diff_ids": [layer.digest]},
        }
    )
    manifest = writer.document(
        {
            "schemaVersion": 2,
            "mediaType": _MANIFEST,
            "config": config.descriptor(_CONFIG),
            "layers": [layer.descriptor(_LAYER)],
        }
    )
    for name in image.names:
        yield {
            **manifest.descriptor(_MANIFEST),
            "annotations": {
                "io.containerd.image.name": name,
                "org.opencontainers.image.ref.name": name.rpartition(":")[2],
            },
            "platform": {"architecture": architecture, "os": "linux"},
        }

"""A backup bundle: one age file around a gzipped tar, the manifest first.

``age -d FILE | tar xz`` opens it; ``docs/bundle.md`` describes the format for
people and other programs. Reading gives out nothing before all of it was
checked: every part that the manifest names is there, once, with its size and
sha256, and there is nothing else.

All of it happens in memory, so that no plaintext reaches a disk: the parts
together may have `manifest.MAX_BYTES`, and about four times their size of
memory is in use meanwhile.
"""

from __future__ import annotations

import dataclasses
import gzip
import hashlib
import io
import json
import tarfile
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from provision import errors
from provision.recovery.bundle import encryption, manifest, parts, signature, tarstream

Manifest = manifest.Manifest
_LEVEL: Final = 6
_MAX_VALUES: Final = 5_000_000
"""Values of one JSON part: in memory, each takes a hundred times its byte."""
_ANOTHER: Final = "take the same file from another place it was copied to, or an earlier backup"


@dataclass(frozen=True, kw_only=True)
class Part:
    """One part to be packed. `source` is its path on the node, if it comes from there."""

    name: str
    content: bytes = field(repr=False)
    kind: str = ""
    source: str = ""
    mode: int = 0o600


@dataclass(frozen=True, kw_only=True)
class Bundle:
    """A bundle that was read and checked. `signed` is what its signature says."""

    manifest: Manifest
    contents: Mapping[str, bytes] = field(repr=False)
    signed: signature.Checked = field(default_factory=signature.Checked)

    def read(self, name: str) -> bytes:
        """Return the part `name`. Raises `errors.BundlePartError` when there is none."""
        try:
            return self.contents[name]
        except KeyError:
            raise errors.BundlePartError(
                f"the backup of {self.manifest.cluster} has no part {name}", part=name
            ) from None

    def json(self, name: str) -> Any:
        """Return what the JSON of the part `name` says. Raises `errors.BundlePartError`."""
        content = self.read(name)
        values = sum(content.count(sign) for sign in (b",", b"[", b"{"))
        if values > _MAX_VALUES:
            raise errors.BundlePartError(
                f"the part {name} has more than {_MAX_VALUES} values", part=name, hint=_ANOTHER
            )
        try:
            return json.loads(content)
        except (ValueError, RecursionError):
            raise errors.BundlePartError(f"the part {name} is not JSON", part=name) from None


def without(found: Bundle, name: str) -> Bundle:
    """Return `found` without its part `name`, which need not be there."""
    rest = tuple(info for info in found.manifest.parts if info.name != name)
    return dataclasses.replace(
        found,
        manifest=found.manifest.model_copy(update={"parts": rest}),
        contents={key: content for key, content in found.contents.items() if key != name},
    )


def read(file: bytes, keys: encryption.Keys) -> Bundle:
    """Return the bundle in the age file `file`.

    Raises the errors of `encryption.decrypt` and `unpack`.
    """
    return unpack(encryption.decrypt(file, keys))


def pack(described: Manifest, contents: Iterable[Part]) -> tuple[Manifest, bytes]:
    """Return `described` with the parts listed, and the archive of it and `contents`.

    The same input gives the same bytes. Raises `errors.BundlePartError` when a
    part that every bundle has is missing, one comes twice, or all together are
    larger than `manifest.MAX_BYTES`.
    """
    chosen = tuple(contents)
    infos = tuple(
        manifest.PartInfo(
            name=part.name,
            kind=part.kind,
            size=len(part.content),
            sha256=hashlib.sha256(part.content).hexdigest(),
            source=part.source,
            mode=part.mode,
        )
        for part in chosen
    )
    listed = described.model_copy(update={"parts": infos})
    manifest.check(listed)
    out = io.BytesIO()
    with (
        gzip.GzipFile(fileobj=out, mode="wb", compresslevel=_LEVEL, mtime=0) as squeezed,
        tarfile.open(fileobj=squeezed, mode="w", format=tarfile.PAX_FORMAT) as tar,
    ):
        _add(tar, parts.MANIFEST, listed.dump(), 0o600)
        for part in chosen:
            _add(tar, part.name, part.content, part.mode)
    return listed, out.getvalue()


def unpack(archive: bytes) -> Bundle:
    """Return the bundle in `archive`, every part checked against the manifest.

    Raises `errors.BundleSchemaError` for one of a newer elysium,
    `errors.BundlePartError` for a part that is missing, surplus or other than
    the manifest says, `errors.BundleDamagedError` when it is no such archive.
    """
    found, members = _members(archive)
    for info in found.parts:
        content = members.get(info.name)
        if content is None:
            raise errors.BundlePartError(
                f"the backup lacks its part {info.name}", part=info.name, hint=_ANOTHER
            )
        if len(content) != info.size or hashlib.sha256(content).hexdigest() != info.sha256:
            raise _another_part(info.name)
    return Bundle(manifest=found, contents=members)


def _members(archive: bytes) -> tuple[Manifest, dict[str, bytes]]:
    """Return the manifest, which must be the first file of the archive, and the others by name.

    Nothing is read that is larger than it may be, or than the manifest says.
    """
    found: dict[str, bytes] = {}
    described: list[Manifest] = []
    sizes: dict[str, int] = {}

    def check(header: tarfile.TarInfo) -> None:
        name = header.name
        if not header.isreg() or name in found or (described and name == parts.MANIFEST):
            raise errors.BundleDamagedError(
                f"the backup's archive is not as elysium writes it, at {name}"
            )
        if not described and name != parts.MANIFEST:
            raise manifest.absent()
        if not described and header.size > manifest.MAX_MANIFEST:
            raise manifest.too_large_itself()
        if described and name not in sizes:
            raise errors.BundlePartError(
                f"the backup has a part {name} that its manifest does not know", part=name
            )
        if described and header.size != sizes[name]:
            raise _another_part(name)

    # The manifest, and tar's own blocks: a header and padding for each member.
    around = 64 * 1024**2
    stream = tarstream.Gunzip(archive, manifest.MAX_BYTES + around)
    try:
        for member in tarstream.members(stream.read, check):
            if described:
                found[member.header.name] = member.content
            else:
                described.append(manifest.load(member.content))
                sizes |= {info.name: info.size for info in described[0].parts}
    except tarstream.LimitError as error:
        raise errors.BundlePartError(
            f"the backup's archive is larger than a backup may be: {error}", part="", hint=_ANOTHER
        ) from error
    except (tarfile.TarError, EOFError, OSError, zlib.error, ValueError) as error:
        raise errors.BundleDamagedError(
            "the backup's archive is damaged or cut short", detail=str(error), hint=_ANOTHER
        ) from error
    if not described:
        raise manifest.absent()
    return described[0], found


def _another_part(name: str) -> errors.BundlePartError:
    return errors.BundlePartError(
        f"the backup's part {name} is not what its manifest says", part=name, hint=_ANOTHER
    )


def _add(tar: tarfile.TarFile, name: str, content: bytes, mode: int) -> None:
    member = tarfile.TarInfo(name)
    member.size, member.mode = len(content), mode
    tar.addfile(member, io.BytesIO(content))

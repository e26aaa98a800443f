"""A bundle of any size and shape is refused within limits, which the error names."""

from __future__ import annotations

import gzip
import hashlib
import io
import tarfile
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from provision import errors
from provision.recovery.backup import catalog
from provision.recovery.bundle import archive as bundle_archive
from provision.recovery.bundle import manifest, parts, tarstream
from tests.support import bundles

MIB = 1024**2
LARGE = 192 * MIB


def unpacked_tar() -> bytes:
    return gzip.decompress(bundle_archive.pack(bundles.described(), bundles.contents())[1])


def header(name: str, size: int, kind: bytes = tarfile.REGTYPE) -> bytes:
    member = tarfile.TarInfo(name)
    member.size, member.type = size, kind
    return member.tobuf(tarfile.GNU_FORMAT)


def squeezed(*pieces: bytes) -> bytes:
    out = io.BytesIO()
    with gzip.GzipFile(fileobj=out, mode="wb", compresslevel=1) as file:
        for piece in pieces:
            file.write(piece)
    return out.getvalue()


def zeros(count: int) -> list[bytes]:
    return [bytes(MIB)] * (count // MIB)


def described(*infos: manifest.PartInfo) -> Iterator[bytes]:
    """Yield the first member of an archive: the manifest, with `infos` beside what is needed."""
    listed = bundle_archive.pack(bundles.described(), bundles.contents())[0]
    text = listed.model_copy(update={"parts": (*listed.parts, *infos)}).dump()
    yield header(parts.MANIFEST, len(text))
    yield text + bytes(-len(text) % 512)


def of_many(count: int) -> Iterator[bytes]:
    empty = hashlib.sha256().hexdigest()
    names = [f"m{number}" for number in range(count)]
    yield from described(*(manifest.PartInfo(name=name, size=0, sha256=empty) for name in names))
    for name in names:
        yield header(name, 0)


BOMBS: dict[str, tuple[Callable[[], bytes], str]] = {
    "a pax header": (
        lambda: squeezed(header("x", LARGE, tarfile.XHDTYPE), *zeros(LARGE)),
        "larger than 64 KiB",
    ),
    "a global pax header": (
        lambda: squeezed(header("x", LARGE, tarfile.XGLTYPE), *zeros(LARGE)),
        "not one|not as elysium",
    ),
    "a long name": (
        lambda: squeezed(header("x", LARGE, tarfile.GNUTYPE_LONGNAME), *zeros(LARGE)),
        "larger than 64 KiB",
    ),
    "a long link": (
        lambda: squeezed(header("x", LARGE, tarfile.GNUTYPE_LONGLINK), *zeros(LARGE)),
        "larger than 64 KiB",
    ),
    "many members": (
        lambda: squeezed(*of_many(10_001)),
        "more than 10000 members",
    ),
    "a manifest": (
        lambda: squeezed(header(parts.MANIFEST, LARGE), *zeros(LARGE)),
        "manifest is larger than 8 MiB",
    ),
    "a part that is larger than the manifest says": (
        lambda: squeezed(*described(), header(parts.PROJECT, LARGE), *zeros(LARGE)),
        r"part stack/Pulumi\.yaml is not what its manifest says",
    ),
    "a part that the manifest does not know": (
        lambda: squeezed(*described(), header("x", LARGE), *zeros(LARGE)),
        "has a part x that its manifest does not know",
    ),
    "bytes behind the end": (
        lambda: squeezed(unpacked_tar(), b"x" * MIB),
        "damaged",
    ),
    "a second gzip stream": (
        lambda: squeezed(unpacked_tar()) + squeezed(b""),
        "damaged",
    ),
}


@pytest.mark.parametrize("kind", BOMBS)
def test_what_is_too_much_is_refused_in_little_memory(kind: str) -> None:
    make, words = BOMBS[kind]
    bomb = make()
    tracemalloc.start()
    try:
        with pytest.raises(errors.BundleError, match=words):
            bundle_archive.unpack(bomb)
        assert tracemalloc.get_traced_memory()[1] < LARGE // 4
    finally:
        tracemalloc.stop()


def test_unpacking_ends_at_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also behind the archive's end, where only zeros may be."""
    monkeypatch.setattr(manifest, "MAX_BYTES", 8 * MIB)
    with pytest.raises(errors.BundleError, match="more than 72 MiB"):
        bundle_archive.unpack(squeezed(unpacked_tar(), *zeros(LARGE)))


def test_a_large_manifest_or_configuration_is_refused() -> None:
    with pytest.raises(errors.BundlePartError, match="manifest is larger than 8 MiB"):
        manifest.load(b" " * (8 * MIB + 1))
    with pytest.raises(errors.BundlePartError, match=r"stack/Pulumi\.yaml is larger than 1024 KiB"):
        bundle_archive.pack(
            bundles.described(), bundles.contents(**{parts.PROJECT: bytes(MIB + 1)})
        )


@pytest.mark.parametrize("content", [b"[" * 100_000, b"[" + b"[]," * 5_000_000 + b"0]"])
def test_json_of_any_depth_and_number_is_refused(content: bytes) -> None:
    found = bundle_archive.Bundle(manifest=bundles.described(), contents={"x": content})
    with pytest.raises(errors.BundlePartError):
        found.json("x")


def test_a_file_beyond_the_limit_is_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "kyrion.age"
    with path.open("wb") as file:
        file.truncate(100 * 1024**3)
    with pytest.raises(errors.BundlePartError, match=r"kyrion\.age is larger than 1152 MiB"):
        catalog.load(path)
    with pytest.raises(errors.ConfigError, match="no file"):
        catalog.load(Path("/dev/zero"))


def test_a_long_name_of_another_tar_is_read() -> None:
    out = io.BytesIO()
    for form in (tarfile.GNU_FORMAT, tarfile.PAX_FORMAT, tarfile.USTAR_FORMAT):
        out = io.BytesIO()
        name = "a" * 90 + "/" + "b" * 90 + ("" if form == tarfile.USTAR_FORMAT else "ü" * 90)
        with tarfile.open(fileobj=out, mode="w", format=form) as tar:
            member = tarfile.TarInfo(name)
            member.size = 3
            tar.addfile(member, io.BytesIO(b"abc"))
        out.seek(0)
        (read,) = tarstream.members(out.read)
        assert (read.header.name, read.content) == (name, b"abc")

"""Archives of releases that claim to be larger than they are, or that are damaged."""

from __future__ import annotations

import io
import tarfile
import zipfile
from pathlib import Path

import pytest

from provision import errors
from provision.artifacts import catalog, download, store


def archived(kind: str, content: bytes) -> bytes:
    buffer = io.BytesIO()
    if kind == "zip":
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as made:
            made.writestr("flux", content)
    else:
        with tarfile.open(fileobj=buffer, mode="w:gz") as made_tar:
            entry = tarfile.TarInfo("flux")
            entry.size = len(content)
            made_tar.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


def taken_out(kind: str, content: bytes, folder: Path) -> None:
    archive = folder / "archive"
    archive.write_bytes(content)
    asset = catalog.Asset(url="https://x/flux", checksums="", member="flux", archive=kind)  # type: ignore[arg-type]
    store.extract(asset, archive, folder / "flux")


@pytest.mark.parametrize("kind", ["zip", "tar.gz"])
def test_what_unpacks_to_more_than_the_limit_is_an_error(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(download, "FILE_LIMIT", 3 << 20)
    with pytest.raises(errors.ArtifactError, match="unpacks to more than 3 MiB"):
        taken_out(kind, archived(kind, bytes(5 << 20)), tmp_path)
    assert (tmp_path / "flux").stat().st_size <= 3 << 20


@pytest.mark.parametrize("at", range(0, 120, 3))
@pytest.mark.parametrize("kind", ["zip", "tar.gz"])
def test_an_archive_with_changed_bytes_is_an_error_of_ours(
    kind: str, at: int, tmp_path: Path
) -> None:
    damaged = bytearray(archived(kind, bytes(range(256)) * 4))
    for value in (0x00, 0x01, 0x7F, 0xFF):
        damaged[at % len(damaged)] = value
        try:
            taken_out(kind, bytes(damaged), tmp_path)
        except errors.ArtifactError:
            continue

"""Pinned downloads: checksums, pins, mirrors, archives."""

from __future__ import annotations

import hashlib
import http.server
import io
import json
import pathlib
import tarfile
import threading
import zipfile
from collections.abc import Iterator

import pytest

from provision import cancellation, errors
from provision.artifacts import catalog, source, store

BINARY = b"\x7fELF k3s" * 1000


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def put(mirror: pathlib.Path, url: str, content: bytes) -> pathlib.Path:
    path = source.local(str(mirror), url)
    assert path is not None
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


@pytest.fixture
def mirror(tmp_path: pathlib.Path) -> pathlib.Path:
    return tmp_path / "mirror"


@pytest.fixture
def k3s(mirror: pathlib.Path) -> catalog.Artifact:
    artifact = catalog.k3s("v1.36.3+k3s1")
    asset = artifact.asset("amd64")
    put(mirror, asset.url, BINARY)
    put(
        mirror, asset.checksums, f"{digest(b'x')}  k3s-images.txt\n{digest(BINARY)}  k3s\n".encode()
    )
    return artifact


@pytest.fixture
def kept(mirror: pathlib.Path, tmp_path: pathlib.Path) -> store.ArtifactStore:
    return store.ArtifactStore(str(mirror), tmp_path / "pins.json", tmp_path / "cache")


def pins(tmp_path: pathlib.Path) -> dict[str, dict[str, str]]:
    return json.loads((tmp_path / "pins.json").read_text())


def test_the_mirror_has_the_layout_of_the_hosts(k3s: catalog.Artifact, mirror: pathlib.Path):
    assert (mirror / "github.com/k3s-io/k3s/releases/download/v1.36.3+k3s1/k3s").is_file()


def test_first_fetch_checks_and_pins(
    kept: store.ArtifactStore, k3s: catalog.Artifact, tmp_path: pathlib.Path
):
    assert kept.content_sha256(k3s, "amd64") == digest(BINARY)
    assert not (tmp_path / "pins.json").exists(), "asking records nothing"
    assert kept.fetch(k3s, "amd64").read_bytes() == BINARY
    assert pins(tmp_path) == {"k3s/v1.36.3+k3s1/amd64": {"sha256": digest(BINARY)}}


def test_a_damaged_download_is_refused_and_not_pinned(
    kept: store.ArtifactStore, k3s: catalog.Artifact, mirror: pathlib.Path, tmp_path: pathlib.Path
):
    put(mirror, k3s.asset("amd64").url, BINARY[:-1])
    with pytest.raises(errors.ArtifactError, match="checksum of k3s is wrong") as caught:
        kept.fetch(k3s, "amd64")
    assert digest(BINARY) in caught.value.detail
    assert not (tmp_path / "pins.json").exists()


def test_a_release_that_changed_later_is_refused(
    kept: store.ArtifactStore, k3s: catalog.Artifact, mirror: pathlib.Path, tmp_path: pathlib.Path
):
    kept.fetch(k3s, "amd64")
    before = (tmp_path / "pins.json").read_bytes()
    other = BINARY + b"evil"
    put(mirror, k3s.asset("amd64").url, other)
    put(mirror, k3s.asset("amd64").checksums, f"{digest(other)}  k3s\n".encode())
    with pytest.raises(errors.ArtifactError, match="not the file that is pinned"):
        kept.fetch(k3s, "amd64")
    assert kept.content_sha256(k3s, "amd64") == digest(BINARY)
    assert (tmp_path / "pins.json").read_bytes() == before


def test_rclone_comes_out_of_its_zip_and_both_hashes_are_pinned(
    kept: store.ArtifactStore, mirror: pathlib.Path, tmp_path: pathlib.Path
):
    artifact = catalog.rclone("v1.75.2")
    asset = artifact.asset("arm")
    assert asset.filename == "rclone-v1.75.2-linux-arm-v7.zip"
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("rclone-v1.75.2-linux-arm-v7/rclone", b"rclone")
    put(mirror, asset.url, buffer.getvalue())
    listing = (
        "-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA1\n\n"
        f"{digest(buffer.getvalue())}  {asset.filename}\n-----BEGIN PGP SIGNATURE-----\n"
    )
    put(mirror, asset.checksums, listing.encode())
    assert kept.content_sha256(artifact, "arm") == digest(b"rclone")
    assert kept.fetch(artifact, "arm").read_bytes() == b"rclone"
    assert pins(tmp_path)["rclone/v1.75.2/arm"] == {
        "sha256": digest(buffer.getvalue()),
        "content": digest(b"rclone"),
    }
    # Known from now on without the mirror.
    put(mirror, asset.url, b"gone")
    assert kept.content_sha256(artifact, "arm") == digest(b"rclone")


def test_flux_comes_out_of_its_tar(kept: store.ArtifactStore, mirror: pathlib.Path):
    artifact = catalog.flux("v2.9.3")
    asset = artifact.asset("arm64")
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        entry = tarfile.TarInfo("flux")
        entry.size = 4
        archive.addfile(entry, io.BytesIO(b"flux"))
    put(mirror, asset.url, buffer.getvalue())
    put(mirror, asset.checksums, f"{digest(buffer.getvalue())}  {asset.filename}\n".encode())
    assert kept.fetch(artifact, "arm64").read_bytes() == b"flux"


def test_a_file_without_a_published_checksum_is_pinned_as_it_came(
    kept: store.ArtifactStore, mirror: pathlib.Path, tmp_path: pathlib.Path
):
    artifact = catalog.sealed_secrets("0.27.1")
    put(mirror, artifact.asset("any").url, b"kind: CustomResourceDefinition")
    kept.fetch(artifact, "amd64")
    assert list(pins(tmp_path)) == ["sealed-secrets/v0.27.1/any"]
    put(mirror, artifact.asset("any").url, b"kind: Other")
    with pytest.raises(errors.ArtifactError, match="not the file that is pinned"):
        kept.fetch(artifact, "amd64")


def test_what_is_missing_is_named(kept: store.ArtifactStore, mirror: pathlib.Path):
    mirror.mkdir()
    with pytest.raises(errors.ArtifactError, match=r"mirror does not have .*sha256sum-amd64"):
        kept.fetch(catalog.k3s("v1.0.0+k3s1"), "amd64")
    with pytest.raises(errors.ArtifactError, match="no file for riscv64") as caught:
        kept.fetch(catalog.k3s("v1.0.0+k3s1"), "riscv64")
    assert "amd64" in caught.value.hint


def test_a_pins_file_that_is_none_is_an_error(
    kept: store.ArtifactStore, k3s: catalog.Artifact, tmp_path: pathlib.Path
):
    (tmp_path / "pins.json").write_text('{"k3s": "latest"}')
    with pytest.raises(errors.ArtifactError, match=r"pins file .* cannot be understood"):
        kept.content_sha256(k3s, "amd64")


class Flaky(http.server.BaseHTTPRequestHandler):
    """Serves a folder; sends half of the first answer of a file, then honours Range."""

    folder: pathlib.Path
    asked: list[str]

    def do_GET(self) -> None:
        path = self.folder / self.path.lstrip("/")
        type(self).asked.append(self.headers.get("Range", ""))
        content = path.read_bytes()
        self.close_connection = True
        if path.name == "k3s" and type(self).asked == ["", ""]:
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content[: len(content) // 2])
            return
        start = int(self.headers.get("Range", "bytes=0-")[6:-1])
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        self.send_header("Content-Length", str(len(content) - start))
        self.end_headers()
        self.wfile.write(content[start:])

    def log_message(self, format: str, *args: object) -> None:
        """Keep the test's output clean."""


@pytest.fixture
def address(mirror: pathlib.Path, k3s: catalog.Artifact) -> Iterator[str]:
    encoded = mirror / "github.com/k3s-io/k3s/releases/download/v1.36.3%2Bk3s1"
    (mirror / "github.com/k3s-io/k3s/releases/download/v1.36.3+k3s1").rename(encoded)
    Flaky.folder, Flaky.asked = mirror, []
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Flaky)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


def test_a_download_that_breaks_off_is_continued(
    address: str, k3s: catalog.Artifact, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(cancellation.Cancellation, "sleep", lambda *_: None)
    kept = store.ArtifactStore(address, None, tmp_path / "cache")
    assert kept.fetch(k3s, "amd64").read_bytes() == BINARY
    assert Flaky.asked == ["", "", f"bytes={len(BINARY) // 2}-"]
    said: list[str] = []
    kept.fetch(k3s, "amd64", progress=said.append)
    assert said == [] and len(Flaky.asked) == 3, "the second fetch is served from the cache"
    assert not list((tmp_path / "cache").glob(".part-*"))

"""Fetching pinned downloads, each byte of them checked."""

from __future__ import annotations

import contextlib
import hashlib
import re
import shutil
import tarfile
import tempfile
import threading
import zipfile
import zlib
from collections.abc import Generator
from pathlib import Path
from typing import IO, Final

from provision import cancellation, errors, transfer
from provision.artifacts import catalog, download, pins, source
from provision.fileio import atomic, leftovers
from provision.progress import Progress, silent

Artifact = catalog.Artifact
_CHUNK = 1 << 20
# GNU coreutils' format, also inside a clear-signed file: digest, blank, mode, name.
_CHECKSUM = re.compile(r"^([0-9a-fA-F]{64})[ \t]+\*?(\S.*?)\s*$", re.MULTILINE)

_PREFIX: Final = ".part-"
# NotImplementedError and RuntimeError: zipfile's for a compression and an encryption.
_DAMAGED: Final = (
    KeyError,
    OSError,
    EOFError,
    ValueError,
    NotImplementedError,
    RuntimeError,
    tarfile.TarError,
    zipfile.BadZipFile,
    zlib.error,
)


class ArtifactStore:
    """Pinned downloads in a cache folder, from the releases' hosts or a mirror.

    `mirror` is a directory, an address, or empty; `pins` the pins file (None:
    one in the cache folder). Safe to use from several threads.
    """

    def __init__(
        self,
        mirror: str,
        pins_path: Path | None,
        cache_dir: Path,
        *,
        cancelled: cancellation.Cancellation | None = None,
    ) -> None:
        """Prepare; nothing is read or written yet. A download ends once the run is `cancelled`."""
        self._cancelled = cancelled or cancellation.Cancellation()
        self._mirror = mirror
        self._cache = cache_dir
        self._pins_path = pins_path or cache_dir / "pins.json"
        self._guard = threading.RLock()

    def content_sha256(self, artifact: Artifact, arch: str) -> str:
        """Return the sha256 of what `fetch` gives, downloading only where it must.

        Known from the pins file, or from the release's checksum file (not
        recorded then: asking changes nothing). Only an archive that was never
        opened has to be fetched. Raises `errors.ArtifactError`.
        """
        asset = artifact.asset(arch)
        with self._guard:
            pin = pins.read(self._pins_path).get(artifact.key(arch))
            if pin is not None:
                known = pin.content if asset.member else pin.sha256
                if known:
                    return known
            elif not asset.member and not asset.unlisted:
                return self._published(asset)
            return _sha256(self.fetch(artifact, arch))

    def fetch(self, artifact: Artifact, arch: str, *, progress: Progress = silent) -> Path:
        """Return the path of the file (taken out of its archive), checked and pinned.

        The first fetch reads the release's checksum file and records the
        sha256 in the pins file; later ones hold every file against the pin.
        The file is read-only to the caller. Raises `errors.ArtifactError` for
        a file that cannot be had or is not the pinned one.
        """
        asset, key = artifact.asset(arch), artifact.key(arch)
        with self._guard:
            pin = pins.read(self._pins_path).get(key)
            wanted = pin.sha256 if pin is not None else self._published(asset)
            path, digest = self._asset(
                asset, wanted, f"{artifact.name} {artifact.version}", progress
            )
            if wanted and digest != wanted:
                origin = source.named(self._mirror, asset.url)
                if pin is not None:
                    raise pins.changed(key, self._pins_path, wanted, digest, origin)
                listing = source.named(self._mirror, asset.checksums)
                raise errors.ArtifactError(
                    f"the checksum of {asset.filename} is wrong",
                    detail=f"published: sha256 {wanted}, in {listing}\n"
                    f"got:       sha256 {digest}, from {origin}",
                    hint="try again; if it stays, the download or the mirror is damaged",
                )
            content = ""
            if asset.member:
                known = pin.content if pin is not None else ""
                path, content = self._member(asset, path, digest, known)
                if pin is not None and known and known != content:
                    raise pins.changed(key, self._pins_path, pin.content, content)
            pins.add(self._pins_path, key, pins.Pin(sha256=digest, content=content))
            return path

    def _published(self, asset: catalog.Asset) -> str:
        """Return what the release's checksum file says, empty where it may not say."""
        where = source.named(self._mirror, asset.checksums)
        try:
            data = source.read(self._mirror, asset.checksums, cancelled=self._cancelled)
        except download.AbsentError:
            if asset.unlisted:
                return ""
            raise
        found: dict[str, set[str]] = {}
        for digest, name in _CHECKSUM.findall(data.decode("utf-8", "replace")):
            found.setdefault(name, set()).add(digest.lower())
        digests = found.get(asset.filename, set())
        if len(digests) > 1 or not found:
            problem = "is no list of checksums"
            if found:
                problem = f"has two checksums for {asset.filename}"
            raise errors.ArtifactError(
                f"{where} {problem}",
                hint="another server or a proxy may answer there: look at it, check"
                " artifacts.mirror, then run the same command again",
            )
        if not digests and not asset.unlisted:
            raise errors.ArtifactError(
                f"the release has no checksum for {asset.filename}",
                detail=where,
                hint="check the version in the configuration",
            )
        return digests.pop() if digests else ""

    def _asset(
        self, asset: catalog.Asset, wanted: str, label: str, progress: Progress
    ) -> tuple[Path, str]:
        """Return the published file, from the cache where it is whole, and its sha256."""
        near = source.local(self._mirror, asset.url)
        if near is not None and near.is_file():
            if not wanted:
                _check_marks(asset, near, str(near))
            return near, _sha256(near)
        if wanted:
            cached = self._cache / wanted / asset.filename
            if cached.is_file() and _sha256(cached) == wanted:
                return cached, wanted
        progress(f"downloading {label}")
        with self._folder() as folder:
            temporary = folder / "download"
            source.copy(
                self._mirror, asset.url, temporary, cancelled=self._cancelled, whole=not wanted
            )
            digest = _sha256(temporary)
            if not wanted:
                _check_marks(asset, temporary, source.named(self._mirror, asset.url))
            if wanted and digest != wanted:
                return temporary, digest  # for the message; removed below
            target = self._cache / digest / asset.filename
            atomic.move(temporary, target)
            return target, digest

    def _member(
        self, asset: catalog.Asset, archive: Path, digest: str, known: str
    ) -> tuple[Path, str]:
        """Return the wanted file of the archive, taken out unless a good copy is at hand."""
        target = self._cache / digest / "content" / asset.member.rsplit("/", 1)[-1]
        if known and target.is_file() and _sha256(target) == known:
            return target, known
        with self._folder() as folder:
            temporary = folder / "member"
            extract(asset, archive, temporary)
            temporary.chmod(0o755)
            atomic.move(temporary, target)
        return target, _sha256(target)

    @contextlib.contextmanager
    def _folder(self) -> Generator[Path]:
        self._cache.mkdir(parents=True, exist_ok=True)
        leftovers.sweep(self._cache, _PREFIX)
        folder = Path(tempfile.mkdtemp(dir=self._cache, prefix=_PREFIX))
        try:
            with leftovers.claim(folder):
                yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def _check_marks(asset: catalog.Asset, path: Path, origin: str) -> None:
    """Raise `errors.ArtifactError` for a file without checksum that is something else."""
    if asset.marks not in path.read_bytes():
        raise errors.ArtifactError(
            f"{origin} is not the file {asset.filename} of this release",
            detail=f"it does not contain {asset.marks.decode()!r}",
            hint="another server or a proxy may answer there: look at it, check"
            " artifacts.mirror, then run the same command again",
        )


def extract(asset: catalog.Asset, archive: Path, target: Path) -> None:
    """Take the wanted file out of `archive`. Raises `errors.ArtifactError`."""
    try:
        if asset.archive == "zip":
            with zipfile.ZipFile(archive) as opened, opened.open(asset.member) as file:
                _copy(file, target)
            return
        with tarfile.open(archive, "r:gz") as opened:
            file = opened.extractfile(asset.member)
            if file is None:
                raise KeyError(asset.member)
            _copy(file, target)
    except _DAMAGED as error:
        raise errors.ArtifactError(
            f"{asset.member} cannot be taken out of {asset.filename}",
            detail=str(error),
            hint="the release may be laid out differently from what this elysium knows",
        ) from error


def _copy(file: IO[bytes], target: Path) -> None:
    """Copy `file`, whatever size the archive claims. Raises `ValueError` beyond the limit."""
    copied = 0
    with target.open("wb") as out:
        while chunk := file.read(_CHUNK):
            copied += len(chunk)
            if copied > download.FILE_LIMIT:
                raise ValueError(f"it unpacks to more than {transfer.size(download.FILE_LIMIT)}")
            out.write(chunk)


def _sha256(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise errors.ArtifactError(
            f"{path} cannot be read", detail=str(error), hint="check the cache folder"
        ) from error

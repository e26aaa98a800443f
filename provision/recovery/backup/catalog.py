"""Finding, opening and checking backups that were made before."""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from provision import config_file, errors
from provision.fileio import atomic
from provision.recovery.backup import destinations, records, signing
from provision.recovery.bundle import archive, encryption, manifest, signature

if TYPE_CHECKING:
    from provision import config

_NAMES_KEYS: Final = b"verifyKeys"
MAX_FILE: Final = manifest.MAX_BYTES + 128 * 1024**2
"""No larger file is read into memory."""


@dataclass(frozen=True, kw_only=True)
class Shelf:
    """Where the backups of one cluster are on this machine, and what is known of them."""

    root: Path
    cluster: str
    folder: destinations.Folder

    @property
    def known(self) -> records.Records:
        """What the records say."""
        return records.load(self.root, self.cluster)

    def rows(self) -> list[tuple[str, records.Entry | None, bool]]:
        """Return each backup's name, record if any, and whether it is here; oldest first."""
        known, here = self.known, set(self.folder.names())
        names = sorted({*here, *(entry.file for entry in known.backups)})
        return [(name, known.find(name), name in here) for name in names]

    def signed(self) -> frozenset[str]:
        """Return the names of the backups here that have a signature beside them."""
        beside = (
            (name, self.folder.path / f"{name}{signature.SUFFIX}") for name in self.folder.names()
        )
        return frozenset(name for name, path in beside if path.is_file())

    def find(self, given: str | None) -> Path:
        """Return the path of `given`: a path, a name in the folder, or None for the newest.

        Raises `errors.ConfigError`.
        """
        if given is None:
            names = self.folder.names()
            if not names:
                raise errors.ConfigError(
                    f"there is no backup of {self.cluster} in {self.folder.label}",
                    [],
                    hint="elysium backup makes one",
                )
            return self.folder.path / names[-1]
        for path in (Path(given), self.folder.path / given):
            if path.is_file():
                return path
        raise errors.ConfigError(
            f"there is no backup {given}", [], hint="elysium backup list names those there are"
        )


def recorded(entry: records.Entry | None, *, signed: bool) -> signature.Checked:
    """Return what is recorded of a signature; `signed`: whether one is beside the file now."""
    if entry is not None and entry.signed:
        return signature.Checked(state="signed", fingerprint=entry.signed)
    return signature.Checked(state="unchecked" if signed else "unsigned")


def shelf(directory: Path, stack: str | None) -> Shelf:
    """Return the shelf of a stack. Needs no passphrase. Raises `errors.ConfigError`."""
    project = config_file.find_project(directory)
    cluster = project.choose(stack)
    cfg: config.Config = config_file.load(project.stack_file(cluster), None)
    return Shelf(
        root=project.root,
        cluster=cluster,
        folder=destinations.of(project.root, cluster, cfg.backup)[0],
    )


def load(path: Path) -> bytes:
    """Return the file's bytes. Raises `errors.BundleError` or `errors.ConfigError`."""
    try:
        if not path.is_file():
            raise errors.ConfigError(f"{path} is no file", [])
        if path.stat().st_size > MAX_FILE:
            raise _too_large(path)
        with path.open("rb") as file:
            content = file.read(MAX_FILE + 1)
    except OSError as error:
        raise errors.ConfigError(f"{path} cannot be read: {error.strerror}", []) from error
    if len(content) > MAX_FILE:  # it grew meanwhile
        raise _too_large(path)
    return content


def signature_of(path: Path) -> bytes | None:
    """Return the signature beside the bundle at `path`; None where there is none.

    Raises `errors.ConfigError` for one that cannot be read, and
    `errors.BundleSignatureError` for one that is too large.
    """
    beside = path.with_name(path.name + signature.SUFFIX)
    try:
        if not os.path.lexists(beside):
            return None
        if not beside.is_file():
            raise errors.ConfigError(f"{beside} is no file", [])
        with beside.open("rb") as file:
            text = file.read(signature.MAX_BYTES + 1)
    except OSError as error:
        raise errors.ConfigError(f"{beside} cannot be read: {error.strerror}", []) from error
    if len(text) > signature.MAX_BYTES:
        raise errors.BundleSignatureError(
            f"{beside.name} is larger than {signature.MAX_BYTES // 1024} KiB, which no signature is"
        )
    return text


def own_keys(directory: Path, stack: str | None, file: str) -> signature.Trust:
    """Return the keys whose signatures the configuration here requires or knows.

    Without a `stack`, `file` (the bundle's name) says which cluster's
    configuration it is, else that of every cluster here counts. Raises
    `errors.ConfigError` when one names keys and cannot be read.
    """
    start = directory.absolute()
    roots = [each for each in (start, *start.parents) if (each / "Pulumi.yaml").is_file()]
    if not roots:
        return signature.Trust()
    try:
        project = config_file.open_project(roots[0])
    except errors.ConfigError as error:
        _refuse_if_named(roots[0].glob("Pulumi.*.yaml"), error)
        return signature.Trust()
    names = project.stacks()
    cluster = stack or file.removesuffix(manifest.SUFFIX)[:-17]
    required: set[str] = set()
    known: set[str] = set()
    for name in (cluster,) if cluster in names else names:
        try:
            cfg = config_file.load(project.stack_file(name), None).backup
        except errors.ConfigError as error:
            _refuse_if_named([project.stack_file(name)], error)
            continue
        required |= _fingerprints(cfg.verify_keys)
        with contextlib.suppress(errors.ConfigError):
            signer = signing.of(project.root, cfg)
            known |= {signer.key.fingerprint} if signer is not None else set()
    return signature.Trust(required=frozenset(required), known=frozenset(known))


def given_keys(values: Sequence[str]) -> signature.Trust:
    """Return the keys that the user named: public keys, fingerprints, or files of them.

    Raises `errors.ConfigError` for a value that is none of these.
    """
    found: set[str] = set()
    for value in values:
        if value.startswith("SHA256:") or signing.is_public(value):
            found |= _fingerprints([value])
            continue
        inside = _fingerprints(signing.public_lines(Path(value).expanduser()), value)
        if not inside:
            raise errors.ConfigError(f"there is no public key in {value}", [])
        found |= inside
    return signature.Trust(required=frozenset(found))


def _fingerprints(lines: Sequence[str], where: str = "backup.verifyKeys") -> frozenset[str]:
    try:
        return signature.fingerprints(lines)
    except ValueError as error:
        raise errors.ConfigError(
            f"the key to check signatures with is of no use: {error}",
            [],
            hint=f"{where}: a public key ('ssh-ed25519 AAAA…'), its fingerprint ('SHA256:…'), or a "
            "file with public keys, one on each line; of a file of allowed signers, the key alone",
        ) from None


def _refuse_if_named(paths: Iterable[Path], error: errors.ConfigError) -> None:
    """Raise `error` if one of the files names keys: it must not be passed over by breaking it."""
    for path in paths:
        with contextlib.suppress(OSError):
            if _NAMES_KEYS in path.read_bytes():
                error.hint = (
                    "the file names keys for signatures of backups (backup.verifyKeys): correct "
                    "it, or open the backup in an empty folder, with --verify-key KEY"
                )
                raise error


def _too_large(path: Path) -> errors.BundlePartError:
    return errors.BundlePartError(
        f"{path.name} is larger than {MAX_FILE // 1024**2} MiB, which no backup is", part=""
    )


def compare(file: bytes, entry: records.Entry | None) -> bool:
    """Return whether a record says what the file must be; raise when it is another.

    Raises `errors.BundleDamagedError`.
    """
    if entry is None:
        return False
    if len(file) < entry.size:
        raise errors.BundleDamagedError(
            f"the backup is cut short: {len(file)} of {entry.size} bytes are there"
        )
    if hashlib.sha256(file).hexdigest() != entry.sha256:
        raise errors.BundleDamagedError("the backup is not the file that was written: it changed")
    return True


def mark_verified(where: Shelf, file: bytes, found: archive.Bundle, path: Path) -> None:
    """Record that the backup at `path` was opened and is right, if it is one of the shelf's."""
    if path.parent.resolve() != where.folder.path.resolve():
        return
    with records.only_one(where.root, where.cluster):
        entry = where.known.find(path.name) or records.Entry(
            file=path.name,
            created=found.manifest.created,
            size=len(file),
            sha256=hashlib.sha256(file).hexdigest(),
            locked=encryption.locked_with(file),
            verified="",
            places=(where.folder.label,),
            sealing_keys=found.manifest.sealing_keys,
            datastore=found.manifest.datastore.kind if found.manifest.datastore.part else "",
            revision=found.manifest.git.revision,
        )
        update = {"verified": manifest.now()}
        if found.signed.state == "signed":
            update["signed"] = found.signed.fingerprint
        entry = entry.model_copy(update=update)
        records.save(where.root, where.cluster, where.known.having(entry))


def extract(found: archive.Bundle, names: Sequence[str], to: Path) -> list[Path]:
    """Write the parts `names` (all, when there are none) below `to`, readable by nobody else.

    Raises `errors.BundlePartError` for a part that is not there, and
    `errors.ConfigError` when a file is there already: nothing is written then.
    """
    chosen = list(names) or [info.name for info in found.manifest.parts]
    contents = {name: found.read(name) for name in chosen}
    there = [str(to / name) for name in chosen if os.path.lexists(to / name)]
    if there:
        raise errors.ConfigError(
            f"there is a file already: {there[0]}", [], hint="name an empty folder: --to DIR"
        )
    written: list[Path] = []
    for name, content in contents.items():
        try:
            atomic.write(to / name, content)
        except OSError as error:
            raise errors.ConfigError(
                f"{to / name} cannot be written: {error.strerror}", []
            ) from error
        written.append(to / name)
    return written

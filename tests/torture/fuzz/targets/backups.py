"""Backups: the encryption around one, its archive, its parts, its signature."""

from __future__ import annotations

import io
import json
import sqlite3
import tarfile
import zipfile
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519

from provision.recovery.bundle import (
    archive,
    datastore,
    encryption,
    manifest,
    parts,
    passphrase,
    paths,
    signature,
    validation,
    wal,
)
from provision.secret import Secret
from tests.support import bundles, forged, restores
from tests.torture.fuzz.target import Target

_FOUND: Final = restores.made(forged.KEY, forged.KEY)
_LISTED: Final = [
    archive.Part(name=info.name, content=_FOUND.read(info.name), kind=info.kind, source=info.source)
    for info in _FOUND.manifest.parts
]
_SMALL: Final = archive.pack(bundles.described(), bundles.contents())[1]
_LOCKED: Final = encryption.encrypt(
    _SMALL, encryption.Recipients(lines=(str(forged.LOCK.to_public()),))
)
_QUICK: Final = 4
"""The work factor of passphrases here."""
_BY_PASSPHRASE: Final = passphrase.encrypt(b"x" * 100, restores.PASSPHRASE, work=_QUICK)
_SIGNER: Final = ed25519.Ed25519PrivateKey.from_private_bytes(b"k" * 32)
_PUBLIC: Final = signature.public_key(
    _SIGNER.public_key()
    .public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
    .decode()
)
_SIGNATURE: Final = signature.armored(
    _PUBLIC, signature.sign(_SIGNER, signature.message(b"content"))
)


def _database() -> bytes:
    connection = sqlite3.connect(":memory:")
    connection.execute("CREATE TABLE kine (id INTEGER PRIMARY KEY, name TEXT)")
    connection.execute("INSERT INTO kine (name) VALUES ('a')")
    connection.commit()
    image = connection.serialize()
    connection.close()
    return image


def _tar() -> bytes:
    header = tarfile.TarInfo("srv/a")
    header.size = 1
    return header.tobuf(tarfile.PAX_FORMAT) + b"x".ljust(512, b"\0") + bytes(1024)


def _zip() -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("snapshot", b"etcd" * 100)
    return out.getvalue()


_DATABASE: Final = _database()


def _open(data: bytes, folder: Path) -> None:
    archive.read(data, encryption.Identities(texts=(Secret(str(forged.LOCK)),)))


def _open_by_passphrase(data: bytes, folder: Path) -> None:
    header = data.split(b"\n", 2)
    # A larger factor is refused or takes seconds: `test_passphrase` has that.
    if len(header) > 2 and header[1].split(b" ")[-1:] in ([b"%d" % n] for n in range(11, 23)):
        return
    encryption.decrypt(data, encryption.Passphrase(secret=restores.PASSPHRASE))


def _check_part(name: str, data: bytes) -> None:
    replaced = [
        archive.Part(name=part.name, content=data, kind=part.kind, source=part.source)
        if part.name == name
        else part
        for part in _LISTED
        # Checking an RSA key takes 0.2 s.
        if part.name == name or part.name != parts.SEALING_KEYS
    ]
    described, packed = archive.pack(_FOUND.manifest, replaced)
    del described
    validation.check(archive.unpack(packed))


def _part(name: str) -> Target:
    content = _FOUND.read(name)
    try:
        json.loads(content)
    except ValueError:
        form = "text"
    else:
        form = "json"
    return Target(
        name="part-" + name.replace("/", "-").replace(".", "-"),
        seeds=(content,),
        read=lambda data, folder: _check_part(name, data),
        form=form,
        inputs=20 if name == parts.SEALING_KEYS else 100,
    )


def _check_signature(data: bytes, folder: Path) -> object:
    return signature.verify(data, b"content", [_PUBLIC.fingerprint])


def _fold(data: bytes, folder: Path) -> object:
    half = len(_DATABASE)
    return wal.fold(data[:half], data[half:])


TARGETS: Final = (
    Target(name="backup", seeds=(_LOCKED,), read=_open),
    Target(name="backup-with-passphrase", seeds=(_BY_PASSPHRASE,), read=_open_by_passphrase),
    Target(
        name="backup-archive",
        seeds=(_SMALL,),
        read=lambda data, folder: archive.unpack(data),
    ),
    Target(
        name="backup-manifest",
        seeds=(_FOUND.manifest.dump(),),
        read=lambda data, folder: manifest.load(data),
        form="json",
    ),
    Target(
        name="backup-tar",
        seeds=(_tar(),),
        read=lambda data, folder: paths.read(data, ["/srv"]),
        documented=(tarfile.TarError, EOFError, ValueError),
    ),
    Target(name="backup-signature", seeds=(_SIGNATURE,), read=_check_signature),
    Target(
        name="signing-key",
        seeds=(_PUBLIC.line.encode(), _PUBLIC.fingerprint.encode()),
        read=lambda data, folder: signature.fingerprints([data.decode(errors="replace")]),
        documented=(ValueError,),
    ),
    Target(
        name="key-file",
        seeds=(str(forged.LOCK).encode(), b"# x\n" + str(forged.LOCK).encode()),
        read=lambda data, folder: encryption.recipients_of(
            encryption.Identities(texts=(Secret(data.decode(errors="replace")),))
        ),
    ),
    Target(
        name="datastore",
        seeds=(_DATABASE,),
        read=lambda data, folder: datastore.check_sqlite(data),
    ),
    Target(
        name="compressed-snapshot",
        seeds=(_zip(),),
        read=lambda data, folder: datastore._unzipped(data),
    ),
    Target(
        name="write-ahead-log",
        seeds=(_DATABASE + b"\x37\x7f\x06\x82\0\x2d\xe2\x18\0\0\x10\0" + bytes(80),),
        read=_fold,
        documented=(wal.WalError,),
    ),
    *(_part(info.name) for info in _FOUND.manifest.parts),
)

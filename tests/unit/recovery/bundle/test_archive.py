"""The bundle's format: what is written is read, and nothing else is."""

from __future__ import annotations

import functools
import gzip
import io
import json
import pathlib
import shutil
import subprocess
import tarfile
from collections.abc import Callable

import pyrage
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from provision import errors
from provision.recovery.bundle import archive as bundle_archive
from provision.recovery.bundle import encryption, manifest, parts
from provision.secret import Secret
from tests.support import bundles


@functools.cache
def key() -> pyrage.x25519.Identity:
    return pyrage.x25519.Identity.generate()


def identities() -> encryption.Identities:
    return encryption.Identities(texts=(Secret(str(key())),))


def recipients() -> encryption.Recipients:
    return encryption.Recipients(lines=(str(key().to_public()),))


@functools.cache
def archive() -> bytes:
    return bundle_archive.pack(bundles.described(), bundles.contents(notes=b"n" * 3000))[1]


@functools.cache
def file() -> bytes:
    return encryption.encrypt(archive(), recipients())


@functools.cache
def with_passphrase() -> bytes:
    return encryption.encrypt(archive(), encryption.Passphrase(secret=Secret("horse staple")))


names = st.from_regex(r"[a-z][a-z0-9._ü-]{0,20}(/[a-z0-9_]{1,9}){0,3}", fullmatch=True)


@given(more=st.dictionaries(names, st.binary(max_size=2000), max_size=6))
@settings(max_examples=50, deadline=None)
def test_what_is_packed_is_read(more: dict[str, bytes]) -> None:
    wanted = bundles.contents(**more)
    listed, packed = bundle_archive.pack(bundles.described(absent=("no SOPS keys",)), wanted)
    found = bundle_archive.read(encryption.encrypt(packed, recipients()), identities())
    assert found.manifest == listed
    assert found.manifest.absent == ("no SOPS keys",)
    assert {part.name: part.content for part in wanted} == dict(found.contents)


def test_packing_twice_gives_the_same_bytes() -> None:
    assert (
        bundle_archive.pack(bundles.described(), bundles.contents(notes=b"n" * 3000))[1]
        == archive()
    )


def test_the_name_tells_cluster_and_time() -> None:
    assert bundles.described().file_name == "kyrion-20260301T020304Z.tar.gz.age"


@given(data=st.data())
@settings(max_examples=300, deadline=None)
def test_one_changed_byte_is_found(data: st.DataObject) -> None:
    damaged = bytearray(file())
    at = data.draw(st.integers(0, len(damaged) - 1))
    damaged[at] ^= data.draw(st.integers(1, 255))
    with pytest.raises((errors.BundleDamagedError, errors.BundleKeyError)):
        bundle_archive.read(bytes(damaged), identities())


def test_a_changed_byte_anywhere_in_the_head_is_found() -> None:
    end = file().index(b"\n--- ") + 60
    for at in range(end):
        for flip in (0x01, 0x20, 0x80):
            damaged = bytearray(file())
            damaged[at] ^= flip
            with pytest.raises((errors.BundleDamagedError, errors.BundleKeyError)):
                bundle_archive.read(bytes(damaged), identities())


def test_damage_behind_the_head_is_not_called_a_wrong_key() -> None:
    for at in range(file().index(b"\n--- ") + 60, len(file()), 37):
        damaged = bytearray(file())
        damaged[at] ^= 1
        with pytest.raises(errors.BundleDamagedError):
            bundle_archive.read(bytes(damaged), identities())


@given(length=st.integers(0, 100_000))
@settings(max_examples=300, deadline=None)
def test_a_file_cut_short_is_found(length: int) -> None:
    with pytest.raises(errors.BundleDamagedError):
        bundle_archive.read(file()[: length % len(file())], identities())


def test_more_bytes_at_the_end_are_found() -> None:
    with pytest.raises(errors.BundleDamagedError):
        bundle_archive.read(file() + b"x", identities())


@pytest.mark.parametrize("length", [0, 10, 100, 300])
def test_a_file_with_a_passphrase_cut_short(length: int) -> None:
    with pytest.raises(errors.BundleDamagedError):
        bundle_archive.read(
            with_passphrase()[:length], encryption.Passphrase(secret=Secret("horse staple"))
        )


@pytest.mark.parametrize("at", [3, 60, 110, 300])
def test_a_file_with_a_passphrase_changed(at: int) -> None:
    damaged = bytearray(with_passphrase())
    damaged[at] ^= 1
    with pytest.raises((errors.BundleDamagedError, errors.BundleKeyError)):
        bundle_archive.read(bytes(damaged), encryption.Passphrase(secret=Secret("horse staple")))


def test_the_passphrase_opens_it() -> None:
    found = bundle_archive.read(
        with_passphrase(), encryption.Passphrase(secret=Secret("horse staple"))
    )
    assert found.read(parts.PASSPHRASE) == b"canary-passphrase"


def test_wrong_keys_are_named_as_such() -> None:
    other = encryption.Identities(texts=(Secret(str(pyrage.x25519.Identity.generate())),))
    for content, keys, words in (
        (with_passphrase(), encryption.Passphrase(secret=Secret("horse stable")), "does not open"),
        (with_passphrase(), other, "with a passphrase"),
        (file(), other, "does not open"),
        (file(), encryption.Passphrase(secret=Secret("horse staple")), "for recipients"),
        (file(), encryption.Identities(texts=(Secret("AGE-SECRET-KEY-1XYZ"),)), "not one that age"),
    ):
        with pytest.raises(errors.BundleKeyError, match=words) as caught:
            bundle_archive.read(content, keys)
        assert "horse" not in str(caught.value)
        assert "XYZ" not in str(caught.value)


def test_a_witness_reads_back_what_only_recipients_can_open() -> None:
    content, witness = encryption.encrypt_with_witness(archive(), recipients())
    assert bundle_archive.read(content, witness) == bundle_archive.read(content, identities())


def test_every_bad_recipient_is_named_and_no_private_key_is() -> None:
    private = str(pyrage.x25519.Identity.generate())
    lines = ("age1nonsense", private, str(key().to_public()))
    with pytest.raises(errors.ConfigError) as caught:
        encryption.encrypt(b"", encryption.Recipients(lines=lines))
    assert len(caught.value.problems) == 2
    assert "age1nonsense" in str(caught.value)
    assert private not in str(caught.value)


def changed(change: Callable[[dict[str, bytes]], None]) -> bytes:
    """The archive with `change` done to its files by name, nothing else adapted."""
    with tarfile.open(fileobj=io.BytesIO(gzip.decompress(archive()))) as tar:
        files = {m.name: tar.extractfile(m).read() for m in tar}  # type: ignore[union-attr]
    change(files)
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return out.getvalue()


def relabelled(**fields: object) -> Callable[[dict[str, bytes]], None]:
    def change(files: dict[str, bytes]) -> None:
        raw = json.loads(files[parts.MANIFEST]) | fields
        files[parts.MANIFEST] = json.dumps(raw).encode()

    return change


EVERY_PART = [part.name for part in bundles.contents(notes=b"")]


@pytest.mark.parametrize("name", EVERY_PART)
def test_each_missing_part_is_named(name: str) -> None:
    with pytest.raises(errors.BundlePartError, match=name) as caught:
        bundle_archive.unpack(changed(lambda files: files.__delitem__(name)))
    assert caught.value.part == name


@pytest.mark.parametrize("name", EVERY_PART)
def test_each_changed_part_is_named(name: str) -> None:
    def change(files: dict[str, bytes]) -> None:
        files[name] = files[name] + b" "

    with pytest.raises(errors.BundlePartError, match=name):
        bundle_archive.unpack(changed(change))


@pytest.mark.parametrize("name", EVERY_PART[:-1])
def test_a_bundle_without_what_every_one_has_is_neither_written_nor_read(name: str) -> None:
    rest = [part for part in bundles.contents() if part.name != name]
    with pytest.raises(errors.BundlePartError, match=name):
        bundle_archive.pack(bundles.described(), rest)


def test_a_datastore_that_is_promised_must_be_there() -> None:
    promised = manifest.Datastore(kind="etcd", part=parts.ETCD)
    with pytest.raises(errors.BundlePartError, match=parts.ETCD):
        bundle_archive.pack(bundles.described(datastore=promised), bundles.contents())


def test_a_surplus_part_is_refused() -> None:
    with pytest.raises(errors.BundlePartError, match="extra"):
        bundle_archive.unpack(changed(lambda files: files.update(extra=b"")))


@pytest.mark.parametrize(
    "name", ["/etc/passwd", "../up", "a/../../b", "a/", "", "manifest.json", "./a", "a\0b"]
)
def test_names_that_lead_out_are_refused(name: str) -> None:
    with pytest.raises(errors.BundlePartError):
        bundle_archive.pack(
            bundles.described(), [*bundles.contents(), bundle_archive.Part(name=name, content=b"")]
        )


def test_a_newer_schema_is_refused_with_its_version() -> None:
    newer = changed(relabelled(schema=2, elysium="9.9", parts="something else"))
    with pytest.raises(errors.BundleSchemaError, match=r"9\.9"):
        bundle_archive.unpack(newer)


def test_an_unknown_field_of_the_same_schema_is_passed_over() -> None:
    assert bundle_archive.unpack(changed(relabelled(later=1))).manifest.cluster == "kyrion"


@pytest.mark.parametrize(
    "change",
    [
        relabelled(format="another"),
        relabelled(cluster="../up"),
        relabelled(node=None),
        relabelled(schema="1"),
        lambda files: files.update({parts.MANIFEST: b"{"}),
        lambda files: files.__delitem__(parts.MANIFEST),
    ],
)
def test_what_is_no_bundle_is_called_so(change: Callable[[dict[str, bytes]], None]) -> None:
    with pytest.raises(errors.BundleDamagedError):
        bundle_archive.unpack(changed(change))


def test_an_archive_with_more_than_plain_files_is_refused() -> None:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as tar:
        link = tarfile.TarInfo(parts.MANIFEST)
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(link)
    with pytest.raises(errors.BundleDamagedError):
        bundle_archive.unpack(out.getvalue())


@given(length=st.integers(0, 100_000))
@settings(max_examples=100, deadline=None)
def test_an_archive_cut_short_is_found(length: int) -> None:
    with pytest.raises((errors.BundleDamagedError, errors.BundlePartError)):
        bundle_archive.unpack(archive()[: length % len(archive())])


def test_too_much_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(manifest, "MAX_BYTES", 2000)
    with pytest.raises(errors.BundlePartError, match="larger than"):
        bundle_archive.pack(bundles.described(), bundles.contents(notes=b"n" * 3000))


def test_no_content_is_in_a_representation() -> None:
    found = bundle_archive.unpack(archive())
    assert "canary" not in repr(found) + repr(bundles.contents())


@pytest.mark.skipif(shutil.which("age") is None, reason="no age here: make test installs it")
def test_age_itself_opens_it(tmp_path: pathlib.Path) -> None:
    (tmp_path / "key").write_text(f"# made for a test\n{key()}\n")
    (tmp_path / "bundle").write_bytes(file())
    for command in (
        ["age", "-d", "-i", "key", "-o", "bundle.tar.gz", "bundle"],
        ["tar", "xzf", "bundle.tar.gz"],
    ):
        subprocess.run(command, cwd=tmp_path, check=True)
    assert (tmp_path / parts.PASSPHRASE).read_bytes() == b"canary-passphrase"
    assert json.loads((tmp_path / parts.MANIFEST).read_bytes())["cluster"] == "kyrion"

"""A damaged or lesser backup: refused in words or its loss named, and nothing half restored."""

from __future__ import annotations

import dataclasses
import functools
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyrage
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from provision.gitops.sealing import keys as sealing_keys
from provision.operations import node_replace
from provision.provider import connections
from provision.recovery.bundle import archive as bundle_archive
from provision.recovery.bundle import encryption, parts
from provision.secret import Secret
from stacks import cache
from tests.support import elysiumrepo, restores

LOCK = pyrage.x25519.Identity.generate()
KEY = sealing_keys.make_key()
NEWER = sealing_keys.make_key(after=KEY)
PIN = "SHA256:" + "A" * 43
PHRASE = "correct horse battery"


def packed(found: bundle_archive.Bundle) -> bytes:
    """The archive of a bundle."""
    listed = [
        bundle_archive.Part(
            name=info.name, content=found.read(info.name), kind=info.kind, source=info.source
        )
        for info in found.manifest.parts
    ]
    return bundle_archive.pack(found.manifest, listed)[1]


@functools.cache
def archive() -> bytes:
    return packed(restores.made(KEY, KEY))


@functools.cache
def file() -> bytes:
    lock = encryption.Recipients(lines=(str(LOCK.to_public()),))
    return encryption.encrypt(archive(), lock)


@functools.cache
def with_passphrase() -> bytes:
    return encryption.encrypt(archive(), encryption.Passphrase(secret=Secret(PHRASE)))


@dataclasses.dataclass
class Night:
    """A folder to restore into; whoever contacts anything but the code host fails the test."""

    call: Any
    folder: Path
    path: Path
    touched: list[str]
    patch: pytest.MonkeyPatch

    def restore(self, content: bytes, *more: str) -> Any:
        """Restore for real, without anybody to ask."""
        self.path.write_bytes(content)
        given = ("--yes", "--host", "10.0.0.9", "--host-key", PIN)
        identity = ("-i", str(self.path.with_name("key.txt")))
        locked = () if b"-> scrypt" in content[:40] else identity
        return self.call("restore", str(self.path), *locked, *(more or given))

    def untouched(self) -> bool:
        return not list(self.folder.rglob("*")) and not self.touched


@pytest.fixture
def night(call: Any, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Night:
    for path in folder.glob("Pulumi*"):
        path.unlink()
    monkeypatch.setenv("GITHUB_TOKEN", "ghp_canary")
    monkeypatch.setenv("ELYSIUM_BACKUP_PASSPHRASE", PHRASE)
    monkeypatch.setattr(cache, "folder", lambda: tmp_path / "remembered")
    touched: list[str] = []
    repository = restores.Repository(files=elysiumrepo.deadlocked(KEY))
    monkeypatch.setattr(connections.Live, "github", lambda *_: repository)
    monkeypatch.setattr(connections.Live, "node", lambda *_: touched.append("the node"))
    monkeypatch.setattr(node_replace, "living", lambda _stack: "")
    (tmp_path / "key.txt").write_text(str(LOCK))
    return Night(
        call=call, folder=folder, path=tmp_path / "kyrion.age", touched=touched, patch=monkeypatch
    )


def refused(night: Night, content: bytes, *words: str) -> None:
    """Restore; it must end with one plain sentence, and nothing may have happened."""
    done = night.restore(content)
    assert done.code == 3, done.err
    assert "Traceback" not in done.err and "unexpected" not in done.err
    said = " ".join(done.err.split())  # lines are broken where the terminal ends
    for word in words:
        assert word in said, done.err
    assert night.untouched()


calls_are_slow = settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@given(at=st.integers(0, 10**6), flip=st.integers(1, 255))
@calls_are_slow
def test_one_changed_byte_anywhere(night: Night, at: int, flip: int) -> None:
    damaged = bytearray(file())
    damaged[at % len(damaged)] ^= flip
    refused(night, bytes(damaged))


@given(length=st.integers(0, 10**6))
@calls_are_slow
def test_cut_short_at_any_length(night: Night, length: int) -> None:
    refused(night, file()[: length % len(file())])


@given(at=st.integers(0, 10**6), flip=st.integers(1, 255))
@calls_are_slow
def test_one_byte_that_changed_before_it_was_encrypted(night: Night, at: int, flip: int) -> None:
    """Of gzip's head a byte may be another one, and the parts still the same."""
    damaged = bytearray(archive())
    damaged[10 + at % (len(damaged) - 10)] ^= flip
    lock = encryption.Recipients(lines=(str(LOCK.to_public()),))
    refused(night, encryption.encrypt(bytes(damaged), lock))


@pytest.mark.parametrize("at", [45, 400])
def test_with_a_passphrase_a_sample(night: Night, at: int) -> None:
    damaged = bytearray(with_passphrase())
    damaged[at] ^= 1
    refused(night, bytes(damaged))
    refused(night, with_passphrase()[: at % len(damaged)])


def test_a_wrong_passphrase(night: Night, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ELYSIUM_BACKUP_PASSPHRASE", "correct horse batteri")
    refused(night, with_passphrase(), "does not open", "exact to the letter")


def test_a_wrong_key(night: Night) -> None:
    other = str(pyrage.x25519.Identity.generate().to_public())
    refused(
        night, encryption.encrypt(archive(), encryption.Recipients(lines=(other,))), "--identity"
    )


def test_a_newer_schema(night: Night, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr("provision.recovery.bundle.manifest.SCHEMA", 2)
        newer = restores.made(KEY, KEY, changes={"elysium": "9.9", "schema_version": 2})
        body = packed(newer)
    lock = encryption.Recipients(lines=(str(LOCK.to_public()),))
    refused(night, encryption.encrypt(body, lock), "newer elysium (9.9)", "install")


EVERY_PART = [info.name for info in restores.made(KEY, KEY).manifest.parts]


@pytest.mark.parametrize("name", EVERY_PART)
def test_each_part_missing_is_named(night: Night, name: str) -> None:
    """The manifest promises it, and it is not there."""
    import gzip
    import io
    import tarfile

    out = io.BytesIO()
    with (
        tarfile.open(fileobj=io.BytesIO(gzip.decompress(archive()))) as tar,
        tarfile.open(fileobj=out, mode="w:gz") as less,
    ):
        for member in tar:
            if member.name != name:
                less.addfile(member, tar.extractfile(member))
    lock = encryption.Recipients(lines=(str(LOCK.to_public()),))
    refused(night, encryption.encrypt(out.getvalue(), lock), f"lacks its part {name}")


BROKEN = (b"\xff\xfe", b"[]", b'{"items": [{"metadata": 3}]}')
CHECKED = (
    parts.STATE,
    parts.PROJECT,
    parts.stack_file("kyrion"),
    parts.PASSPHRASE,
    parts.PINS,
    parts.CRDS,
    parts.INVENTORY,
    parts.SEALING_KEYS,
    parts.FLUX_SYSTEM,
    parts.SOPS_AGE,
    parts.PATHS,
)


@pytest.mark.parametrize("name", CHECKED)
def test_a_part_that_was_written_wrong_is_named(night: Night, name: str) -> None:
    lock = encryption.Recipients(lines=(str(LOCK.to_public()),))
    for content in BROKEN:
        wrong = restores.made(KEY, KEY, replaced={name: content})
        done = night.restore(encryption.encrypt(packed(wrong), lock))
        assert done.code in (2, 3, 7), (content, done.err)
        assert "Traceback" not in done.err and "unexpected" not in done.err
        named = " ".join(done.err.split())
        assert name in named or "passphrase" in named, (content, done.err)
        assert night.untouched()


def dry_run(
    night: Night, found: bundle_archive.Bundle, files: Mapping[str, str], **more: Any
) -> Any:
    """Return what a dry run tells as JSON; its status may be 3."""
    lock = encryption.Recipients(lines=(str(LOCK.to_public()),))
    repository = restores.Repository(files=files, **more)
    night.patch.setattr(connections.Live, "github", lambda *_: repository)
    night.path.write_bytes(encryption.encrypt(packed(found), lock))
    key = str(night.path.with_name("key.txt"))
    done = night.call("--json", "restore", str(night.path), "-i", key, "--dry-run")
    lines = [json.loads(line) for line in done.out.splitlines() if line.startswith("{")]
    assert night.untouched()
    return next(line for line in lines if "sealedSecrets" in line)


def test_keys_that_open_only_some_of_the_secrets(night: Night) -> None:
    """Both the one that others need before they start, and the one that nobody waits for."""
    files = elysiumrepo.deadlocked(KEY)
    files["clusters/kyrion/sealed-secrets.yaml"] = elysiumrepo.sealed_secret(
        NEWER, "cluster-secret-vars", "flux-system", DOMAIN="example.org", TOKEN="t"
    )
    path = "infrastructure/controllers"
    files[f"{path}/leaf.yaml"] = elysiumrepo.sealed_secret(NEWER, "leaf", "flux-system", A="t")
    files[f"{path}/kustomization.yaml"] += "  - leaf.yaml\n"
    told = dry_run(night, restores.made(KEY, KEY), files)
    assert {each["name"]: each["opens"] for each in told["sealedSecrets"]} == {
        "flux-system/cluster-secret-vars": False,
        "flux-system/leaf": False,
        "tailscale/tsidp-auth": True,
    }
    assert not told["well"]
    problems = "\n".join(f"{each['where']}: {each['message']}" for each in told["problems"])
    assert "clusters/kyrion/sealed-secrets.yaml:1" in problems
    assert f"{path}/leaf.yaml:1" in problems


def test_a_repository_that_moved_on_is_told_and_no_obstacle(night: Night) -> None:
    told = dry_run(night, restores.made(KEY, KEY), elysiumrepo.deadlocked(KEY), commit="b2" * 20)
    assert told["well"]
    (words,) = [words for words in told["notes"] if "moved on" in words]
    assert restores.HEAD[:12] in words and "b2" * 6 in words


def test_a_sealing_key_that_nobody_could_read_is_no_reason_to_lose_the_others(
    night: Night,
) -> None:
    broken = {
        "kind": "Secret",
        "metadata": {"name": "odd"},
        "data": {"tls.key": "!", "tls.crt": ""},
    }
    good = json.loads(restores.made(KEY, KEY).read(parts.SEALING_KEYS))
    listed = json.dumps({"items": [broken, *good["items"]]}).encode()
    words = "the sealing key odd cannot be read"
    found = restores.made(
        KEY,
        KEY,
        replaced={parts.SEALING_KEYS: listed},
        changes={"absent": (words,), "sealing_keys": (KEY.fingerprint,)},
    )
    told = dry_run(night, found, elysiumrepo.deadlocked(KEY))
    assert told["well"]
    assert any(words in each for each in told["losses"])
    claimed = restores.made(
        KEY,
        KEY,
        replaced={parts.SEALING_KEYS: json.dumps({"items": [broken]}).encode()},
        changes={"sealing_keys": (KEY.fingerprint,)},
    )
    lock = encryption.Recipients(lines=(str(LOCK.to_public()),))
    refused(night, encryption.encrypt(packed(claimed), lock), KEY.fingerprint)


def sops(name: str, recipient: str) -> str:
    return (
        f"apiVersion: v1\nkind: Secret\nmetadata: {{name: {name}, namespace: flux-system}}\n"
        "stringData: {token: 'ENC[AES256_GCM,data:aa,type:str]'}\n"
        f"sops: {{age: [{{recipient: {recipient}, enc: x}}], version: 3.9.0}}\n"
    )


def test_the_sops_files_that_its_keys_do_not_open_are_named(night: Night) -> None:
    mine, another = (pyrage.x25519.Identity.generate() for _ in range(2))
    files = elysiumrepo.deadlocked(KEY)
    path = "infrastructure/controllers"
    files[f"{path}/opens.yaml"] = sops("opens", str(mine.to_public()))
    files[f"{path}/closed.yaml"] = sops("closed", str(another.to_public()))
    files[f"{path}/kustomization.yaml"] += "  - opens.yaml\n  - closed.yaml\n"
    files["clusters/kyrion/infrastructure.yaml"] = files[
        "clusters/kyrion/infrastructure.yaml"
    ].replace(
        "  prune: true\n",
        "  prune: true\n  decryption: {provider: sops, secretRef: {name: sops-age}}\n",
        1,
    )
    secret = elysiumrepo.secret("sops-age", "flux-system")
    secret["data"] = {"age.agekey": base64_of(f"# mine\n{mine}\n")}
    del secret["stringData"]
    listed = json.dumps({"items": [secret]}).encode()
    told = dry_run(night, restores.made(KEY, KEY, replaced={parts.SOPS_AGE: listed}), files)
    assert {each["name"]: each["opens"] for each in told["sopsFiles"]} == {
        "flux-system/opens": True,
        "flux-system/closed": False,
    }
    (problem,) = told["problems"]
    assert "flux-system/closed" in problem["where"] and problem["overridable"]
    assert str(another.to_public()) in problem["message"]
    without = dry_run(night, restores.made(KEY, KEY), files)
    assert any("decrypts with it (spec.decryption)" in p["message"] for p in without["problems"])


def base64_of(text: str) -> str:
    import base64

    return base64.b64encode(text.encode()).decode()

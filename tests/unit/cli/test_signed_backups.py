"""Whether a backup is signed is checked before it is opened, and said everywhere."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pyrage
import pytest

from provision.gitops.sealing import keys as sealing_keys
from provision.provider import connections
from provision.recovery.backup import catalog, collect
from provision.recovery.bundle import archive, encryption, parts
from provision.sandbox import rehearsal
from stacks import cache
from tests.support import bundles, memorysandbox, restores, sshkeys

LOCK = pyrage.x25519.Identity.generate()
KEY = sealing_keys.make_key()
NAME = "kyrion-20260301T020304Z.tar.gz.age"
PIN = "SHA256:" + "A" * 43
OPENING = [
    ("backup", "verify"),
    ("backup", "show"),
    ("backup", "extract", "--to", "out"),
    ("restore", "--dry-run"),
    ("restore", "--yes", "--host", "10.0.0.9", "--host-key", PIN),
    ("drill",),
]
UNCHECKED = "signed, not checked (no key given)"


@pytest.fixture(autouse=True)
def nothing_else_is_contacted(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GITHUB_TOKEN", "ghp_canary")
    monkeypatch.setattr(cache, "folder", lambda: tmp_path / "remembered")
    monkeypatch.setattr(rehearsal, "Rehearsal", lambda _name: memorysandbox.Memory())
    repository = restores.Repository(files={})
    monkeypatch.setattr(connections.Live, "github", lambda *_: repository)


@pytest.fixture
def key(tmp_path: Path) -> Path:
    sshkeys.make(tmp_path / "signer")
    return tmp_path / "signer"


@pytest.fixture
def other(tmp_path: Path) -> Path:
    sshkeys.make(tmp_path / "other")
    return tmp_path / "other"


def bundle(folder: Path, signer: Path | None, more: str = "") -> tuple[str, ...]:
    """Write a backup, signed by `signer`; return its file and what opens it."""
    text = restores.CONFIGURATION.format(salt=restores.vault().salt) + more
    found = restores.made(KEY, KEY, replaced={parts.stack_file("kyrion"): text.encode()})
    listed = [
        archive.Part(
            name=info.name, content=found.read(info.name), kind=info.kind, source=info.source
        )
        for info in found.manifest.parts
    ]
    lock = encryption.Recipients(lines=(str(LOCK.to_public()),))
    content = encryption.encrypt(archive.pack(found.manifest, listed)[1], lock)
    file, opener = folder.parent / NAME, folder.parent / "key.txt"
    file.write_bytes(content)
    opener.write_text(str(LOCK))
    if signer is not None:
        beside(file).write_bytes(sshkeys.sign(signer, content))
    return str(file), "-i", str(opener)


def beside(file: Path | str) -> Path:
    return Path(f"{file}.sig")


def words(text: str) -> str:
    return " ".join(text.split())


@pytest.mark.parametrize("command", OPENING, ids=lambda words: " ".join(words[:2]))
@pytest.mark.parametrize("fault", ["unsigned", "another signer", "another file", "cut", "changed"])
def test_nothing_of_a_backup_is_read_before_its_signature_is_right(
    call: Any,
    folder: Path,
    key: Path,
    other: Path,
    command: tuple[str, ...],
    fault: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    file, *opening = bundle(folder, key)
    if fault == "unsigned":
        beside(file).unlink()
    elif fault == "another signer":
        beside(file).write_bytes(sshkeys.sign(other, Path(file).read_bytes()))
    elif fault == "another file":
        beside(file).write_bytes(sshkeys.sign(key, b"another backup"))
    elif fault == "cut":
        Path(file).write_bytes(Path(file).read_bytes()[:-20])
    else:
        Path(file).write_bytes(Path(file).read_bytes()[:-1] + b"\0")

    def never(*_: Any) -> None:
        raise AssertionError("the file was opened")

    monkeypatch.setattr(archive, "read", never)
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    for given in (str(sshkeys.public(key)), sshkeys.fingerprint(key)):
        done = call(*command, file, *opening, "--verify-key", given)
        assert done.code == 3, done.err
        assert done.err.startswith(f"error: {NAME}: ") or f" {NAME}: " in words(done.err)
        assert sshkeys.fingerprint(key) in words(done.err) and "Traceback" not in done.err
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before


def test_each_command_says_who_signed(call: Any, folder: Path, key: Path) -> None:
    file, *opening = bundle(folder, key)
    signed = f"signed by {sshkeys.fingerprint(key)}"
    for command in (*OPENING[:4], OPENING[5]):
        for more, said in (((), UNCHECKED), (("--verify-key", sshkeys.fingerprint(key)), signed)):
            done = call(*command, file, *opening, *more)
            assert said in words(done.out + done.err), (command, done)
            assert "Traceback" not in done.err
            shutil.rmtree(folder / "out", ignore_errors=True)
    beside(file).unlink()
    for command in (*OPENING[:4], OPENING[5]):
        done = call(*command, file, *opening)
        assert "not signed" in words(done.out + done.err), (command, done)
        shutil.rmtree(folder / "out", ignore_errors=True)


def test_machines_are_told_too(call: Any, folder: Path, key: Path) -> None:
    file, *opening = bundle(folder, key)
    mark = sshkeys.fingerprint(key)
    for command in (("backup", "verify"), ("backup", "show"), ("restore", "--dry-run")):
        for more, said in (
            ((), {"state": "unchecked", "fingerprint": ""}),
            (("--verify-key", mark), {"state": "signed", "fingerprint": mark}),
        ):
            done = call(*command, file, *opening, *more, "--json")
            (found,) = [
                line["signature"]
                for line in map(json.loads, done.out.splitlines())
                if "signature" in line
            ]
            assert found == said, command


def test_keys_of_the_configuration_are_required(
    call: Any, folder: Path, key: Path, other: Path
) -> None:
    file, *opening = bundle(folder, other)
    configured = folder / "Pulumi.kyrion.yaml"
    before = configured.read_text()
    line = sshkeys.public(key).read_text().strip()
    configured.write_text(f"{before}  elysium:backup:\n    verifyKeys: ['{line}']\n")
    done = call("restore", "--dry-run", file, *opening)
    assert done.code == 3 and sshkeys.fingerprint(other) in words(done.err), done.err
    # A key on the command line goes before the configuration's.
    mine = ("--verify-key", sshkeys.fingerprint(other))
    assert call("backup", "verify", file, *opening, *mine).code == 0
    # To break the configuration is no way around it.
    configured.write_text(configured.read_text() + "  elysium:k3s: {version: 1}\n")
    done = call("restore", "--dry-run", file, *opening)
    assert done.code == 2 and "verifyKeys" in words(done.err), done.err
    # One that is broken and requires nothing is no hindrance when the node is dead.
    configured.write_text(before + "  elysium:k3s: {version: 1}\n")
    assert call("backup", "verify", file, *opening).code == 0


def test_the_clusters_configuration_is_found_by_the_name_of_the_file(
    call: Any, folder: Path, key: Path
) -> None:
    file, *opening = bundle(folder, None)
    mark = sshkeys.fingerprint(key)
    arkham = folder / "Pulumi.arkham.yaml"
    text = (folder / "Pulumi.kyrion.yaml").read_text()
    arkham.write_text(f"{text}  elysium:backup:\n    verifyKeys: ['{mark}']\n")
    assert call("backup", "verify", file, *opening).code == 0
    renamed = Path(file).rename(folder.parent / "backup.age")
    done = call("backup", "verify", str(renamed), *opening)
    assert done.code == 3 and mark in words(done.err)


def test_the_own_signing_key_is_known_and_requires_nothing(
    call: Any, folder: Path, key: Path, other: Path
) -> None:
    file, *opening = bundle(folder, key)
    configured = folder / "Pulumi.kyrion.yaml"
    configured.write_text(f"{configured.read_text()}  elysium:backup:\n    signingKey: ../signer\n")
    assert f"signed by {sshkeys.fingerprint(key)}" in call("backup", "verify", file, *opening).out
    beside(file).write_bytes(sshkeys.sign(other, Path(file).read_bytes()))
    assert UNCHECKED in call("backup", "verify", file, *opening).out
    beside(file).unlink()
    assert "not signed" in call("backup", "verify", file, *opening).out


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("nothing", "cannot be read"),
        ("signer", "is a private key"),
        ("key.txt", "is expected"),
        ("empty", "no public key"),
        ("ssh-dss AAAA", "not supported"),
        ("SHA256:short", "is expected"),
    ],
)
def test_a_key_of_no_use_is_an_error_of_the_call(
    call: Any, folder: Path, key: Path, given: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, *opening = bundle(folder, key)
    (folder.parent / "empty").write_text("# nothing\n")
    monkeypatch.chdir(folder.parent)
    done = call("backup", "verify", file, *opening, "--verify-key", given)
    assert done.code == 2 and said in words(done.err), done.err
    assert "AGE-SECRET" not in done.err and "OPENSSH" not in done.err


def test_the_list_says_what_was_checked_and_what_was_not(
    call: Any, folder: Path, key: Path
) -> None:
    file, *opening = bundle(folder, key)
    kept = folder / ".elysium" / "backups"
    kept.mkdir(parents=True)
    for path in (Path(file), beside(file)):
        shutil.copy(path, kept)
    older = kept / NAME.replace("0301", "0201")
    shutil.copy(file, older)

    def states() -> dict[str, str]:
        rows = map(json.loads, call("backup", "list", "--json").out.splitlines())
        return {row["file"]: row["signature"]["state"] for row in rows}

    assert states() == {older.name: "unsigned", NAME: "unchecked"}
    assert "signed, not checked" in words(call("backup", "list").out)
    mark = sshkeys.fingerprint(key)
    done = call("backup", "verify", NAME, *opening, "--verify-key", mark)
    assert done.code == 0, done.err
    assert states() == {older.name: "unsigned", NAME: "signed"}
    assert catalog.shelf(folder, None).known.backups[0].signed == mark
    done = call("backup", "verify", NAME, "--no-open", "--verify-key", mark)
    assert f"signed by {mark}" in done.out


def test_a_forged_backup_brings_no_keys_of_its_own_in(
    call: Any, folder: Path, key: Path, other: Path
) -> None:
    for path in folder.glob("Pulumi*"):
        path.unlink()
    forged, mine = sshkeys.fingerprint(other), sshkeys.fingerprint(key)
    more = f"  elysium:backup:\n    signingKey: {key}\n    verifyKeys: ['{mine}', '{forged}']\n"
    file, *opening = bundle(folder, key, more)
    words_ = ("restore", "--dry-run", file, *opening, "--verify-key", mine)
    done = call(*words_)
    assert done.code == 2, done.err
    assert f"{forged}:" in words(done.err) and f"{key}:" in words(done.err)
    assert f"{mine}:" not in words(done.err), "the key that signed this one may sign later ones"
    done = call(*words_, "--trust-address", forged, "--trust-address", str(key))
    assert "nobody confirmed" not in done.err


def test_making_a_backup_says_who_signed_it(
    call: Any, folder: Path, key: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PULUMI_CONFIG_PASSPHRASE", "correct horse")
    second = iter(range(10, 60))

    def given_parts(*_: Any) -> Any:
        created = f"2026-03-01T02:03:{next(second)}Z"
        return bundles.described(created=created), tuple(bundles.contents())

    monkeypatch.setattr(collect, "collect", given_parts)
    make = ("backup", "--recipient", str(LOCK.to_public()))
    assert "not signed" in words(call(*make).out)
    configured = folder / "Pulumi.kyrion.yaml"
    configured.write_text(f"{configured.read_text()}  elysium:backup: {{signingKey: {key}}}\n")
    done = call(*make)
    assert f"signed by {sshkeys.fingerprint(key)}" in words(done.out), done
    made = json.loads(call(*make, "--json").out.splitlines()[-1])
    assert made["signature"] == {"state": "signed", "fingerprint": sshkeys.fingerprint(key)}
    assert beside(made["path"]).is_file()
    listed = map(json.loads, call("backup", "list", "--json").out.splitlines())
    states = [row["signature"]["state"] for row in listed]
    assert states == ["unsigned", "signed", "signed"]

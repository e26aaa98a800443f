"""Backups are signed: by a key file or an agent, with the signature beside each copy."""

from __future__ import annotations

import os
import pathlib
import sys
import types
from collections.abc import Callable
from typing import Any

import pyrage
import pytest

from provision import config, errors
from provision.recovery.backup import backup, catalog, collect, records, schedule, signing
from provision.recovery.bundle import archive, encryption
from provision.secret import Secret
from tests.support import bundles, sshkeys

KEY = pyrage.x25519.Identity.generate()
LOCKS = encryption.Recipients(lines=(str(KEY.to_public()),))
KEYS = encryption.Identities(texts=(Secret(str(KEY)),))


@pytest.fixture(autouse=True)
def collected(monkeypatch: pytest.MonkeyPatch) -> None:
    second = [10]

    def given_parts(_stack: Any, _choice: Any, _progress: Callable[[str], None]) -> Any:
        second[0] += 1
        created = f"2026-03-01T02:03:{second[0]}Z"
        return bundles.described(created=created), tuple(bundles.contents())

    monkeypatch.setattr(collect, "collect", given_parts)


@pytest.fixture
def key(tmp_path: pathlib.Path) -> str:
    """A pair of keys in the cluster's folder: `signer` and `signer.pub`."""
    return sshkeys.make(tmp_path / "signer")


def make(root: pathlib.Path, **settings: Any) -> backup.Made:
    cfg = types.SimpleNamespace(cluster="kyrion", backup=config.Backup(**settings))
    stack: Any = types.SimpleNamespace(directory=root, config=cfg)
    return backup.make(stack, LOCKS, collect.Choice())


def names(folder: pathlib.Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_every_copy_has_its_signature_and_ssh_keygen_accepts_it(
    tmp_path: pathlib.Path, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    tools = pathlib.Path(sys.executable).parent  # its rclone
    monkeypatch.setenv("PATH", f"{tools}{os.pathsep}{os.environ['PATH']}")
    (tmp_path / "disk").mkdir()
    places = (".elysium/backups", "disk", "remote")
    copies = ({"directory": str(tmp_path / "disk")}, {"rclone": f":local:{tmp_path}/remote"})
    for _ in range(3):
        done = make(tmp_path, signing_key="signer", copies=copies, keep=1)
    for place in places:
        path = tmp_path / place / done.path.name
        assert names(path.parent) == [path.name, f"{path.name}.sig"]
        text = catalog.signature_of(path)
        assert text and sshkeys.verifies(key, path.read_bytes(), text, tmp_path)
        assert archive.read(path.read_bytes(), KEYS).manifest == done.manifest
    assert done.entry.signed == sshkeys.fingerprint(tmp_path / "signer")
    assert records.load(tmp_path, "kyrion").newest == done.entry


def test_unsigned_is_the_default(tmp_path: pathlib.Path) -> None:
    done = make(tmp_path)
    assert names(done.path.parent) == [done.path.name]
    assert done.entry.signed == ""


@pytest.mark.parametrize("named", ["the key", "its file"])
def test_an_agent_signs(
    tmp_path: pathlib.Path, key: str, monkeypatch: pytest.MonkeyPatch, named: str
) -> None:
    sshkeys.make(tmp_path / "rsa", "rsa", "2048")
    for name in ("signer", "rsa"):
        line = sshkeys.public(tmp_path / name).read_text().strip()
        given = line if named == "the key" else f"{name}.pub"
        with sshkeys.agent(tmp_path / "rsa", tmp_path / "signer") as socket:
            monkeypatch.setenv("SSH_AUTH_SOCK", socket)
            done = make(tmp_path, signing_key=given)
        text = catalog.signature_of(done.path)
        assert text and sshkeys.verifies(line, done.path.read_bytes(), text, tmp_path)


def test_what_cannot_sign_is_said_before_anything_is_made(
    tmp_path: pathlib.Path, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    sshkeys.make(tmp_path / "locked", passphrase="canary-passphrase")
    sshkeys.make(tmp_path / "other")
    cut = (tmp_path / "signer").read_text()[:-60]
    (tmp_path / "cut").write_text(cut)
    (tmp_path / "large").write_text("x" * 70_000)
    (tmp_path / "folder").mkdir()
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    for given, words in (
        ("nothing", "nothing is of no use .* No such file"),
        ("folder", "cannot be read"),
        ("locked", "locked with a passphrase"),
        ("cut", "no private key that SSH reads"),
        ("large", "larger than 64 KiB"),
        ("signer.pub", "no SSH agent runs here"),
        ("ssh-dss AAAA", "not supported"),
    ):
        with pytest.raises(errors.ConfigError, match=words) as caught:
            make(tmp_path, signing_key=given)
        assert caught.value.hint
        assert cut[60:100] not in f"{caught.value} {caught.value.detail}"
    with sshkeys.agent(tmp_path / "other") as socket:
        monkeypatch.setenv("SSH_AUTH_SOCK", socket)
        with pytest.raises(errors.ConfigError, match="does not hold the key"):
            make(tmp_path, signing_key=key)
    monkeypatch.setenv("SSH_AUTH_SOCK", str(tmp_path / "gone"))
    with pytest.raises(errors.ConfigError, match="agent"):
        make(tmp_path, signing_key=key)
    assert not (tmp_path / ".elysium" / "backups").exists()


def test_a_file_that_changed_on_the_disk_does_not_count(
    tmp_path: pathlib.Path, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    signs = signing.Signer.of
    monkeypatch.setattr(
        signing.Signer, "of", lambda self, content: signs(self, content + b"another")
    )
    with pytest.raises(errors.BundleDamagedError, match="read back"):
        make(tmp_path, signing_key="signer")
    assert names(tmp_path / ".elysium" / "backups") == []
    assert records.load(tmp_path, "kyrion").newest is None


def test_a_timer_needs_a_key_in_a_file(tmp_path: pathlib.Path, key: str) -> None:
    alone = signing.of(tmp_path, config.Backup(signing_key="signer"))
    schedule.check(("age1",), tmp_path, "kyrion", alone)
    agents = signing.of(tmp_path, config.Backup(signing_key=key))
    with pytest.raises(errors.ConfigError) as caught:
        schedule.check(("age1",), tmp_path, "kyrion", agents)
    assert [problem.key for problem in caught.value.problems] == ["backup.signingKey"]

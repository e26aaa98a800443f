"""`elysium restore` before it begins: what it asks, says and refuses."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyrage
import pytest

from provision import errors
from provision.gitops.sealing import keys as sealing_keys
from provision.operations import node_replace
from provision.provider import connections
from provision.recovery import journal
from provision.recovery.bundle import archive as bundle_archive
from provision.recovery.bundle import encryption, parts
from provision.recovery.restore import preconditions, report
from provision.recovery.restore import steps as restore_steps
from stacks import cache
from tests.support import elysiumrepo, restores

LOCK = pyrage.x25519.Identity.generate()
KEY = sealing_keys.make_key()
PIN = "SHA256:" + "A" * 43


@pytest.fixture
def wanted(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The arguments that open a backup; the code host is stood in, nothing else answers."""
    for path in folder.glob("Pulumi*"):
        path.unlink()
    monkeypatch.delenv("PULUMI_CONFIG_PASSPHRASE", raising=False)
    monkeypatch.setenv("GITHUB_TOKEN", "token")
    monkeypatch.setattr(cache, "folder", lambda: tmp_path / "remembered")
    repository = restores.Repository(files=elysiumrepo.deadlocked(KEY))
    monkeypatch.setattr(connections.Live, "github", lambda *_: repository)
    monkeypatch.setattr(node_replace, "living", lambda _stack: "")
    return packed(tmp_path, restores.made(KEY, KEY))


def packed(tmp_path: Path, found: bundle_archive.Bundle) -> list[str]:
    """Write `found` as a backup; return the arguments that restore it."""
    listed = [
        bundle_archive.Part(
            name=info.name,
            content=found.read(info.name),
            kind=info.kind,
            source=info.source,
        )
        for info in found.manifest.parts
    ]
    archive = bundle_archive.pack(found.manifest, listed)[1]
    lock = encryption.Recipients(lines=(str(LOCK.to_public()),))
    (tmp_path / "kyrion.age").write_bytes(encryption.encrypt(archive, lock))
    (tmp_path / "key.txt").write_text(str(LOCK))
    return ["restore", str(tmp_path / "kyrion.age"), "-i", str(tmp_path / "key.txt")]


def test_a_dry_run_needs_no_node_and_writes_nothing(
    call: Any, folder: Path, wanted: list[str]
) -> None:
    before = sorted(folder.rglob("*"))
    done = call(*wanted, "--dry-run")
    assert done.code == 0, done.err
    assert "✓ flux-system/cluster-secret-vars" in done.err
    assert "open all of them" in done.err and "It will end well" in done.err
    assert "the Secret default/by-hand" in done.err
    assert "not named yet" in done.err
    found = json.loads(call("--json", *wanted, "--dry-run").out.splitlines()[-1])
    assert found["well"] is True and found["lostSecrets"] == ["default/by-hand"]
    assert sorted(folder.rglob("*")) == before


def test_the_node_is_asked_for_and_never_assumed(call: Any, wanted: list[str]) -> None:
    done = call(*wanted, "--yes")
    assert done.code == 2
    assert "--host" in done.err and "10.0.0.1" in done.err
    unpinned = call(*wanted, "--yes", "--host", "10.0.0.9")
    assert unpinned.code == 2 and "--host-key" in unpinned.err


def test_a_half_done_restore_of_another_backup_is_named(
    call: Any, folder: Path, wanted: list[str]
) -> None:
    other = journal.Run(
        cluster="kyrion",
        bundle="ab" * 32,
        file="older.age",
        created="2026-03-01T02:03:04Z",
        mode="rebuild",
        host="10.0.0.9",
        port=22,
        began="2026-03-02T02:03:04Z",
    )
    journal.save(folder, "kyrion", journal.Journal(runs=(other,)))
    done = call(*wanted, "--yes", "--host", "10.0.0.9", "--host-key", PIN)
    assert done.code == 2
    assert "older.age" in done.err and "--anew" in done.err


def test_killed_before_its_first_step_it_begins_again_with_the_same_node(
    call: Any, folder: Path, wanted: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is noted that it began, and nothing is written here yet."""
    begun: list[journal.Run] = []

    def carry_out(_work: object, found: journal.Run) -> None:
        begun.append(found)
        raise errors.ElysiumError("far enough")

    monkeypatch.setattr(restore_steps, "carry_out", carry_out)
    monkeypatch.setattr(report, "_essentials", lambda *_, **__: [])
    monkeypatch.setattr(preconditions, "of_node", lambda _stack: [])
    call(*wanted, "--yes", "--host", "10.0.0.9", "--host-key", PIN)
    journal.save(folder, "kyrion", journal.Journal(runs=(begun[0],)))
    again = call(*wanted, "--yes", "--host-key", PIN)
    assert "far enough" in again.err, again.err
    assert begun[1] == begun[0]


def test_what_cannot_end_well_is_refused_before_anything_is_written(
    call: Any, folder: Path, wanted: list[str]
) -> None:
    done = call(*wanted, "--dry-run", "--datastore")
    assert done.code == 3
    assert "no copy of the datastore" in done.err
    assert not (folder / "Pulumi.yaml").exists()


def test_a_dry_run_asks_whether_the_old_cluster_answers_and_says_so(
    call: Any, tmp_path: Path, wanted: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def living(stack: Any) -> str:
        asked.append(stack.config.cluster)
        return "the cluster kyrion still answers at https://10.0.0.1:6443 (v1.34.3)"

    monkeypatch.setattr(node_replace, "living", living)
    text = restores.CONFIGURATION.format(salt=restores.vault().salt)
    part = {parts.stack_file("kyrion"): text.encode()}
    arguments = packed(tmp_path, restores.made(KEY, KEY, replaced=part))
    done = call(*arguments, "--dry-run")
    assert asked == ["kyrion"]
    assert "still answers at https://10.0.0.1:6443" in done.err
    said = done.err.index("asking whether the old cluster still answers")
    assert said < done.err.index("still answers at")


def test_definitions_of_a_folder_that_is_gone_come_from_the_backup(
    call: Any, tmp_path: Path, wanted: list[str]
) -> None:
    text = restores.CONFIGURATION.format(salt=restores.vault().salt)
    text = text.rstrip("\n") + "\n  elysium:flux:\n    crds: crds\n"
    part = {parts.stack_file("kyrion"): text.encode()}
    done = call(*packed(tmp_path, restores.made(KEY, KEY, replaced=part)), "--dry-run")
    assert done.code == 0, done.err
    assert "is not a folder" not in done.err
    assert "flux.crds was crds, which is not on this machine" in done.err

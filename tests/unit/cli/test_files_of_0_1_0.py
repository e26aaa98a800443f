"""What version 0.1.0 wrote to a user's disk is read."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

import pytest

from provision.cli import merged_kubeconfigs
from provision.operations.stack import open_stack
from provision.provider import registry
from provision.recovery import journal
from provision.recovery.backup import records
from stacks import cache
from tests.unit.cli.conftest import Call

FIXTURES = Path(__file__).parents[2] / "fixtures" / "written-by-0.1.0"
BACKUP = "kyrion-20261130T091133Z.tar.gz.age"
QUESTION = (
    "homelab/elysium",
    "94baad90acaceb6553d413b34025c19da211fcff",
    "clusters/kyrion",
    "push",
    False,
    [],
    ["SHA256:sEzXUFi0zxHJ3MfS5uDlFGU20bM5dBdGNvQsizn6OwU"],
)
TYPES = {
    "pulumi:pulumi:Stack",
    "elysium:components:Node",
    "elysium:node:K3sServer",
    "elysium:node:IntelGpu",
    "elysium:node:MediaMount",
    "elysium:node:GpuCapacity",
    "elysium:flux:GitAccess",
    "elysium:flux:Components",
    "elysium:flux:Sync",
    "elysium:secrets:SealingKey",
}


@pytest.fixture(autouse=True)
def homelab(call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the user's folder, which is the current one."""
    root = tmp_path / "homelab"
    shutil.copytree(FIXTURES / "homelab", root)
    monkeypatch.chdir(root)
    monkeypatch.setenv("PULUMI_CONFIG_PASSPHRASE", "correct horse battery staple")
    return root


def contents(root: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in root.rglob("*") if path.is_file()}


def test_the_configuration_is_valid_and_its_secret_opens(call: Call, homelab: Path) -> None:
    assert call("config", "validate").code == 0
    stack = open_stack(homelab, "kyrion")
    media = stack.config.media
    assert media is not None and media.remote is not None
    assert len(media.remote["key"].reveal()) > 60
    stack.close()


def test_the_state_is_read_and_stays_as_it_is(call: Call, homelab: Path) -> None:
    before = contents(homelab)
    listed = call("stack", "ls", "--json")
    assert [(row["stack"], row["problem"]) for row in json.loads(listed.out)] == [("kyrion", "")]
    exported = call("stack", "export", "--show-secrets")
    assert exported.code == 0, exported.err
    resources = json.loads(exported.out)["deployment"]["resources"]
    assert {each["type"] for each in resources} >= TYPES
    assert "BEGIN OPENSSH PRIVATE KEY" in exported.out
    assert contents(homelab) == before


def test_the_history_is_read(call: Call) -> None:
    (run,) = json.loads(call("stack", "history", "--json").out)
    assert (run["kind"], run["changes"]["create"]) == ("update", 8)


def test_a_killed_runs_journal_is_folded_into_its_state(call: Call, homelab: Path) -> None:
    stacks = homelab / ".elysium/state/.pulumi/stacks"
    shutil.copytree(FIXTURES / "killed", stacks, dirs_exist_ok=True)
    exported = call("stack", "export")
    assert exported.code == 0, exported.err
    types = {each["type"] for each in json.loads(exported.out)["deployment"]["resources"]}
    assert "elysium:node:MediaMount" not in types
    assert "elysium:node:K3sServer" in types


def test_the_backup_opens_and_its_parts_can_be_used(call: Call) -> None:
    key = str(FIXTURES / "backup.key")
    verified = call("backup", "verify", BACKUP, "-i", key)
    assert verified.code == 0, verified.err
    shown = call("backup", "show", BACKUP, "-i", key, "--json")
    assert json.loads(shown.out)["cluster"] == "kyrion"


def test_the_records_are_read(homelab: Path) -> None:
    (entry,) = records.load(homelab, "kyrion").backups
    assert (entry.file, entry.locked) == (BACKUP, "recipients")
    last = journal.load(homelab, "kyrion").last
    assert last is not None and last.steps[-1] == "compare" and last.finished
    assert [each.context for each in merged_kubeconfigs._known(homelab, "kyrion")] == ["kyrion"]


def test_the_cached_analysis_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    import provision

    monkeypatch.setattr(provision, "__version__", "0.1.0")
    monkeypatch.setenv("XDG_CACHE_HOME", str(FIXTURES / "cache"))
    found = cache.Memory.of(*QUESTION).recall()
    assert found is not None
    assert [seed.kind for seed in found.seeds] == [
        "CustomResourceDefinition",
        "Secret",
        "Namespace",
    ]
    sealed = found.seeds[1].sealed
    assert sealed is not None and sealed["kind"] == "SealedSecret"


def test_every_resource_type_of_the_state_is_known() -> None:
    for token in TYPES:
        if token.startswith("elysium:") and "components" not in token:
            assert registry.find(token)


def test_a_killed_passphrase_change_is_finished(homelab: Path) -> None:
    path = homelab / "Pulumi.kyrion.yaml"
    old = path.read_bytes()
    entry = {"path": str(path), "before": hashlib.sha256(old).hexdigest()}
    record = homelab / ".elysium/kyrion.passphrase-change"
    record.write_text(json.dumps({"state": "committed", "files": [entry]}, indent=2) + "\n")
    (homelab / ".Pulumi.kyrion.yaml.switching").write_bytes(old + b"# new\n")
    open_stack(homelab, "kyrion").close()
    assert path.read_bytes() == old + b"# new\n"
    assert not record.exists()

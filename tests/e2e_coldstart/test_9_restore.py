"""The node and the operator's folder are lost; one file and one passphrase bring all of it back."""

from __future__ import annotations

import dataclasses
import json
import pathlib
import shutil

import pytest

from provision.recovery import journal
from provision.sandbox import renewal
from tests.support import coldstarts, killed, night
from tests.support import lab as labs

PHRASE = {"ELYSIUM_BACKUP_PASSPHRASE": "correct horse battery"}


@pytest.fixture(scope="module")
def backed_up(lab: labs.Lab, key, tmp_path_factory: pytest.TempPathFactory):
    """A cluster with SealedSecrets through Git, its backup's file, and its Secrets."""
    forge = lab.forge.with_repository("deadlocked")
    if not forge.deploy_keys():  # there is no cluster yet, or it follows another repository
        if lab.on_node("command -v k3s || true"):
            coldstarts.emptied(lab)
        if forge.head():
            lab.elysium("config", "set", "github.repository", "deadlocked").ok()
        else:
            coldstarts.use(lab, "deadlocked", coldstarts.repository(key))
        lab.elysium("up", "--yes").ok()
    lab.on_node("k3s kubectl create secret generic by-hand -n default --from-literal=a=b")
    *_, said = lab.elysium("--json", "backup", "--datastore", environ=PHRASE).ok().json_lines()
    kept = tmp_path_factory.mktemp("stick") / pathlib.Path(said["path"]).name
    shutil.copy(said["path"], kept)
    return kept, night.secrets(lab)


def test_a_dry_run_says_all_of_it_and_changes_nothing(lab: labs.Lab, backed_up) -> None:
    before = {path: path.stat().st_mtime_ns for path in lab.folder.rglob("*")}
    done = lab.elysium("--json", "restore", "--dry-run", environ=PHRASE).ok()
    (told,) = [each for each in done.json_lines() if "sealedSecrets" in each]
    assert told["well"] is True and told["problems"] == []
    assert {each["name"]: each["opens"] for each in told["sealedSecrets"]} == {
        "flux-system/cluster-secret-vars": True,
        "tailscale/tsidp-auth": True,
    }
    assert "default/by-hand" in told["lostSecrets"]
    assert any("volumes" in words for words in told["losses"])
    assert {path: path.stat().st_mtime_ns for path in lab.folder.rglob("*")} == before


def test_a_living_cluster_is_not_shot(lab: labs.Lab, backed_up) -> None:
    node = lab.sandbox.node
    args = ("restore", "--host", node.host, "--host-key", node.host_key, "--yes", "--anyway")
    done = lab.elysium(*args, environ=PHRASE)
    assert done.status == 2, done.stderr
    assert "still answers" in done.stderr and "--confirm kyrion" in done.stderr
    assert not journal.path_of(lab.folder, "kyrion").exists()


def test_one_file_and_one_passphrase_bring_it_back(
    lab: labs.Lab, backed_up, tmp_path: pathlib.Path
) -> None:
    file, before = backed_up
    keys = lab.forge.with_repository("deadlocked").deploy_keys()
    lab.sandbox = renewal.replace_node(lab.sandbox.name, hostname="sirius")
    node = lab.sandbox.node
    home = tmp_path / "home"
    home.mkdir()
    environ = {name: value for name, value in lab.environ.items() if "PASSPHRASE" not in name}
    fresh = dataclasses.replace(lab, folder=tmp_path, environ=environ | {"HOME": str(home)})
    wanted = ("restore", str(file), "--host", node.host, "--host-key", node.host_key, "--yes")
    wanted += night.trusting(lab)
    wrong = fresh.elysium(*wanted, environ={"ELYSIUM_BACKUP_PASSPHRASE": "another one, wrong"})
    assert wrong.status == 3 and [path.name for path in tmp_path.iterdir()] == ["home"]

    # `make recovery` does this after each step, and of a backup and a drill as well.
    assert killed.run(fresh, tmp_path / "point", 5, *wanted, **PHRASE) == "k3s done"
    (tmp_path / "point").unlink()
    done = fresh.elysium("--json", *wanted, environ=PHRASE).ok()
    assert "not reachable" not in done.stdout + done.stderr
    (ended,) = [each for each in done.json_lines() if each.get("event") == "restored"]
    lost = {words.partition(" ")[2] for words in ended["expected"]}
    assert "default/by-hand" in lost
    kept = {name: data for name, data in before.items() if name not in lost}
    assert ended["equal"] == len(kept) >= 3
    assert [each["step"] for each in ended["steps"]] == [
        *("place", "files", "k3s", "keys", "up", "compare")
    ]
    assert night.secrets(lab) == kept
    assert coldstarts.ready(lab) == {"flux-system", "infra-controllers", "infra-configs", "apps"}
    assert len(keys) == 1
    assert lab.forge.with_repository("deadlocked").deploy_keys()[0]["id"] == keys[0]["id"]
    assert len(lab.forge.with_repository("deadlocked").deploy_keys()) == 1
    again = fresh.elysium("up", "--yes", "--json").ok()
    (summary,) = [each for each in again.json_lines() if each.get("event") == "summary"]
    assert set(summary["counts"]) <= {"same", "read", "refresh"}
    text = journal.path_of(tmp_path, "kyrion").read_text()
    assert json.loads(text)["runs"][-1]["finished"]
    for name in ("PRIVATE KEY", "correct horse"):
        assert name not in text + done.stdout + done.stderr

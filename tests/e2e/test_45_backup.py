"""A backup of the whole cluster is made, opened and looked at."""

from __future__ import annotations

import json
import pathlib

import pyrage
import pytest

from provision.recovery.backup import collect
from provision.recovery.bundle import archive, encryption, inventory, parts
from provision.secret import Secret
from tests.support import coldstarts
from tests.support import lab as labs

KEY = pyrage.x25519.Identity.generate()


@pytest.fixture(scope="module")
def made(lab: labs.Lab, up: labs.Done) -> archive.Bundle:
    args = ("--json", "backup", "--datastore", "--recipient", str(KEY.to_public()))
    *_, said = lab.elysium(*args).ok().json_lines()
    assert any("volumes of the workloads" in words for words in said["excluded"])
    keys = encryption.Identities(texts=(Secret(str(KEY)),))
    return archive.read(pathlib.Path(said["path"]).read_bytes(), keys)


def test_it_holds_what_the_node_has(lab: labs.Lab, made: archive.Bundle) -> None:
    for path in (
        "/var/lib/rancher/k3s/server/token",
        "/etc/rancher/k3s/config.yaml",
        "/etc/rancher/node/password",
        "/etc/rclone/elysium-media.conf",
    ):
        assert made.read(parts.node_file(path)).decode() == lab.on_node(f"cat {path}")


def test_it_holds_the_stack_and_the_deploy_key(lab: labs.Lab, made: archive.Bundle) -> None:
    assert made.read(parts.PASSPHRASE).decode() == lab.environ["PULUMI_CONFIG_PASSPHRASE"]
    configuration = (lab.folder / "Pulumi.kyrion.yaml").read_bytes()
    assert made.read(parts.stack_file("kyrion")) == configuration
    urns = [each["urn"] for each in made.json(parts.STATE)["deployment"]["resources"]]
    assert any("elysium:node:K3sServer" in urn for urn in urns)
    there = lab.kubectl("get", "secret", "-n", "flux-system", "flux-system")
    assert made.json(parts.FLUX_SYSTEM)["data"] == there["data"]
    _, fingerprints = collect.sealing_keys(_Nothing(), _keys(made), [])  # type: ignore[arg-type]
    assert fingerprints == made.manifest.sealing_keys


def test_the_datastore_has_every_object(lab: labs.Lab, made: archive.Bundle) -> None:
    import sqlite3

    opened = sqlite3.connect(":memory:")
    opened.deserialize(made.read(parts.SQLITE))
    names = {row[0] for row in opened.execute("SELECT DISTINCT name FROM kine")}
    opened.close()
    assert "/registry/secrets/flux-system/flux-system" in names
    left = lab.on_node("ls -A /var/lib/rancher/k3s/server/db")
    assert ".elysium-backup" not in left


def test_the_inventory_tells_equal_secrets(lab: labs.Lab, made: archive.Bundle) -> None:
    found = inventory.load(made.read(parts.INVENTORY))
    # Ready or not is of the moment: one may be at a new commit just now.
    listed = {each.name: each.objects for each in found.kustomizations}
    there = lab.kubectl("get", "kustomizations", "-n", "flux-system")["items"]
    assert listed.keys() == {each["metadata"]["name"] for each in there}
    assert any("_Kustomization" in entry for entry in listed["flux-system"])
    secret = lab.kubectl("get", "secret", "-n", "flux-system", "flux-system")
    (kept,) = [s for s in found.secrets if (s.namespace, s.name) == ("flux-system",) * 2]
    assert inventory.hash_secret(secret, found.salt) == kept.hash
    changed = secret | {"data": secret["data"] | {"more": ""}}
    assert inventory.hash_secret(changed, found.salt) != kept.hash


def test_list_verify_and_status_know_it(
    lab: labs.Lab, made: archive.Bundle, tmp_path: pathlib.Path
) -> None:
    (tmp_path / "key").write_text(str(KEY))
    name = made.manifest.file_name
    assert name in lab.elysium("backup", "list").ok().stdout
    lab.elysium("backup", "verify", name, "--no-open").ok()
    lab.elysium("backup", "verify", name, "-i", str(tmp_path / "key")).ok()
    coldstarts.until(lambda: lab.elysium("status").status == 0, "all is as it should be")
    status = json.loads(lab.elysium("--json", "status").stdout)
    (section,) = [each for each in status["sections"] if each["title"] == "backup"]
    assert (section["health"], section["problems"]) == ("ok", [])
    wrong = lab.elysium("backup", "show", name, environ={"ELYSIUM_BACKUP_PASSPHRASE": "x" * 12})
    assert wrong.status == 2
    assert "--identity" in wrong.stderr


def test_the_timer_needs_recipients_and_is_one_for_systemd(
    lab: labs.Lab, made: archive.Bundle
) -> None:
    refused = lab.elysium("backup", "schedule")
    assert refused.status == 2
    assert "recipients" in refused.stderr


class _Nothing:
    def list(self, *_args: object, **_more: object) -> list[dict[str, object]]:
        return []


def _keys(made: archive.Bundle) -> str:
    return made.contents.get(parts.SEALING_KEYS, b"").decode()

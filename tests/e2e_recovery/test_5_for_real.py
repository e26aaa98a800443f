"""Around a backup: another machine that keeps it, files of one's own, a timer that makes it."""

from __future__ import annotations

import hashlib
import json
import os
import pathlib
import re
import subprocess
from collections.abc import Iterator

import pyrage
import pytest

from provision.recovery.bundle import archive, encryption, parts
from provision.sandbox import lifecycle, model, node, renewal
from provision.secret import Secret
from tests.support import coldstarts, night, systemd
from tests.support import lab as labs

AGE = pyrage.x25519.Identity.generate()
SOPS = pyrage.x25519.Identity.generate()
UNIT = "elysium-backup-kyrion"
MINE = """
set -e
mkdir -p /etc/rancher/k3s/config.yaml.d /etc/systemd/system/k3s.service.d /etc/mine/deep
echo 'node-label: [from=me]' >/etc/rancher/k3s/config.yaml.d/90-mine.yaml
printf '[Service]\\nEnvironment=MINE=1\\n' >/etc/systemd/system/k3s.service.d/10-mine.conf
echo one >/etc/mine/deep/one
chown -R nobody:nogroup /etc/mine/deep
chmod 640 /etc/mine/deep/one
systemctl daemon-reload
k3s kubectl create secret generic sops-age -n flux-system --from-file=age.agekey=/dev/stdin
"""
LOOK = (
    "cd / && stat -c '%n %a %U %s' etc/rancher/k3s/config.yaml.d/90-mine.yaml"
    " etc/systemd/system/k3s.service.d/10-mine.conf etc/mine/deep etc/mine/deep/one"
    " && systemctl show -p Environment --value k3s.service"
)


@pytest.fixture(scope="module")
def shelf() -> Iterator[model.Sandbox]:
    """Another machine, that keeps copies."""
    name = f"shelf-{os.getpid()}"
    try:
        yield lifecycle.up_node(name, node.Options(hostname="shelf", gpu=False))
    finally:
        lifecycle.down(name)


@pytest.fixture(scope="module")
def mine(lab: labs.Lab, kept: pathlib.Path, tmp_path_factory: pytest.TempPathFactory) -> labs.Lab:
    """A folder whose cluster is that of the node there is now, with files of one's own on it."""
    fresh = restored(lab, kept, tmp_path_factory.mktemp("mine"))
    fresh.on_node(MINE, stdin=f"{SOPS}\n")
    fresh.elysium("config", "set", "backup.paths", "/etc/mine").ok()
    return fresh


def restored(lab: labs.Lab, file: pathlib.Path, folder: pathlib.Path, *named: str) -> labs.Lab:
    """Put an empty node in the place of the lab's, and restore from `file` in `folder`."""
    lab.sandbox = renewal.replace_node(lab.sandbox.name)
    fresh, there = night.elsewhere(lab, folder), lab.sandbox.node
    where = ("--host", there.host, "--host-key", there.host_key, "--yes", *night.trusting(lab))
    where += tuple(word for value in named for word in ("--trust-address", value))
    fresh.elysium("restore", str(file), *where, environ=night.PHRASE).ok()
    return fresh


def on_shelf(shelf: model.Sandbox, command: str) -> bytes:
    done = subprocess.run(
        node.ssh_argv(shelf.node, command), capture_output=True, timeout=60, check=True
    )
    return done.stdout


@pytest.fixture(scope="module")
def fetched(
    mine: labs.Lab, shelf: model.Sandbox, tmp_path_factory: pytest.TempPathFactory
) -> tuple[pathlib.Path, str]:
    """A backup made with k3s stopped, as the other machine has it; what `LOOK` said then."""
    there = shelf.node
    login = {
        "host": there.host,
        "port": there.port,
        "user": there.user,
        "hostKey": there.host_key,
        "identityFile": str(there.identity_file),
    }
    copies = [{"ssh": login, "path": "/srv/my backups"}]
    mine.elysium("config", "set", "backup.copies", json.dumps(copies)).ok()
    started = mine.on_node("systemctl show -p ActiveEnterTimestampMonotonic --value k3s")
    words = ("--json", "backup", "--datastore", "--stop-k3s")
    said = mine.elysium(*words, environ=night.PHRASE).ok().json_lines()[-1]
    assert mine.on_node("systemctl is-active k3s").strip() == "active"
    assert mine.on_node("systemctl show -p ActiveEnterTimestampMonotonic --value k3s") != started
    label = f"{there.user}@{there.host}:/srv/my backups"
    assert label in said["places"] and said["missing"] == []
    (name,) = on_shelf(shelf, "ls -A '/srv/my backups'").decode().split()
    content = on_shelf(shelf, f"cat '/srv/my backups/{name}'")
    assert hashlib.sha256(content).hexdigest() == said["sha256"]
    assert on_shelf(shelf, f"stat -c %a '/srv/my backups/{name}'") == b"600\n"
    assert label in mine.elysium("status").stdout
    path = tmp_path_factory.mktemp("fetched") / name
    path.write_bytes(content)
    return path, mine.on_node(LOOK)


def test_k3s_was_stopped_for_the_copy_and_said_so(fetched: tuple[pathlib.Path, str]) -> None:
    keys = encryption.Passphrase(secret=Secret(night.PHRASE["ELYSIUM_BACKUP_PASSPHRASE"]))
    found = archive.read(fetched[0].read_bytes(), keys)
    assert "while k3s was stopped" in found.manifest.datastore.how
    (secret,) = found.json(parts.SOPS_AGE)["items"]
    assert secret["metadata"]["name"] == "sops-age"


def test_a_machine_that_refuses_the_copy_is_named(
    mine: labs.Lab, shelf: model.Sandbox, fetched: tuple[pathlib.Path, str]
) -> None:
    on_shelf(shelf, "mv '/srv/my backups' /srv/aside && echo >'/srv/my backups'")
    done = mine.elysium("backup", environ=night.PHRASE)
    assert done.status == 4 and "/srv/my backups" in done.stderr
    assert "Traceback" not in done.stderr
    assert "is not in" in mine.elysium("status").stdout
    on_shelf(shelf, "rm '/srv/my backups' && mv /srv/aside '/srv/my backups'")
    mine.elysium("backup", "--keep", "2", environ=night.PHRASE).ok()
    assert len(on_shelf(shelf, "ls -A '/srv/my backups'").splitlines()) == 2


@pytest.fixture(scope="module")
def again(
    lab: labs.Lab,
    mine: labs.Lab,
    shelf: model.Sandbox,
    fetched: tuple[pathlib.Path, str],
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[labs.Lab, dict[str, object], dict[str, object]]:
    """Restored from what was fetched, with the deploy key deleted on the code host meanwhile.

    The folder, the Secrets there were, and the deploy key that was lost.
    """
    before = night.secrets(mine)
    forge = lab.forge.with_repository("deadlocked")
    (lost,) = forge.deploy_keys()
    forge.delete_key(lost["id"])
    dry = mine.elysium("restore", str(fetched[0]), "--dry-run", environ=night.PHRASE).ok()
    assert "a new one is made" in " ".join(dry.stderr.split())
    there = shelf.node
    named = ("/etc/mine", f"{there.host}:{there.port}", str(there.identity_file))
    fresh = restored(lab, fetched[0], tmp_path_factory.mktemp("again"), *named)
    return fresh, before, lost


def test_it_comes_back_with_ones_own_files_and_another_deploy_key(
    lab: labs.Lab,
    fetched: tuple[pathlib.Path, str],
    again: tuple[labs.Lab, dict[str, object], dict[str, object]],
) -> None:
    fresh, before, lost = again
    files = fetched[1]
    (new,) = lab.forge.with_repository("deadlocked").deploy_keys()
    assert new["id"] != lost["id"] and new["key"] != lost["key"]
    assert fresh.on_node(LOOK) == files
    assert "MINE=1" in files
    after = night.secrets(lab)
    assert after.pop("flux-system/flux-system") != before.pop("flux-system/flux-system")
    assert "flux-system/sops-age" in after and after == before
    assert coldstarts.ready(lab) == night.ALL
    night.unchanged(fresh)


def test_the_timer_makes_one_under_a_real_systemd(
    again: tuple[labs.Lab, dict[str, object], dict[str, object]], tmp_path: pathlib.Path
) -> None:
    fresh = again[0]
    fresh.elysium("config", "set", "backup.copies", "[]").ok()
    fresh.elysium("config", "set", "backup.recipients", str(AGE.to_public())).ok()
    elysium = str(labs.ELYSIUM)
    held = lifecycle.folder_of(fresh.sandbox.name)
    here = {"environ": fresh.environ, "folder": fresh.folder}
    with systemd.booted(tmp_path, fresh.folder, held) as machine:
        said = machine.ok(
            elysium,
            "backup",
            "schedule",
            "--at",
            "03:00",
            environ=fresh.environ,
            folder=fresh.folder,
        )
        # Some minutes after it, so that not every machine begins at once.
        assert re.search(rf"{UNIT}\.timer is on; next run: \S+ \S+ 03:0[0-5]:", said), said
        units = [f"/etc/systemd/system/{UNIT}.{kind}" for kind in ("service", "timer")]
        assert machine.ok("systemd-analyze", "verify", *units) == ""
        assert machine.ok("systemctl", "is-active", f"{UNIT}.timer") == "active\n"
        started = machine.run("systemctl", "start", f"{UNIT}.service")
        log = machine.run("journalctl", "-u", UNIT, "--no-pager").stdout
        assert started.returncode == 0, log
        (path,) = (fresh.folder / ".elysium" / "backups").glob("*.age")
        found = archive.read(path.read_bytes(), encryption.Identities(texts=(Secret(str(AGE)),)))
        assert found.manifest.cluster == "kyrion"
        removed = machine.ok(elysium, "backup", "schedule", "--remove", **here)
        assert "is removed" in removed
        assert machine.run("systemctl", "cat", f"{UNIT}.timer").returncode != 0
        key = fresh.folder / "key.txt"
        key.write_text(str(AGE))
        words = ("drill", "-i", str(key), "--at", "Sun 03:00")
        assert "elysium-drill-kyrion.timer is on" in machine.ok(elysium, *words, **here)
        drills = [unit.replace("backup", "drill") for unit in units]
        assert machine.ok("systemd-analyze", "verify", *drills) == ""
        listed = machine.ok("systemctl", "list-timers", "--all", "--no-pager")
        assert "elysium-drill-kyrion.timer" in listed and "Sun" in listed
        machine.ok(elysium, "drill", "--remove", **here)
        assert machine.run("ls", *drills).returncode != 0
        assert machine.run("ls", *units).returncode != 0

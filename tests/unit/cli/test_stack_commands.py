"""``elysium stack …`` over a real state on disk."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from provision import config_file, crypter
from provision.engine.state import backend, checkpoint, lock

ROOT = "urn:pulumi:kyrion::elysium::pulumi:pulumi:Stack::elysium-kyrion"
PROVIDER = "urn:pulumi:kyrion::elysium::pulumi:providers:kubernetes::kubernetes"
NODE = "urn:pulumi:kyrion::elysium::elysium:node:Node::kyrion"
K3S = "urn:pulumi:kyrion::elysium::elysium:node:Node$elysium:node:K3sServer::kyrion"
KEY = "urn:pulumi:kyrion::elysium::elysium:flux:GitAccess::flux-access"
SECRET = {"4dabf18193072939515e22adb298388d": "1b47061264138c4ac30d75fd1eb44270"}


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch, folder: Path) -> crypter.PassphraseCrypter:
    monkeypatch.setattr(crypter, "_ROUNDS", 1000)
    passphrase, _ = config_file.create_passphrase(folder, "kyrion")
    return crypter.PassphraseCrypter.new(passphrase)


@pytest.fixture
def place(folder: Path, opened: crypter.PassphraseCrypter) -> backend.FileBackend:
    found = backend.FileBackend("file://./.elysium/state", folder, "elysium", "kyrion")
    token = SECRET | {"ciphertext": opened.encrypt('"canary-token"')}
    provider = {"clusterIdentifier": "kyrion"}
    resources: list[dict[str, Any]] = [
        {"urn": ROOT, "custom": False, "type": "pulumi:pulumi:Stack"},
        {
            "urn": PROVIDER,
            "custom": True,
            "id": "p",
            "type": "pulumi:providers:kubernetes",
            "inputs": provider,
            "outputs": provider,
        },
        {"urn": NODE, "custom": False, "type": "elysium:node:Node", "parent": ROOT},
        {
            "urn": K3S,
            "custom": True,
            "id": "kyrion",
            "type": "elysium:node:K3sServer",
            "parent": NODE,
            "outputs": {"token": token},
        },
        {
            "urn": KEY,
            "custom": True,
            "id": "k",
            "type": "elysium:flux:GitAccess",
            "parent": ROOT,
            "dependencies": [K3S],
        },
    ]
    latest = {
        "manifest": checkpoint.manifest(),
        "secrets_providers": {"type": "passphrase", "state": {"salt": opened.salt}},
        "resources": resources,
        "metadata": {},
    }
    body = {"stack": "organization/elysium/kyrion", "latest": latest}
    found.write({"version": 3, "checkpoint": body})
    found.record(
        {
            "kind": "update",
            "startTime": 1_780_000_000,
            "endTime": 1_780_000_042,
            "message": "elysium up",
            "result": "succeeded",
            "resourceChanges": {"create": 4},
        },
        changed=True,
    )
    return found


def edit(place: backend.FileBackend, change: Any) -> None:
    document = place.read()
    assert document is not None
    change(checkpoint.resources(document))
    place.write(document)


def test_ls(call: Any, place: backend.FileBackend, folder: Path) -> None:
    (folder / "Pulumi.other.yaml").write_text("config: {}\n")
    with lock.StackLock(place.locks):
        shown = call("stack", "ls")
        rows = json.loads(call("stack", "ls", "--json").out)
    assert shown.code == 0
    first, second = shown.out.splitlines()
    assert first.startswith("kyrion  3 resources  changed ")
    assert "locked by" in first
    assert second == "other  not brought up yet"
    assert [(row["stack"], row["resources"]) for row in rows] == [("kyrion", 3), ("other", 0)]
    place.path.write_text("{")
    assert "cannot be used" in call("stack", "ls").out


def test_ls_of_nothing(call: Any, folder: Path) -> None:
    (folder / "Pulumi.kyrion.yaml").unlink()
    assert "there is no stack" in call("stack", "ls").err


def test_export_hides_secrets_unless_asked(
    call: Any, place: backend.FileBackend, tmp_path: Path
) -> None:
    shown = call("stack", "export")
    assert shown.code == 0
    assert json.loads(shown.out)["version"] == 3
    assert "canary-token" not in shown.out
    assert "canary-token" in call("stack", "export", "--show-secrets").out
    target = tmp_path / "state.json"
    assert call("stack", "export", "-o", str(target)).code == 0
    assert target.stat().st_mode & 0o777 == 0o600
    assert json.loads(target.read_text()) == json.loads(shown.out)


def test_import_puts_an_exported_state_in_place(
    call: Any, place: backend.FileBackend, tmp_path: Path
) -> None:
    target = tmp_path / "state.json"
    call("stack", "export", "-o", str(target))
    edit(place, lambda resources: resources.pop())
    refused = call("stack", "import", str(target))
    assert refused.code == 2
    assert "give --yes" in refused.err
    kept = place.path.read_bytes()
    assert "nothing was changed" in call("stack", "import", str(target), answers="n\n").err
    assert place.path.read_bytes() == kept
    done = call("stack", "import", str(target), answers="y\n")
    assert (done.code, "has 3 resources" in done.err) == (0, True)
    assert place.path.with_name("kyrion.json.bak").read_bytes() == kept
    text = target.read_text()
    assert json.loads(call("stack", "import", "-", "--yes", "--json", stdin=text).out) == {
        "stack": "kyrion",
        "resources": 3,
    }


def test_import_refuses_secrets_in_plain_text(
    call: Any, place: backend.FileBackend, tmp_path: Path
) -> None:
    target = tmp_path / "state.json"
    call("stack", "export", "--show-secrets", "-o", str(target))
    before = place.path.read_bytes()
    refused = call("stack", "import", "--yes", str(target))
    assert refused.code == 7
    assert "not encrypted" in refused.err
    assert "canary-token" not in refused.err
    assert place.path.read_bytes() == before


@pytest.mark.parametrize(
    ("text", "words"),
    [("{", "is no JSON"), ("[]", "is no exported stack"), ("{}", "has no deployment")],
)
def test_import_refuses_what_is_no_state(
    call: Any, place: backend.FileBackend, text: str, words: str
) -> None:
    refused = call("stack", "import", "-", "--yes", stdin=text)
    assert refused.code == 7
    assert words in refused.err
    assert call("stack", "import", "-", stdin=text).code == 2


def test_history(call: Any, place: backend.FileBackend) -> None:
    assert "update     42s  4 created  elysium up" in call("stack", "history").out
    (row,) = json.loads(call("stack", "history", "--json").out)
    assert (row["kind"], row["ok"], row["changes"]) == ("update", True, {"create": 4})


def test_graph(call: Any, place: backend.FileBackend, tmp_path: Path) -> None:
    assert call("stack", "graph").out == (
        "|- kyrion  elysium:node:Node\n|  `- kyrion  elysium:node:K3sServer\n"
        "`- flux-access  elysium:flux:GitAccess  <- kyrion\n"
    )
    assert call("stack", "graph", "--format", "dot").out.startswith("digraph")
    target = tmp_path / "graph.svg"
    call("stack", "graph", "--format", "svg", "-o", str(target))
    ElementTree.fromstring(target.read_text())  # noqa: S314 - our own
    rows = json.loads(call("stack", "graph", "--json").out)
    assert [(row["name"], row["needs"]) for row in rows][-1] == ("flux-access", [K3S])


def test_unlock_asks(call: Any, place: backend.FileBackend) -> None:
    assert "is not locked" in call("stack", "unlock").err
    lock.StackLock(place.locks).acquire()
    assert call("stack", "unlock").code == 2
    assert "nothing was changed" in call("stack", "unlock", answers="n\n").err
    assert lock.held(place.locks)
    done = call("stack", "unlock", answers="y\n")
    assert "is no longer locked by" in done.err
    assert not lock.held(place.locks)


def test_repair_explains_asks_and_mends(call: Any, place: backend.FileBackend) -> None:
    assert "keeps all rules" in call("stack", "repair").err
    edit(place, lambda resources: resources[-1].update(dependencies=["urn:pulumi:a::b::c::gone"]))
    broken = place.path.read_bytes()
    checked = call("stack", "repair", "--check")
    assert checked.code == 7
    assert "refers to urn:pulumi:a::b::c::gone, which is not there" in checked.out
    assert "to mend it: the reference is taken away" in checked.out
    assert call("stack", "repair").code == 2
    assert call("stack", "repair", answers="n\n").code == 7
    assert place.path.read_bytes() == broken
    mended = call("stack", "repair", answers="y\n")
    assert (mended.code, "mended" in mended.err) == (0, True)
    assert call("stack", "repair", "--check").code == 0
    assert place.path.with_name("kyrion.json.bak").read_bytes() == broken


def test_repair_says_what_it_cannot_mend(call: Any, place: backend.FileBackend) -> None:
    for path in place.backups.glob("*"):
        path.unlink()
    place.path.write_text("{")
    found = call("stack", "repair", "--yes", "--json")
    assert found.code == 7
    first = json.loads(found.out.splitlines()[0])
    assert first["mended"] is False
    assert "cannot be used" in first["findings"][0]["message"]


def test_repair_mentions_a_set_aside_journal_and_is_content(
    call: Any, place: backend.FileBackend
) -> None:
    aside = place.journal.with_name(f"{place.journal.name}.1.aside")
    aside.write_text("")
    found = call("stack", "repair", "--check")
    assert found.code == 0
    assert str(aside) in found.out


def test_rename_takes_file_passphrase_and_state_along(
    call: Any, place: backend.FileBackend, folder: Path
) -> None:
    done = call("stack", "rename", "homelab")
    assert done.code == 0, done.err
    assert not (folder / "Pulumi.kyrion.yaml").exists()
    assert not config_file.passphrase_file(folder, "kyrion").exists()
    assert config_file.passphrase_file(folder, "homelab").stat().st_mode & 0o777 == 0o600
    loaded = config_file.read(folder / "Pulumi.homelab.yaml", None)
    assert (loaded.config.cluster, loaded.config.flux_path) == ("homelab", "clusters/kyrion")
    assert "canary-token" in call("stack", "export", "--show-secrets").out
    rows = json.loads(call("stack", "export").out)["deployment"]["resources"]
    assert {row["urn"].split("::")[0] for row in rows} == {"urn:pulumi:homelab"}
    assert rows[1]["inputs"] == {"clusterIdentifier": "homelab"}
    assert call("stack", "rename", "No Name").code == 2


@pytest.mark.parametrize("cut", ["create", "state"])
def test_rename_that_was_cut_off_goes_on(
    call: Any, place: backend.FileBackend, folder: Path, monkeypatch: pytest.MonkeyPatch, cut: str
) -> None:
    from provision.engine.state import stacks

    real = stacks.rename

    def dies(*arguments: Any) -> None:
        if cut == "state":
            real(*arguments)
        raise KeyboardInterrupt

    monkeypatch.setattr(stacks, "rename", dies)
    assert call("stack", "rename", "homelab", "--stack", "kyrion").code == 130
    monkeypatch.setattr(stacks, "rename", real)
    assert call("stack", "rename", "homelab", "--stack", "kyrion").code == 0
    assert [p.name for p in folder.glob("Pulumi.*.yaml")] == ["Pulumi.homelab.yaml"]
    assert "3 resources" in call("stack", "ls").out


def test_rename_does_not_write_over_another_stack(
    call: Any, place: backend.FileBackend, folder: Path
) -> None:
    (folder / "Pulumi.other.yaml").write_text("config: {}\n")
    assert call("stack", "rename", "--stack", "kyrion", "other").code == 2
    assert (folder / "Pulumi.other.yaml").read_text() == "config: {}\n"
    assert (folder / "Pulumi.kyrion.yaml").exists()


def test_rm_asks_for_the_name(call: Any, place: backend.FileBackend, folder: Path) -> None:
    assert call("stack", "rm").code == 2
    assert call("stack", "rm", answers="kyrio\n").code == 2
    refused = call("stack", "rm", answers="kyrion\n")
    assert refused.code == 7
    assert "still has 3 resources" in refused.err
    assert place.path.exists()
    done = call("stack", "rm", "--force", answers="kyrion\n")
    assert done.code == 0
    assert "3 resources are forgotten" in done.err
    assert not place.path.exists()
    assert (folder / "Pulumi.kyrion.yaml").exists()


def test_a_stack_whose_file_is_gone_is_found_by_name(
    call: Any, place: backend.FileBackend, folder: Path
) -> None:
    (folder / "Pulumi.kyrion.yaml").unlink()
    assert call("stack", "export", "--stack", "kyrion").code == 0
    assert call("stack", "export").code == 2


def test_state_that_is_not_in_a_folder(call: Any, folder: Path) -> None:
    (folder / "Pulumi.yaml").write_text("name: elysium\nbackend:\n  url: s3://bucket\n")
    refused = call("stack", "export")
    assert refused.code == 7
    assert "pulumi stack" in refused.err

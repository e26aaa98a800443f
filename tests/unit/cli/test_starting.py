"""init and sandbox: questions, pinning, files, and what is said afterwards."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from provision import config_file, errors
from provision.host import hostkey, transport
from provision.sandbox import lifecycle, model, node
from provision.secret import Secret

BLOB = b"\x00\x00\x00\x0bssh-ed25519\x00\x00\x00 " + b"k" * 32
SHOWN = hostkey.HostKey(type="ssh-ed25519", blob=BLOB)


@pytest.fixture
def fresh(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder, and a node that shows its host key."""
    for path in folder.iterdir():
        path.unlink()

    def scan(host: str, port: int = 22) -> hostkey.HostKey:
        if host == "gone.lan":
            raise errors.ConnectError("gone.lan does not answer", host=host)
        return SHOWN

    monkeypatch.setattr(transport, "scan_host_key", scan)
    return folder


BASIC = ("init", "--cluster", "kyrion", "--host", "node.lan", "--github", "me/homelab", "--yes")


def read(folder: Path, environ: dict[str, str] | None = None) -> Any:
    project = config_file.find_project(folder)
    crypter = config_file.stack_crypter(project, "kyrion", environ or {})
    return config_file.read(folder / "Pulumi.kyrion.yaml", crypter)


def test_init_with_flags(call, fresh):
    outcome = call(*BASIC, "--user", "admin", "--port", "2222", "--gpu", "--branch", "prod")
    assert outcome.code == 0, outcome.err
    assert outcome.out == "written: Pulumi.yaml, Pulumi.kyrion.yaml, .gitignore\n"
    assert SHOWN.fingerprint in outcome.err
    assert "elysium preview" in outcome.err
    loaded = read(fresh)
    server = loaded.config.server
    assert (server.host, server.user, server.port) == ("node.lan", "admin", 2222)
    assert server.host_key == SHOWN.line
    assert loaded.config.github.slug == "me/homelab"
    assert loaded.config.github.branch == "prod"
    assert loaded.config.gpu is not None
    assert loaded.config.media is None
    assert loaded.warnings == ()
    kept = config_file.passphrase_file(fresh, "kyrion")
    assert kept.exists()
    assert str(kept) in outcome.err
    assert ".elysium/" in (fresh / ".gitignore").read_text()


def test_init_asks(call, fresh):
    answers = ["kyrion", "node.lan", "me/homelab", "", "", "", "y", "y", "y", "acct/films/4k"]
    outcome = call("init", answers="\n".join([*answers, "the-key", ""]))
    assert outcome.code == 0, outcome.err
    assert "Is this the right machine?" in outcome.err
    assert "ssh-keygen -lf" in outcome.err
    assert "the-key" not in outcome.out + outcome.err
    loaded = read(fresh)
    assert loaded.config.media.remote["account"] == "acct"
    assert loaded.config.media.remote["key"] == Secret("the-key")
    assert loaded.config.media.path == "films/4k"
    assert loaded.config.gpu is not None
    assert "the-key" not in (fresh / "Pulumi.kyrion.yaml").read_text()


def test_init_at_a_strange_machine_stops(call, fresh):
    outcome = call("init", answers="kyrion\nnode.lan\nme/homelab\n\n\n\nn\n")
    assert outcome.code == 130
    assert "nothing was changed" in outcome.err
    assert list(fresh.iterdir()) == []


def test_init_at_a_node_that_does_not_answer(call, fresh):
    arguments = list(BASIC)
    arguments[arguments.index("node.lan")] = "gone.lan"
    outcome = call(*arguments)
    assert outcome.code == 4
    assert "gone.lan does not answer" in outcome.err
    assert list(fresh.iterdir()) == []
    answers = "kyrion\ngone.lan\nme/homelab\n\n\n\ny\nn\nn\n"
    outcome = call("init", answers=answers)
    assert outcome.code == 0, outcome.err
    assert "the node's identity is not pinned" in outcome.err


def test_init_with_a_known_host_key_contacts_nothing(call, fresh):
    arguments = list(BASIC)
    arguments[arguments.index("node.lan")] = "gone.lan"
    outcome = call(*arguments, "--host-key", SHOWN.fingerprint)
    assert outcome.code == 0
    assert read(fresh).config.server.host_key == SHOWN.fingerprint


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["init"], "there is no terminal to ask on"),
        (["init", "--yes"], "with --yes, these are needed: --cluster, --host, --github"),
        ([*BASIC, "--cluster", "Kyrion"], "'Kyrion' is no cluster's name"),
        ([*BASIC, "--cluster", "../x"], "'../x' is no cluster's name"),
        ([*BASIC, "--github", "homelab"], "'homelab' is no repository"),
        ([*BASIC, "--host-key", "AAAA"], "--host-key: a host key is"),
        ([*BASIC, "--media", "account"], "is not ACCOUNT/CONTAINER"),
        ([*BASIC, "--port", "0"], "0 is not in the range"),
    ],
)
def test_init_with_wrong_answers(call, fresh, arguments, message):
    outcome = call(*arguments)
    assert outcome.code == 2
    assert message in outcome.err
    assert list(fresh.iterdir()) == []


def test_init_never_overwrites(call, fresh):
    assert call(*BASIC).code == 0
    before = (fresh / "Pulumi.kyrion.yaml").read_text()
    outcome = call(*BASIC)
    assert outcome.code == 2
    assert "is in" in outcome.err
    assert (fresh / "Pulumi.kyrion.yaml").read_text() == before
    outcome = call(*BASIC, "--cluster", "second")
    assert outcome.out == "written: Pulumi.second.yaml\n"


def test_init_in_a_folder_below_the_project(call, fresh, monkeypatch):
    call(*BASIC)
    (fresh / "below").mkdir()
    monkeypatch.chdir(fresh / "below")
    outcome = call(*BASIC, "--cluster", "second")
    assert outcome.code == 0
    assert (fresh / "Pulumi.second.yaml").exists()
    assert f"elysium up -C {fresh}" in outcome.err


def test_init_with_a_passphrase_of_the_environment_keeps_none(call, fresh, monkeypatch):
    monkeypatch.setenv("PULUMI_CONFIG_PASSPHRASE", "correct horse")
    monkeypatch.setenv("AZURE_STORAGE_KEY", "the-key")
    outcome = call(*BASIC, "--media", "acct/films", "--json")
    data = json.loads(outcome.out)
    assert data == {
        "cluster": "kyrion",
        "written": ["Pulumi.yaml", "Pulumi.kyrion.yaml", ".gitignore"],
        "passphraseFile": None,
    }
    assert not config_file.passphrase_file(fresh, "kyrion").exists()
    loaded = read(fresh, {"PULUMI_CONFIG_PASSPHRASE": "correct horse"})
    assert loaded.config.media.remote["key"] == Secret("the-key")


def test_init_takes_the_repository_of_the_folder(call, fresh):
    subprocess.run(["git", "init", "-q", str(fresh)], check=True)
    remote = "git@github.com:me/homelab.git"
    subprocess.run(["git", "-C", str(fresh), "remote", "add", "origin", remote], check=True)
    arguments = [a for a in BASIC if a not in ("--github", "me/homelab")]
    assert call(*arguments).code == 0
    assert read(fresh).config.github.slug == "me/homelab"


def test_what_init_wrote_is_found_by_the_other_commands(call, fresh, operations):
    call(*BASIC)
    assert call("config", "validate").code == 0
    assert call("preview").code == 0


@pytest.fixture
def box(tmp_path: Path, folder: Path) -> model.Sandbox:
    return model.Sandbox.model_validate(
        {
            "name": "default",
            "number": 0,
            "hostAddress": "10.231.0.1",
            "node": {
                "host": "10.231.0.2",
                "identityFile": str(tmp_path / "id"),
                "hostKey": SHOWN.line,
                "hostname": "kyrion",
                "passwordFile": str(tmp_path / "pw"),
                "knownHosts": str(tmp_path / "kh"),
            },
            "real": [{"part": "node", "what": "Debian"}],
            "stoodIn": [{"part": "GitHub", "what": "a forge of ours"}],
        }
    )


def test_sandbox_up_says_what_is_there(call, box, monkeypatch):
    asked: list[Any] = []

    def up(name: str, options: Any, say: Any, *, fresh: bool) -> model.Sandbox:
        say("root file system: from the cache")
        asked.append((name, options.gpu, fresh))
        return box

    monkeypatch.setattr(lifecycle, "up", up)
    outcome = call("sandbox", "up", "--no-gpu", "--fresh")
    assert outcome.code == 0
    assert asked == [("default", False, True)]
    assert "root file system: from the cache" in outcome.err
    assert "ssh root@10.231.0.2" in outcome.out
    assert "stood in:   GitHub" in outcome.out
    assert "elysium sandbox down" in outcome.err
    outcome = call("sandbox", "up", "--json")
    assert json.loads(outcome.out.splitlines()[-1])["node"]["host"] == "10.231.0.2"


def test_sandbox_down(call, monkeypatch):
    monkeypatch.setattr(lifecycle, "names", lambda: ("a", "b"))
    monkeypatch.setattr(lifecycle, "down", lambda name, say: name == "a")
    outcome = call("sandbox", "down", "--all")
    assert "sandbox a is gone\nthere is no sandbox b\n" in outcome.err
    lines = [json.loads(x) for x in call("sandbox", "down", "--all", "--json").out.splitlines()]
    assert lines == [{"name": "a", "removed": True}, {"name": "b", "removed": False}]


def test_sandbox_status(call, box, monkeypatch):
    running = lifecycle.Running(service="node", where="ssh root@10.231.0.2", answers=False)
    found = {"default": lifecycle.Status(name="default", sandbox=box, services=(running,))}
    monkeypatch.setattr(lifecycle, "names", lambda: tuple(found))
    monkeypatch.setattr(lifecycle, "status", found.get)
    outcome = call("sandbox", "status")
    assert "sandbox default is not whole" in outcome.out
    assert "✗ node" in outcome.out
    data = json.loads(call("sandbox", "status", "--json").out)
    assert data[0]["healthy"] is False
    outcome = call("sandbox", "status", "--name", "other")
    assert outcome.code == 1
    assert "there is no sandbox other" in outcome.err
    found.clear()
    assert "there is no sandbox" in call("sandbox", "status").err


def test_sandbox_ssh_hands_over_the_terminal(call, box, monkeypatch):
    monkeypatch.setattr(lifecycle, "load", lambda name: box)
    ran: list[Any] = []

    def exec_(program: str, argv: list[str]) -> None:
        ran.append((program, argv))

    monkeypatch.setattr("provision.cli.commands.sandbox.os.execvp", exec_)
    call("sandbox", "ssh", "--", "ls", "-l", "/")
    assert ran[0] == ("ssh", node.ssh_argv(box.node, "ls", "-l", "/"))
    call("sandbox", "ssh", "systemctl", "status", "--no-pager")
    assert ran[1][1][-3:] == ["systemctl", "status", "--no-pager"]

    def missing(program: str, argv: list[str]) -> None:
        raise FileNotFoundError(program)

    monkeypatch.setattr("provision.cli.commands.sandbox.os.execvp", missing)
    outcome = call("sandbox", "ssh")
    assert outcome.code == 1
    assert "apt install openssh-client" in outcome.err


def test_sandbox_build(call, monkeypatch):
    monkeypatch.setattr(lifecycle, "prepare", lambda say: {"programs": 61.25})
    assert call("sandbox", "build").out == "programs: 61.2s\n"


def test_sandbox_errors_are_told_like_any_other(call, monkeypatch):
    def refuse(*_given: Any, **_named: Any) -> None:
        raise errors.PreflightError("no sandbox here", [errors.Problem(message="needs root")])

    monkeypatch.setattr(lifecycle, "up", refuse)
    outcome = call("sandbox", "up")
    assert outcome.code == 3
    assert "  - needs root" in outcome.err

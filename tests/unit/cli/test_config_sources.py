"""``config show`` says where each value comes from; ``init`` follows the same sources."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest
from ruamel.yaml import YAML


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "home" / ".ssh").mkdir(parents=True)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def write(folder: Path, node: str) -> None:
    (folder / "Pulumi.kyrion.yaml").write_text(
        f"config:\n  elysium:nodes:\n    - name: kyrion\n{node}"
        "  elysium:github: {owner: me, repository: homelab}\n"
    )


def test_each_value_has_its_source(call, folder, home):
    config = home / ".ssh" / "config"
    config.write_text(
        "Host kyrion\n HostName 10.0.0.7\n User no\n Port 2222\n"
        " IdentityFile /k\n ProxyJump a,root@b\n"
    )
    write(folder, "      host: ops@kyrion\n      agent: false\n")
    outcome = call("config", "show")
    assert outcome.code == 0
    lines = {line.strip().removeprefix("- ") for line in outcome.out.splitlines()}
    assert {
        f"host: 10.0.0.7 # {config}:2",
        "user: ops # Pulumi.kyrion.yaml:4",
        f"port: 2222 # {config}:4",
        f"identityFile: /k # {config}:5",
        "agent: false # Pulumi.kyrion.yaml:5",
        "role: server # default",
        f"host: b # {config}:6",
        "branch: main # default",
        "owner: me # Pulumi.kyrion.yaml:6",
    } <= lines
    assert outcome.out.splitlines()[-1].startswith(
        "# kyrion is reached as ops@kyrion (10.0.0.7:2222) through root@b through "
    )
    node = YAML(typ="safe").load(outcome.out)["nodes"][0]
    assert (node["host"], node["port"], node["user"]) == ("10.0.0.7", 2222, "ops")


def test_a_broken_file_and_a_contradiction_are_named(call, folder, home):
    config = home / ".ssh" / "config"
    config.write_text("Host kyrion\n\n Prot 22\n")
    write(folder, "      host: kyrion\n")
    outcome = call("config", "show")
    assert outcome.code == 2 and f"{config}:3: Prot: ssh has no such keyword" in outcome.err
    config.unlink()
    write(folder, "      host: root@kyrion:22\n      port: 2222\n")
    outcome = call("config", "show")
    assert outcome.code == 2
    assert "host is 'root@kyrion:22', with the port 22, and the key port is 2222" in outcome.err
    assert "Pulumi.kyrion.yaml:3" in outcome.err


def test_no_warning_where_known_hosts_pins_the_key(folder, home, monkeypatch):
    from provision.operations import stack as stacks

    monkeypatch.setenv("PULUMI_CONFIG_PASSPHRASE", "correct horse")
    write(folder, "      host: kyrion\n")

    def warned() -> bool:
        with stacks.open_stack(folder) as opened:
            return any("no hostKey" in warning.message for warning in opened.warnings)

    assert warned()
    key = base64.b64encode(b"\0\0\0\x0bssh-ed25519\0\0\0 " + b"k" * 32).decode()
    (home / ".ssh" / "known_hosts").write_text(f"kyrion ssh-ed25519 {key}\n")
    assert not warned()

"""`elysium node replace`: what it shows, asks, refuses and writes. The machine is stood in."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest

from provision import errors
from provision.engine.state import checkpoint
from provision.host import hostkey, transport
from provision.operations import node_replace

BLOB = b"\x00\x00\x00\x0bssh-ed25519" + b"\x00\x00\x00\x20" + bytes(32)
SHOWN = hostkey.HostKey(type="ssh-ed25519", blob=BLOB)
NODE = "elysium:components:Node$elysium:node:"
FLUX = "elysium:components:Flux$elysium:flux:"
PROVIDER = "urn:pulumi:kyrion::elysium::pulumi:providers:elysium::elysium"
KUBERNETES = "urn:pulumi:kyrion::elysium::pulumi:providers:kubernetes::kubernetes"


def urn(kind: str, name: str) -> str:
    return f"urn:pulumi:kyrion::elysium::{kind}::{name}"


def resource(kind: str, name: str, **more: Any) -> dict[str, Any]:
    found = {"urn": urn(kind, name), "type": kind.rpartition("$")[2], "custom": True, "id": name}
    return found | {"provider": f"{PROVIDER}::p1"} | more


K3S = urn(f"{NODE}K3sServer", "kyrion-k3s")


@pytest.fixture
def state(folder: Path) -> Path:
    """A state as `up` leaves it."""
    from provision import crypter
    from provision.secret import Secret

    salt = crypter.PassphraseCrypter.new(Secret("correct horse")).salt
    document = checkpoint.empty("elysium", "kyrion", salt)
    root = {"urn": urn("pulumi:pulumi:Stack", "elysium-kyrion"), "type": "pulumi:pulumi:Stack"}
    plugin = {"type": "pulumi:providers:elysium", "custom": True, "id": "p1", "urn": PROVIDER}
    checkpoint.latest(document)["resources"] = [
        root | {"custom": False, "outputs": {"cluster": "kyrion"}},
        plugin,
        resource(f"{NODE}K3sServer", "kyrion-k3s"),
        plugin
        | {
            "type": "pulumi:providers:kubernetes",
            "urn": KUBERNETES,
            "id": "p2",
            "dependencies": [K3S],
        },
        resource("kubernetes:core/v1:Namespace", "gpu-namespace", provider=f"{KUBERNETES}::p2"),
        resource(f"{FLUX}Components", "flux-components", deletedWith=K3S),
        resource(
            f"{FLUX}GitAccess",
            "flux-access",
            dependencies=[urn(f"{FLUX}Components", "flux-components"), K3S],
        ),
        resource("elysium:secrets:SealingKey", "sealing", deletedWith=K3S),
    ]
    path = folder / ".elysium/state/.pulumi/stacks/elysium/kyrion.json"
    path.parent.mkdir(parents=True)
    path.write_bytes(checkpoint.dump(document))
    return path


@pytest.fixture(autouse=True)
def machine(folder: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Nothing answers at the old address, the new machine shows SHOWN; logins are noted."""
    monkeypatch.setenv("PULUMI_CONFIG_PASSPHRASE", "correct horse")
    logins: list[str] = []

    class Through:
        def __init__(self, login: Any, *, jump: Any = None) -> None:
            self.login = login

        def connected(self) -> None:
            if not hostkey.parse_pin(self.login.host_key).accepts(SHOWN):
                raise errors.HostKeyError("another key", host="h", expected="a", got="b")
            logins.append(f"{self.login.user}@{self.login.host}:{self.login.port}")

        def close(self) -> None: ...

    monkeypatch.setattr(transport, "Transport", Through)
    monkeypatch.setattr(transport, "scan_host_key", lambda host, port, jump: SHOWN)
    monkeypatch.setattr(node_replace, "living", lambda stack: "")
    return logins


def types(path: Path) -> list[str]:
    found = json.loads(path.read_text())["checkpoint"]["latest"]["resources"]
    return [each["type"] for each in found]


LEFT = [
    "pulumi:pulumi:Stack",
    "pulumi:providers:elysium",
    "elysium:flux:GitAccess",
    "elysium:secrets:SealingKey",
]


def test_it_shows_the_key_asks_and_writes(call: Any, folder: Path, state: Path, machine: list[str]):
    done = call("node", "replace", "--host", "10.0.0.9", "--user", "admin", answers="y\ny\n")
    assert done.code == 0, done.err
    assert SHOWN.fingerprint in done.err
    before, _, after = done.err.partition("Kept:")
    assert "kyrion-k3s" in before and "gpu-namespace" in before
    assert "flux-access" in after and "sealing" in after
    written = (folder / "Pulumi.kyrion.yaml").read_text()
    assert "host: 10.0.0.9" in written and "user: admin" in written and SHOWN.line in written
    assert machine == ["admin@10.0.0.9:22"]
    assert types(state) == LEFT


def test_no_leaves_everything_as_it_was(call: Any, folder: Path, state: Path) -> None:
    files = [(folder / "Pulumi.kyrion.yaml").read_text(), state.read_text()]
    assert call("node", "replace", "--host", "10.0.0.9", answers="n\n").code == 130
    assert call("node", "replace", "--host", "10.0.0.9", answers="y\nn\n").code == 0
    assert [(folder / "Pulumi.kyrion.yaml").read_text(), state.read_text()] == files


def test_the_same_address_with_a_given_fingerprint(call: Any, folder: Path, state: Path) -> None:
    done = call("--json", "node", "replace", "--yes", "--host-key", SHOWN.fingerprint)
    assert done.code == 0, done.err
    said = json.loads(done.out.splitlines()[-1])
    assert said["changed"] == ["hostKey"]
    assert K3S in said["dropped"]
    done = call("--json", "node", "replace", "--yes", "--host-key", SHOWN.fingerprint)
    again = json.loads(done.out.splitlines()[-1])
    assert (again["changed"], again["dropped"]) == ([], [])


def test_another_machine_is_refused_before_any_change(call: Any, folder: Path, state: Path) -> None:
    files = [(folder / "Pulumi.kyrion.yaml").read_text(), state.read_text()]
    other = "SHA256:" + "A" * 43
    assert call("node", "replace", "--yes", "--host-key", other).code == 4
    assert call("node", "replace", "--yes", "--host-key", "nonsense").code == 2
    assert call("node", "replace", "--yes").code == 2
    assert call("node", "replace", "--host-key", other).code == 2
    assert [(folder / "Pulumi.kyrion.yaml").read_text(), state.read_text()] == files


def test_a_living_cluster_needs_its_name(
    call: Any, state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(node_replace, "living", lambda stack: "the cluster kyrion still answers")
    before = state.read_text()
    key = ("--host-key", SHOWN.fingerprint)
    refused = call("node", "replace", "--yes", *key)
    assert refused.code == 2 and "--confirm kyrion" in refused.err
    assert call("node", "replace", *key, answers="kyrio\n").code == 2
    assert state.read_text() == before
    assert call("node", "replace", *key, answers="kyrion\ny\n").code == 0
    assert state.read_text() != before
    state.write_text(before)
    assert call("node", "replace", "--yes", *key, "--confirm", "kyrion").code == 0


def test_what_is_new_is_written_with_the_pin_first() -> None:
    new = node_replace.NewNode(host="h", host_key="k", port=2222)
    assert list(new.values()) == ["hostKey", "host", "port"]
    assert dataclasses.asdict(new)["user"] is None

"""A real sandbox is what a drill asks for."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import pytest
import yaml

from provision import errors
from provision.progress import silent
from provision.recovery.drill import sandbox as protocol
from provision.recovery.drill import sandbox_config
from provision.sandbox import lifecycle, model, parts, rehearsal

CONFIGURATION = """\
config:
  elysium:nodes: [{name: kyrion, host: 192.168.1.10, user: admin}]
  elysium:github: {owner: me, repository: homelab}
  elysium:media: {path: films}
"""


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


def started(folder: Path, *, whole: bool = True) -> model.Sandbox:
    """Write the file of a sandbox that is up."""
    (folder / "key").write_text("c2VjcmV0\n")
    node = model.Node(
        host="10.231.3.2",
        port=2022,
        identity_file=folder / "login",
        host_key="ssh-ed25519 AAAA",
        hostname="kyrion",
        password_file=folder / "password",
        known_hosts=folder / "known_hosts",
    )
    box = model.Sandbox(
        name="drill",
        number=3,
        host_address="10.231.3.1",
        node=node,
        real=parts.real(whole=whole),
        stood_in=parts.stood_in(whole=whole),
    )
    if whole:
        box = box.model_copy(
            update={
                "forge": model.Forge(
                    api="http://10.231.3.1:8080",
                    owner="homelab",
                    repository="cluster",
                    token_file=folder / "token",
                    ssh_host="10.231.3.1",
                    ssh_port=2222,
                    git_host_keys=(),
                    call_log=folder / "calls",
                    root=folder,
                ),
                "azure": model.Azure(
                    account="devaccount",
                    key_file=folder / "key",
                    endpoint="http://10.231.3.1:10000",
                    container="library",
                ),
                "artifacts": model.Artifacts(mirror=folder, pins=folder / "pins"),
            }
        )
    model.save(box, lifecycle.file_of("drill"))
    return box


def test_a_drill_gets_all_of_the_sandbox(tmp_path: Path) -> None:
    box = started(tmp_path)
    given: protocol.Settings = rehearsal.Rehearsal("drill").settings()
    assert given.node == box.node and (given.owner, given.repository) == ("homelab", "cluster")
    assert given.real == box.real and given.stood_in == box.stood_in
    assert given.media_key.reveal() == "c2VjcmV0" and "c2VjcmV0" not in repr(given)
    config = yaml.safe_load(sandbox_config.configuration(CONFIGURATION, str, given))["config"]
    (node,) = config["elysium:nodes"]
    assert node == {
        "name": "kyrion",
        "host": "10.231.3.2",
        "port": 2022,
        "user": "root",
        "hostKey": "ssh-ed25519 AAAA",
        "identityFile": str(tmp_path / "login"),
    }
    assert config["elysium:github"] == {
        "owner": "homelab",
        "repository": "cluster",
        "baseUrl": "http://10.231.3.1:8080",
        "allowHttp": "true",
        "sshHost": "10.231.3.1",
        "sshPort": "2222",
        "tokenFile": str(tmp_path / "token"),
    }
    assert config["elysium:media"]["remote"] == {
        "key": {"secure": "c2VjcmV0"},
        "type": "azureblob",
        "account": "devaccount",
        "endpoint": "http://10.231.3.1:10000",
    }
    assert config["elysium:media"]["path"] == "library"
    assert config["elysium:artifacts"] == {"pins": str(tmp_path / "pins"), "mirror": str(tmp_path)}


def test_a_node_alone_is_no_place_to_rehearse(tmp_path: Path) -> None:
    started(tmp_path, whole=False)
    with pytest.raises(errors.ElysiumError, match="sandbox drill is a node alone"):
        rehearsal.Rehearsal("drill").settings()


def test_what_is_not_up_is_said(tmp_path: Path) -> None:
    box = rehearsal.Rehearsal("drill")
    with pytest.raises(errors.ElysiumError, match="no sandbox"):
        box.settings()
    started(tmp_path)
    with pytest.raises(errors.ElysiumError, match="forge of sandbox drill is not running"):
        box.seed_repository({})


def test_it_starts_anew_and_ends_under_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    called: list[tuple[Any, ...]] = []
    monkeypatch.setattr(lifecycle, "up", lambda *args, **more: called.append((*args, more)))
    monkeypatch.setattr(lifecycle, "down", lambda *args: called.append(args))
    box: protocol.Sandbox = rehearsal.Rehearsal("mine")
    box.up(silent)
    box.down(silent)
    assert called == [("mine", None, silent, {"fresh": True}), ("mine", silent)]


def test_it_has_the_methods_of_the_protocol_and_no_other() -> None:
    def public(kind: type) -> dict[str, list[str]]:
        return {
            name: list(inspect.signature(value).parameters)
            for name, value in inspect.getmembers(kind, inspect.isfunction)
            if not name.startswith("_")
        }

    assert public(rehearsal.Rehearsal) == public(protocol.Sandbox)
    assert set(public(protocol.Sandbox)) == {"up", "down", "seed_repository", "settings"}

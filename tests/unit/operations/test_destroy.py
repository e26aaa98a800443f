"""A cluster is destroyed; what opens its repository's secrets is not."""

from __future__ import annotations

import os
import types
from pathlib import Path
from typing import Any

import pytest

from provision import config_file
from provision.gitops.sealing import keyring
from provision.gitops.sealing import keys as sealing_keys
from provision.operations import destroy, state

CONFIG = """\
config:
  # the machine under the stairs
  elysium:nodes:
    - name: kyrion
      host: 192.168.1.5
      hostKey: ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIA
  elysium:github:
    owner: me
    repository: elysium
"""


def opened(folder: Path) -> Any:
    project = config_file.open_project(folder)
    crypter = config_file.stack_crypter(project, "kyrion", os.environ)
    loaded = config_file.read(project.stack_file("kyrion"), crypter)
    ref = types.SimpleNamespace(stack="kyrion")
    return types.SimpleNamespace(directory=folder, ref=ref, config=loaded.config)


def test_the_keys_go_into_the_configuration_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PULUMI_CONFIG_PASSPHRASE", "a passphrase")
    monkeypatch.setattr(sealing_keys, "KEY_BITS", 1024)
    (tmp_path / "Pulumi.yaml").write_text("name: elysium\nruntime: python\n")
    path = tmp_path / "Pulumi.kyrion.yaml"
    path.write_text(CONFIG)
    keys = [sealing_keys.make_key(), sealing_keys.make_key()]
    monkeypatch.setattr(state, "sealing_keys", lambda _stack: keyring.dump(keys, "flux-system"))
    said = destroy.keep_sealing_keys(opened(tmp_path))
    assert "sealing.keys in Pulumi.kyrion.yaml" in said
    written = path.read_text()
    assert "# the machine under the stairs" in written
    for key in keys:
        assert key.private_pem.reveal().splitlines()[2] not in written
    again = opened(tmp_path)
    kept = sealing_keys.read_keys(again.config.sealing.keys.reveal())
    assert {key.fingerprint for key in kept} == {key.fingerprint for key in keys}
    assert destroy.keep_sealing_keys(again) == ""
    assert path.read_text() == written


def test_without_keys_nothing_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PULUMI_CONFIG_PASSPHRASE", "a passphrase")
    (tmp_path / "Pulumi.yaml").write_text("name: elysium\nruntime: python\n")
    (tmp_path / "Pulumi.kyrion.yaml").write_text(CONFIG)
    monkeypatch.setattr(state, "sealing_keys", lambda _stack: "")
    assert destroy.keep_sealing_keys(opened(tmp_path)) == ""
    assert (tmp_path / "Pulumi.kyrion.yaml").read_text() == CONFIG

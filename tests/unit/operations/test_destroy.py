"""A cluster is destroyed; what opens its repository's secrets is not."""

from __future__ import annotations

import os
import types
from pathlib import Path
from typing import Any

import pytest

from provision import config_file, errors
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


def test_every_folder_is_listed_before_the_question(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PULUMI_CONFIG_PASSPHRASE", "a passphrase")
    (tmp_path / "Pulumi.yaml").write_text("name: elysium\nruntime: python\n")
    options = "  elysium:k3s:\n    options:\n      data-dir: /srv/\n  elysium:media:\n    path: x\n"
    options += "    remote:\n      type: azureblob\n"
    (tmp_path / "Pulumi.kyrion.yaml").write_text(CONFIG + options)
    stack = opened(tmp_path)
    volumes = [("a", "/srv/storage/pvc-1_x"), ("b", "/srv/storage/mine"), ("c", "/data/pvc-2")]
    found = [
        {"metadata": {"name": name}, "spec": {"hostPath": {"path": path}}} for name, path in volumes
    ]
    kube = types.SimpleNamespace(list=lambda *_: found)
    stack.live = types.SimpleNamespace(kube=lambda _config: kube)
    monkeypatch.setattr(destroy.status, "kubeconfig", lambda _stack: "")
    inputs = {"cacheDir": "/var/cache/rclone", "mountPoint": "/mnt/media-library"}
    records = [
        types.SimpleNamespace(type="elysium:node:K3sServer", inputs={}),
        types.SimpleNamespace(type="elysium:node:MediaMount", inputs=inputs),
    ]
    monkeypatch.setattr(state, "resources", lambda _stack: records)
    said = "\n".join(destroy.losses(stack))
    for folder in ("/srv/agent", "/srv/data", "/srv/server", "/srv/storage/pvc-*"):
        assert f"folder {folder} on kyrion" in said
    for folder in ("/var/lib/kubelet", "/run/k3s", "/var/log/pods", "/var/cache/rclone/vfs/media"):
        assert f"folder {folder} on kyrion" in said
    assert "network of kyrion" in said and "cni0, flannel.1" in said
    assert "folder /srv on" not in said
    assert "at /srv/storage/pvc-1_x: is deleted" in said
    assert "at /srv/storage/mine: stays" in said and "at /data/pvc-2: stays" in said
    kept = "\n".join(destroy.losses(stack, keep_data=True))
    assert "/srv/storage/pvc-*" not in kept
    assert "at /srv/storage/pvc-1_x: stays (--keep-data)" in kept
    monkeypatch.setattr(state, "resources", lambda _stack: records[1:])
    left = destroy.losses(stack)
    assert len(left) == 3 and all("rclone" in each or "/mnt/" in each for each in left)
    monkeypatch.setattr(state, "resources", lambda _stack: ())
    assert destroy.losses(stack) == []


@pytest.mark.parametrize("text", ["{", "[]", '{"items": 1}', '{"items": ["x"]}', "null"])
def test_damaged_keys_in_the_state_are_named(text: str) -> None:
    with pytest.raises(errors.StackError, match="sealing keys in the stack's state cannot") as one:
        keyring.load(text)
    assert one.value.hint

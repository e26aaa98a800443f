"""Kubeconfigs that were merged are kept true, and nothing stale stays in them."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import pytest
import yaml

from provision import errors
from provision.cli import merged_kubeconfigs
from provision.secret import Secret


def key(address: str) -> str:
    return base64.b64encode(f"key-of-{address}".encode()).decode()


def kubeconfig(address: str) -> str:
    return yaml.safe_dump(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "default", "cluster": {"server": f"https://{address}:6443"}}],
            "users": [{"name": "default", "user": {"client-key-data": key(address)}}],
            "contexts": [{"name": "default", "context": {"cluster": "default", "user": "default"}}],
            "current-context": "default",
        }
    )


def servers(path: Path) -> list[str]:
    return [each["cluster"]["server"] for each in yaml.safe_load(path.read_text())["clusters"]]


def test_up_renews_what_was_merged(call: Any, operations: Any, folder: Path) -> None:
    operations.kubeconfig_text = kubeconfig("old")
    assert call("kubeconfig", "--merge").code == 0
    assert call("kubeconfig", "--merge", "--context", "mine").code == 0
    path = folder.parent / "home/.kube/config"
    path.write_text("# my own\n" + path.read_text())
    assert servers(path) == ["https://old:6443"] * 2
    operations.up_outputs = {"kubeconfig": Secret(kubeconfig("new"))}
    done = call("up", "--yes")
    assert done.code == 0
    assert servers(path) == ["https://new:6443"] * 2
    assert path.read_text().startswith("# my own")
    assert str(path) not in call("up", "--yes").err


def renew(folder: Path, address: str) -> tuple[Path, ...]:
    return merged_kubeconfigs.update(folder, "kyrion", kubeconfig(address))


def test_each_place_is_renewed_once(folder: Path) -> None:
    path = folder / "config"
    path.write_text(
        "# my own\n"
        + kubeconfig("old")
        .replace("name: default", "name: kyrion")
        .replace("cluster: default", "cluster: kyrion")
        .replace("user: default", "user: kyrion")
    )
    merged_kubeconfigs.remember(folder, "kyrion", path, "kyrion")
    merged_kubeconfigs.remember(folder, "kyrion", path, "kyrion")
    assert renew(folder, "new") == (path,)
    assert servers(path) == ["https://new:6443"]
    assert key("old") not in path.read_text() and "# my own" in path.read_text()
    assert renew(folder, "new") == ()


def test_what_the_user_took_away_stays_away(folder: Path) -> None:
    path = folder / "config"
    path.write_text(kubeconfig("other"))
    merged_kubeconfigs.remember(folder, "kyrion", path, "kyrion")
    merged_kubeconfigs.remember(folder, "kyrion", folder / "gone", "kyrion")
    assert renew(folder, "new") == ()
    assert servers(path) == ["https://other:6443"]
    path.write_text(kubeconfig("other").replace("name: default", "name: kyrion"))
    assert renew(folder, "new") == (), "it was forgotten"


def test_a_broken_record_is_none(folder: Path) -> None:
    (folder / ".elysium").mkdir()
    (folder / ".elysium/kubeconfigs-kyrion.json").write_text("{")
    assert renew(folder, "new") == ()


def test_a_file_that_cannot_be_changed_is_an_error_and_no_failed_up(
    call: Any, operations: Any, folder: Path
) -> None:
    path = folder / "config"
    path.write_text(kubeconfig("old").replace("name: default", "name: kyrion"))
    merged_kubeconfigs.remember(folder, "kyrion", path, "kyrion")
    path.with_name("config.lock").touch()
    with pytest.raises(errors.ConfigError, match="another program"):
        renew(folder, "new")
    operations.up_outputs = {"kubeconfig": Secret(kubeconfig("new"))}
    done = call("up", "--yes")
    assert done.code == 0
    assert "the merged kubeconfig was not updated" in done.err
    path.with_name("config.lock").unlink()
    done = call("up", "--yes")
    assert f"{path} has the new credentials of kyrion" in done.err
    assert key("new") in path.read_text()
    assert key("new") not in done.out + done.err

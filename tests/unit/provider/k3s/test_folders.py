"""Which folders k3s may have to itself, and what of them a deletion names."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from provision import errors
from provision.provider.k3s import files, folders
from provision.provider.k3s import plan as k3s_plan
from provision.provider.k3s import server as k3s_server
from tests.support import k3snode


def found(data: str, said: str = "", *, datastore: bool = False) -> tuple[Any, dict[str, Any]]:
    inputs = k3snode.k3s_inputs(options={"data-dir": data})
    there = None if datastore else {path: None for path in files.places(inputs).databases}
    facts = k3snode.k3s_node(inputs, files=there)
    snippets = {**facts.node.snippets, folders.SNIPPET: said}
    return replace(facts, node=replace(facts.node, snippets=snippets)), inputs


SYSTEM = [
    *("/", "/srv", "/etc", "/home", "/home/me", "/var/lib", "/usr/local", "/srv/", "//srv"),
    *("/var/../srv", "/srv/.", "/opt", "/mnt", "/tmp", "/root", "/sys/x", "/var/lib/kubelet"),
]


@pytest.mark.parametrize("data", SYSTEM)
def test_a_folder_of_the_system_is_refused_to_a_new_cluster(data: str) -> None:
    facts, inputs = found(data)
    (said,) = k3s_plan.shared_folders(facts.node, inputs, fresh=True)
    assert "folder of the system" in said
    ctx: Any = type("Ctx", (), {"node": lambda *_: a_node()})()
    with pytest.raises(errors.RemoteError, match="would share") as caught:
        k3s_server.K3sServer().apply(ctx, inputs, facts, (), {})
    assert "folder of the system" in caught.value.detail and "data-dir" in caught.value.hint


def a_node() -> Any:
    return type("Node", (), {"name": "kyrion", "transport": type("T", (), {"host": "kyrion"})})


@pytest.mark.parametrize("data", SYSTEM)
def test_a_cluster_that_has_one_is_warned_and_goes_on(data: str) -> None:
    facts, inputs = found(data, datastore=True)
    assert k3s_plan.shared_folders(facts.node, inputs, fresh=True) == ()
    assert any("folder of the system" in said for said in k3s_plan.remarks(facts, inputs))


@pytest.mark.parametrize("data", ["", "/var/lib/rancher/k3s", "/mnt/big/k3s", "/data", "/k3s"])
def test_a_folder_of_its_own_is_fine(data: str) -> None:
    facts, inputs = found(data, f"real {data}\n")
    assert k3s_plan.shared_folders(facts.node, inputs, fresh=True) == ()


def test_a_link_to_a_folder_of_the_system_is_one() -> None:
    facts, inputs = found("/data", "real /srv\n")
    (said,) = k3s_plan.shared_folders(facts.node, inputs, fresh=True)
    assert "/data, which is /srv," in said


def test_the_kubelets_folder_counts_too() -> None:
    inputs = k3snode.k3s_inputs(options={"kubelet-arg": ["v=2", "root-dir=/srv/"]})
    assert files.places(inputs).kubelet == "/srv"
    facts = k3snode.k3s_node(inputs, files=dict.fromkeys(files.places(inputs).databases))
    node = replace(facts.node, snippets={**facts.node.snippets, folders.SNIPPET: ""})
    (said,) = k3s_plan.shared_folders(node, inputs, fresh=True)
    assert said.startswith("/srv is a folder of the system")


def ask(folder: Path) -> str:
    script = folders.snippet(str(folder))[1]
    return subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize(
    "name", ["photos/1.jpg", "data/mine/x", "server/www/index", "agent/.x", "storage/films/y"]
)
def test_what_is_not_k3s_is_seen_on_the_node(tmp_path: Path, name: str) -> None:
    sha = "ab12" * 16
    ours = (f"data/{sha}/bin/k3s", "server/token", "agent/containerd/x", "storage/pvc-1/f")
    for path in (*ours, "lost+found/x"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).touch()
    assert ask(tmp_path) == f"real {tmp_path}\n"
    (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / name).touch()
    facts, inputs = found("/mnt/big", ask(tmp_path))
    (said,) = k3s_plan.shared_folders(facts.node, inputs, fresh=True)
    assert "holds what is not k3s'" in said and name.rpartition("/")[0] in said

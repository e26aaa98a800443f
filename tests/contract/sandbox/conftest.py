"""Nodes for the tests: booted for real, taken down whatever happens."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from provision.sandbox import files, lifecycle, model, network, node, processes


@pytest.fixture(scope="session", autouse=True)
def _state_apart(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep the sandboxes of the tests out of the user's list."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state")))
        yield


def new_name() -> str:
    return f"t-{uuid.uuid4().hex[:8]}"


@pytest.fixture
def name() -> Iterator[str]:
    """A name no other run uses; what is up under it afterwards is taken down."""
    chosen = new_name()
    yield chosen
    lifecycle.down(chosen)


@pytest.fixture(scope="module")
def box() -> Iterator[model.Sandbox]:
    """A node that the tests of a module share."""
    chosen = new_name()
    try:
        yield lifecycle.up_node(chosen)
    finally:
        lifecycle.down(chosen)


@pytest.fixture
def on(box: model.Sandbox) -> Callable[..., str]:
    """Run a command on the shared node and return what it says; it must end with 0."""

    def run(command: str, *, user: str = "", stdin: str = "") -> str:
        done = node.run(box.node, command, user=user, stdin=stdin)
        assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
        return done.stdout.strip()

    return run


def traces(name: str) -> list[str]:
    """Return everything on this machine that belongs to the sandbox `name`."""
    found = [f"process {pid}" for pid in processes.Group.of(name).pids()]
    for each in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            command = each.read_bytes()
        except OSError:
            continue
        if network.namespace_of(name).encode() in command:
            found.append(f"process {each.parent.name}: {command!r}")
    mounted = Path("/proc/self/mountinfo").read_text().splitlines()
    folder = files.state_root() / name
    found += [f"mount {line}" for line in mounted if f"/{name}/" in line or str(folder) in line]
    if network.namespace_path(name).exists():
        found.append("network namespace")
    for alias in Path("/sys/class/net").glob("*/ifalias"):
        if alias.read_text().strip() == network.namespace_of(name):
            found.append(f"link {alias.parent.name}")
    found += [str(p) for root in processes.cgroup_mounts() for p in root.glob(f"*/{name}")]
    propagate = Path("/run/systemd/nspawn/propagate") / network.namespace_of(name)
    found += [str(path) for path in (folder, propagate) if path.exists()]
    return found


@pytest.fixture(name="traces")
def _traces() -> Callable[[str], list[str]]:
    return traces

"""The program on the embedded engine, with providers that only remember.

What a cluster is made of, in which order, and what of it is a secret. How each
resource works is tested where it is written.
"""

from __future__ import annotations

import json
import pathlib
from typing import Any

import pytest

from provision import config
from provision.engine import api, events
from provision.secret import Secret
from stacks import program, repository_facts
from tests.support.remembering import CANARY, Remembering, whole_config


@pytest.fixture
def run(tmp_path: pathlib.Path) -> Any:
    calls: list[tuple[str, str]] = []
    ref = api.StackRef(root=tmp_path, project="elysium", stack="kyrion", backend="file://./state")
    (tmp_path / "state").mkdir()

    def open_engine() -> api.Engine:
        providers = {name: lambda: Remembering(calls) for name in ("elysium", "kubernetes")}
        return api.open_engine("embedded", ref, Secret("pass"), providers)

    return open_engine, calls


def _up(engine: api.Engine, cfg: config.Config, **decided: bool) -> list[events.Event]:
    seen: list[events.Event] = []
    engine.up(
        program.make_program(cfg, repository_facts.Decisions(**decided)),
        options=api.Options(),
        on_event=seen.append,
    )
    return seen


def test_a_cluster_is_made_in_order(run: Any) -> None:
    open_engine, calls = run
    _up(open_engine(), whole_config())
    made = [kind for call, kind in calls if call == "create"]
    assert sorted(made) == [
        "elysium:flux:Components",
        "elysium:flux:GitAccess",
        "elysium:flux:Sync",
        "elysium:node:GpuCapacity",
        "elysium:node:IntelGpu",
        "elysium:node:K3sServer",
        "elysium:node:MediaMount",
        "elysium:secrets:SealingKey",
        "kubernetes:apps/v1:DaemonSet",
        "kubernetes:core/v1:Namespace",
    ]
    order = [
        "elysium:node:K3sServer",
        "elysium:secrets:SealingKey",
        "elysium:flux:Components",
        "elysium:flux:GitAccess",
    ]
    positions = [made.index(kind) for kind in [*order, "elysium:flux:Sync"]]
    assert positions == sorted(positions)


def test_a_second_up_changes_nothing(run: Any) -> None:
    open_engine, calls = run
    _up(open_engine(), whole_config())
    calls.clear()
    _up(open_engine(), whole_config())
    assert calls == []


def test_flux_may_bring_the_plugin(run: Any) -> None:
    open_engine, calls = run
    _up(open_engine(), whole_config(), flux_brings_gpu_plugin=True)
    made = [kind for _call, kind in calls]
    assert not [kind for kind in made if kind.startswith("kubernetes:")]
    assert made.index("elysium:flux:Sync") < made.index("elysium:node:GpuCapacity")


def test_no_secret_is_in_the_state_or_in_an_event(run: Any, tmp_path: pathlib.Path) -> None:
    open_engine, _calls = run
    seen = _up(open_engine(), whole_config())
    files = [path for path in (tmp_path / "state").rglob("*") if path.is_file()]
    assert files
    told = json.dumps([events.to_json(event) for event in seen])
    for canary in (CANARY, "canary-sudo", "kubeconfig-canary", "sealing-canary"):
        assert canary not in told
        for path in files:
            assert canary not in path.read_text(), path


def test_destroy_leaves_what_goes_with_the_node_to_the_node(run: Any) -> None:
    open_engine, calls = run
    _up(open_engine(), whole_config())
    calls.clear()
    open_engine().destroy(None, options=api.Options(), on_event=lambda _event: None)
    deleted = [kind for call, kind in calls if call == "delete"]
    assert sorted(deleted) == [
        "elysium:flux:GitAccess",
        "elysium:node:IntelGpu",
        "elysium:node:K3sServer",
        "elysium:node:MediaMount",
        "elysium:secrets:SealingKey",
    ]
    assert deleted.index("elysium:flux:GitAccess") < deleted.index("elysium:node:K3sServer")


def test_outputs_keep_the_kubeconfig_secret(run: Any) -> None:
    open_engine, _calls = run
    engine = open_engine()
    _up(engine, whole_config())
    found = engine.outputs()
    assert found["kubeconfig"] == Secret("kubeconfig-canary")
    assert found["gpuAllocatable"] == 10

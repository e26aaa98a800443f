"""After another process has changed things, what was read before is not used any more."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from provision import config
from provision.engine import api
from provision.github import deploy_keys, repository
from provision.operations.rotation import flow
from provision.provider import connections


def test_a_rotation_by_another_process_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    keys: list[Any] = ["old"]
    monkeypatch.setattr(deploy_keys, "find", lambda _link: tuple(keys))
    cfg = config.Config.model_validate(
        {
            "cluster": "kyrion",
            "nodes": [{"name": "kyrion", "host": "192.0.2.7"}],
            "github": {"owner": "me", "repository": "home", "token": "ghp_x"},
        }
    )
    live = connections.Live(cfg)
    hub = live.github()
    assert isinstance(hub, repository.Repository)
    assert hub.deploy_keys() == ("old",)

    def up(*_: Any, **__: Any) -> api.Result:
        keys[:] = ["new"]  # a plugin's process did it
        return api.Result(counts={}, outputs={}, seconds=0.0)

    stack: Any = SimpleNamespace(live=live, engine=lambda: SimpleNamespace(up=up))
    flow.update(stack, lambda: None, api.Options(), require=lambda: None, on_event=lambda _: None)

    assert live.github().deploy_keys() == ("new",)

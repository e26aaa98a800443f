"""k3s in a drill, before anything runs in it: which program is started."""

from __future__ import annotations

import contextlib
from types import SimpleNamespace
from typing import Any

import pytest

from provision import config
from provision.host import facts
from provision.recovery.drill import repoint


class Node:
    """A node whose k3s is in `folder`; it keeps the scripts."""

    def __init__(self, folder: str) -> None:
        self.folder = folder
        self.scripts: list[str] = []

    def facts(self, request: facts.FactRequest) -> Any:
        (name,) = (name for name, _ in request.snippets)
        return SimpleNamespace(snippets={name: f"{self.folder}\n"})

    def run(self, script: str, **_: Any) -> Any:
        self.scripts.append(script)
        if "systemd-run" in script:
            raise RuntimeError("that is as far as it goes")
        return SimpleNamespace(text="")

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(f"{name} is not expected")


@pytest.mark.parametrize("folder", ["/usr/local/bin", "/opt/bin"])
def test_the_k3s_that_the_restore_installed_is_started(
    folder: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(repoint, "_stop", lambda _: None)
    node = Node(folder)
    values = {"cluster": "k", "nodes": [{"name": "k", "host": "10.0.0.1"}]}
    cfg = config.Config.model_validate(values | {"github": {"owner": "o", "repository": "r"}})
    stack: Any = SimpleNamespace(config=cfg, live=SimpleNamespace(node=lambda _: node))
    with contextlib.suppress(RuntimeError), repoint._alone(stack, lambda _: None):
        pytest.fail("it ends before")
    (script,) = node.scripts
    assert script.count(f"{folder}/k3s") == 2 and script.count("/k3s ") == 2

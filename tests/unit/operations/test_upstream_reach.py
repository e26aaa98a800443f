"""The upstream engine where the API is reached over SSH only: refused before anything changes."""

from __future__ import annotations

import socket
from types import SimpleNamespace
from typing import Any

import pytest

from provision import config, errors
from provision.operations import stack as stacks
from provision.operations import upstream_reach


class Engine:
    """An engine that only notes what it is asked; the state has resources of `types`."""

    def __init__(self, *types: str) -> None:
        self.types = types
        self.done: list[str] = []

    def state(self) -> dict[str, Any]:
        resources = [{"type": each} for each in self.types]
        return {"checkpoint": {"latest": {"resources": resources}}}

    def up(self, *_: Any, **__: Any) -> None:
        self.done.append("up")

    preview = refresh = destroy = up


POD = "kubernetes:core/v1:Pod"


def checked(engine: Engine, host: str, port: int, tunnel: str, **more: Any) -> Any:
    values = {
        "cluster": "kyrion",
        "nodes": [{"name": "kyrion", "host": host, "sshConfig": "none"}],
        "github": {"owner": "o", "repository": "r"},
        "k3s": {"options": {"https-listen-port": port}},
        "kube": {"tunnel": tunnel},
    }
    cfg = config.Config.model_validate(values | more)
    return upstream_reach.Checked(engine, cfg)  # type: ignore[arg-type]


@pytest.fixture
def silent() -> Any:
    """A port that takes no connection and refuses none: its queue is full."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        fillers = [socket.socket() for _ in range(4)]
        for each in fillers:
            each.setblocking(False)
            each.connect_ex(listener.getsockname())
        yield listener.getsockname()[1]
        for each in fillers:
            each.close()


@pytest.fixture(autouse=True)
def brief(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upstream_reach.tunnels, "PATIENCE", 0.3)
    monkeypatch.setattr(upstream_reach.upstream_programs, "require", lambda **_: None)
    for name in ("https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize("operation", ["preview", "up", "refresh"])
def test_always_is_refused_where_the_state_has_objects(operation: str) -> None:
    engine = Engine(POD)
    with pytest.raises(errors.PreflightError) as caught:
        getattr(checked(engine, "127.0.0.1", 6443, "always"), operation)()
    (problem,) = caught.value.problems
    assert problem.key == "kube.tunnel" and "kube.tunnel is always" in problem.message
    assert "--engine upstream" in problem.hint and caught.value.hint == "nothing was changed"
    assert engine.done == []


def test_auto_is_refused_where_the_port_does_not_answer(silent: int) -> None:
    engine = Engine(POD)
    with pytest.raises(errors.PreflightError, match=f"127.0.0.1:{silent} does not answer"):
        checked(engine, "127.0.0.1", silent, "auto").up()
    checked(engine, "127.0.0.1", silent, "never").up()
    checked(engine, "127.0.0.1", silent, "auto").destroy()
    assert engine.done == ["up", "up"]


def test_a_host_that_refuses_or_answers_is_reached() -> None:
    engine = Engine(POD)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        checked(engine, "127.0.0.1", port, "auto").up()
    checked(engine, "127.0.0.1", port, "auto").up()
    assert engine.done == ["up", "up"]


@pytest.mark.parametrize(
    ("types", "gpu", "refused"),
    [
        ((), False, False),
        ((), True, True),
        (("elysium:node:K3sServer", "elysium:node:GpuCapacity"), True, False),
        (("elysium:node:K3sServer",), True, True),
        (("pulumi:providers:kubernetes",), False, False),
        ((POD,), False, True),
    ],
)
def test_only_what_uses_that_provider_is_refused(
    types: tuple[str, ...], gpu: bool, refused: bool
) -> None:
    engine = Engine(*types)
    more = {"gpu": {}} if gpu else {}
    subject = checked(engine, "127.0.0.1", 6443, "always", **more)
    if refused:
        with pytest.raises(errors.PreflightError):
            subject.up()
    else:
        subject.up()
    assert engine.done == ([] if refused else ["up"])


@pytest.mark.parametrize(("kind", "wrapped"), [("upstream", True), ("embedded", False)])
def test_every_command_of_the_upstream_engine_is_checked(
    kind: Any, wrapped: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stacks.api, "open_engine", lambda *_, **__: Engine())
    live: Any = SimpleNamespace(environment=dict)
    opened = stacks.Stack(
        directory=None, ref=None, config=None, kind=kind, passphrase=None, live=live
    )  # type: ignore[arg-type]
    assert isinstance(opened.engine(), upstream_reach.Checked) is wrapped

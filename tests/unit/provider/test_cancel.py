"""The second Ctrl-C: every wait of a resource ends, whatever it waits for."""

from __future__ import annotations

import asyncio
import threading
import time
import types
from typing import Any

import pytest

from provision import cancellation, config, errors
from provision.kube import kubeconfig, wait
from provision.kube.client import KubeClient
from provision.provider import connections, pulumi_provider

CONFIG = config.Config.model_validate(
    {
        "cluster": "kyrion",
        "nodes": [{"name": "kyrion", "host": "192.0.2.7"}],
        "github": {"owner": "me", "repository": "home", "token": "ghp_x"},
    }
)


def cancelled_during(live: connections.Live, work: Any, *, after: float = 0.1) -> float:
    """Run `work`, cancel the provider meanwhile; return how long it took from then on."""
    provider = pulumi_provider.ElysiumProvider(live, lambda *_: None)
    began: list[float] = []

    def cancel() -> None:
        began.append(time.monotonic())
        asyncio.run(provider.cancel())

    timer = threading.Timer(after, cancel)
    timer.start()
    with pytest.raises(errors.InterruptedByUser, match="was interrupted"):
        work()
    timer.join()
    return time.monotonic() - began[0]


class Transport:
    """A connection on which a command runs until it is closed."""

    host = "192.0.2.7"
    times = types.SimpleNamespace(moving=lambda _size: 0.0)

    def __init__(self) -> None:
        self.closed = threading.Event()
        self.began = 0

    def execute(self, *_: Any, **__: Any) -> Any:
        self.began += 1
        assert self.closed.wait(20)
        raise errors.ConnectError("the SSH connection broke", host=self.host)

    def close(self) -> None:
        self.closed.set()


def test_a_command_on_the_node_ends() -> None:
    live = connections.Live(CONFIG)
    session = live.node("kyrion")
    session.transport = Transport()  # type: ignore[assignment]
    took = cancelled_during(live, lambda: session.run("x", timeout=900, what="it", reads_only=True))
    assert took < 10
    with pytest.raises(errors.InterruptedByUser, match="reading it on 192"):
        session.run("true", timeout=9, what="reading it", reads_only=True)
    assert session.transport.began == 1, "no other command begins"


def test_a_node_that_is_reached_only_now_is_not_asked() -> None:
    live = connections.Live(CONFIG)
    live.cancel()
    with pytest.raises(errors.InterruptedByUser):
        live.node("kyrion").run("true", timeout=9, what="reading it")


def test_a_wait_for_the_cluster_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    live = connections.Live(CONFIG)
    endpoint = kubeconfig.Endpoint(server="https://192.0.2.7:6443")
    monkeypatch.setattr(kubeconfig, "parse", lambda _text: endpoint)
    client = live.kube("text")
    assert isinstance(client, KubeClient)
    monkeypatch.setattr(client._kinds, "find", lambda *_: None)
    ref = wait.Ref(api_version="v1", kind="Node", name="kyrion")
    took = cancelled_during(live, lambda: wait.wait_ready(client, [ref], timeout=600))
    assert took < 5
    with pytest.raises(errors.InterruptedByUser):
        client.list("v1", "Pod")


def test_a_wait_before_github_is_asked_again_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    live = connections.Live(CONFIG)
    link = live.github()._link

    def refuse() -> None:
        import github

        raise github.GithubException(503, {}, {"retry-after": "300"})

    link.deadline = 900
    took = cancelled_during(live, lambda: link.call("read", refuse))
    assert took < 10


def test_a_wait_for_a_pull_request_ends() -> None:
    live = connections.Live(CONFIG)
    context = live.bind(lambda *_: None)
    assert cancelled_during(live, lambda: context.sleep(300)) < 10


def test_a_download_ends(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from provision.artifacts import source

    token = cancellation.Cancellation()

    class Answer:
        status_code = 200
        url = "https://example.com/x"
        headers: dict[str, str] = {}  # noqa: RUF012

        def __enter__(self) -> Any:
            return self

        def __exit__(self, *_: object) -> None:
            pass

        def iter_raw(self) -> Any:
            yield b"a"
            token.cancel()
            yield b"b"
            raise AssertionError("it went on")

    import httpx2

    monkeypatch.setattr(httpx2.Client, "stream", lambda *_, **__: Answer())
    with pytest.raises(errors.InterruptedByUser):
        source.copy("", "https://example.com/x", tmp_path / "x", cancelled=token)

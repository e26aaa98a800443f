"""The second Ctrl-C: every wait of a resource ends, whatever it waits for."""

from __future__ import annotations

import asyncio
import contextlib
import queue
import threading
import types
from collections.abc import Callable
from typing import Any

import github
import httpx2
import pytest

from provision import config, errors
from provision.artifacts import catalog
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


LATE = 20.0
"""Seconds after which a wait counts as not ended. Each would take minutes by itself."""


def cancelled_during(live: connections.Live, work: Callable[[], object]) -> None:
    """Cancel the provider while `work` waits, and expect the interruption as its end.

    `work` runs in a thread of its own: without a cancellation it would wait on for minutes.
    """
    provider = pulumi_provider.ElysiumProvider(live, lambda *_: None)
    ended: queue.SimpleQueue[Exception | None] = queue.SimpleQueue()

    def run() -> None:
        try:
            work()
        except Exception as error:  # noqa: BLE001 - handed to the test
            ended.put(error)
        else:
            ended.put(None)

    threading.Thread(target=run, daemon=True).start()
    with contextlib.suppress(queue.Empty):
        pytest.fail(f"it ended before it was cancelled: {ended.get(timeout=0.3)!r}")
    asyncio.run(provider.cancel())
    try:
        error = ended.get(timeout=LATE)
    except queue.Empty:
        pytest.fail("it waits on, although it was cancelled")
    assert isinstance(error, errors.InterruptedByUser), repr(error)
    assert "was interrupted" in str(error)


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
    cancelled_during(live, lambda: session.run("x", timeout=900, what="it", reads_only=True))
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
    cancelled_during(live, lambda: wait.wait_ready(client, [ref], timeout=600))
    with pytest.raises(errors.InterruptedByUser):
        client.list("v1", "Pod")


def test_a_wait_before_github_is_asked_again_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    live = connections.Live(CONFIG)
    link = live.github()._link

    def refuse() -> None:
        raise github.GithubException(503, {}, {"retry-after": "300"})

    link.deadline = 900
    cancelled_during(live, lambda: link.call("read", refuse))


def test_a_wait_for_a_pull_request_ends() -> None:
    live = connections.Live(CONFIG)
    context = live.bind(lambda *_: None)
    cancelled_during(live, lambda: context.sleep(300))


def test_a_download_ends(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    live = connections.Live(CONFIG)
    provider = pulumi_provider.ElysiumProvider(live, lambda *_: None)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))

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
            asyncio.run(provider.cancel())
            yield b"b"
            raise AssertionError("it went on")

    monkeypatch.setattr(httpx2.Client, "stream", lambda *_, **__: Answer())
    with pytest.raises(errors.InterruptedByUser):
        live.artifacts().fetch(catalog.k3s(CONFIG.k3s.version), "amd64")

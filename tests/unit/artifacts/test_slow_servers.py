"""Downloads from servers that stall, drip and break: they end in time, and name the server."""

from __future__ import annotations

import contextlib
import os
import pathlib
import socket
import threading
import time
from collections.abc import Iterator

import pytest

from provision import errors, transfer
from provision.artifacts import download, source
from tests.support import faultproxy, hostile

CONTENT = os.urandom(200_000)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(download, "TIME", 1.0)
    monkeypatch.setattr(download, "SILENCE", 1)
    monkeypatch.setattr(download, "ATTEMPTS", 2)
    yield
    for thread in threading.enumerate():
        if thread.name == "elysium-transfer":
            thread.join(20)


@pytest.fixture
def server() -> Iterator[hostile.Server]:
    with hostile.serve(lambda _method, _path: hostile.Reply(body=CONTENT)) as serving:
        yield serving


@pytest.fixture
def proxy(server: hostile.Server) -> Iterator[faultproxy.Proxy]:
    with faultproxy.Proxy(int(server.url.rpartition(":")[2])) as between:
        yield between


def refused(url: str, target: pathlib.Path) -> str:
    began = time.monotonic()
    with pytest.raises(errors.ArtifactError) as caught:
        source.copy("", url, target)
    assert time.monotonic() - began < 8
    assert url in caught.value.summary and caught.value.hint
    return str(caught.value)


def test_a_server_that_drips(server: hostile.Server, tmp_path: pathlib.Path) -> None:
    server.answer = lambda _method, _path: hostile.Reply(body=CONTENT[:60], drip=0.1)
    words = refused(f"{server.url}/k3s", tmp_path / "k3s")
    assert "too slow" in words and server.url.partition("://")[2] in words


def test_a_server_whose_head_drips(tmp_path: pathlib.Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def drip() -> None:
            with contextlib.suppress(OSError), listener.accept()[0] as connection:
                connection.sendall(b"HTTP/1.1 200 OK\r\n")
                for _ in range(60):
                    connection.sendall(b"X: y\r\n")
                    time.sleep(0.1)

        threading.Thread(target=drip, daemon=True).start()
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/k3s"
        assert "too slow" in refused(url, tmp_path / "k3s")


@pytest.mark.parametrize("mode", ["stall", "swallow", "reset", "close"])
@pytest.mark.parametrize("passed", [0, 60_000])
def test_a_connection_that_fails(
    mode: faultproxy.Mode, passed: int, proxy: faultproxy.Proxy, tmp_path: pathlib.Path
) -> None:
    if passed:
        proxy.after(mode, down=passed)
    else:
        proxy.mode = mode
    refused(f"http://127.0.0.1:{proxy.port}/k3s", tmp_path / "k3s")


def test_a_slow_line_has_the_time_that_it_needs(
    proxy: faultproxy.Proxy, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """200 kB at 100 kB/s: twice the time of a download that brings nothing."""
    monkeypatch.setattr(transfer, "RATE", 20_000)
    proxy.mode, proxy.rate = "slow", 100_000
    source.copy("", f"http://127.0.0.1:{proxy.port}/k3s", tmp_path / "k3s")
    assert (tmp_path / "k3s").read_bytes() == CONTENT


def test_a_disk_that_is_full_is_not_the_servers_fault(server: hostile.Server) -> None:
    with pytest.raises(errors.ArtifactError, match="cannot be stored at /dev/full"):
        source.copy("", f"{server.url}/k3s", pathlib.Path("/dev/full"))

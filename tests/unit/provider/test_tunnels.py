"""When the API is reached over SSH, what an error says, and what ``kubeconfig`` advises."""

from __future__ import annotations

import contextlib
import http.server
import json
import pathlib
import re
import socket
import threading
import types
from collections.abc import Iterator
from typing import Any

import pytest

from provision import config, errors
from provision.host import forward, reach
from provision.kube import client, kubeconfig, proxies
from provision.operations import node_replace, status, tunnel
from provision.provider import tunnels
from provision.provider.k3s import service as k3s_service
from provision.recovery.drill import repoint
from provision.recovery.restore import etcd_snapshot

SERVER = "http://127.0.0.1:{}"


def settings(mode: str, host: str = "127.0.0.1", **node: Any) -> config.Config:
    return config.Config.model_validate(
        {
            "cluster": "kyrion",
            "nodes": [{"name": "kyrion", "host": host, **node}],
            "github": {"owner": "me", "repository": "homelab"},
            "kube": {"tunnel": mode},
        }
    )


@pytest.fixture(autouse=True)
def home(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> pathlib.Path:
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    return tmp_path


@pytest.fixture
def api() -> Iterator[int]:
    """A server that says which version it is."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = json.dumps({"gitVersion": "v1.36.3+k3s1"}).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None: ...

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_port
    server.shutdown()
    server.server_close()


class Connection:
    """A node's SSH connection: what it forwards to, from the node's side."""

    host = "kyrion"

    def __init__(self, ports: dict[int, int]) -> None:
        self.ports = ports
        self.opened: list[tuple[str, int]] = []

    @property
    def transport(self) -> Connection:
        return self

    def connected(self) -> Connection:
        return self

    def open_channel(self, kind: str, target: tuple[str, int], _from: Any, timeout: float) -> Any:
        assert kind == "direct-tcpip"
        self.opened.append(target)
        if target[1] not in self.ports:
            raise OSError("Connect failed")
        return socket.create_connection(("127.0.0.1", self.ports[target[1]]), timeout=timeout)


@pytest.fixture
def closed() -> Iterator[int]:
    """A port of this machine where nobody listens, kept for the test."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield held.getsockname()[1]


def version(mode: str, port: int, connection: Connection, host: str = "127.0.0.1") -> str:
    made = tunnels.Tunnels(lambda: settings(mode, host), lambda _name: connection)  # type: ignore[arg-type, return-value]
    endpoint = kubeconfig.Endpoint(server=SERVER.format(port))
    with contextlib.closing(made), client.KubeClient(endpoint, timeout=5, tunnel=made) as kube:
        return kube.version()


def test_what_answers_from_here_is_not_asked_over_ssh(api: int):
    connection = Connection({api: api})
    assert version("auto", api, connection).startswith("v1.36")
    assert connection.opened == []


def test_what_answers_only_on_the_node_is_reached_over_ssh(api: int, closed: int):
    connection = Connection({closed: api})
    assert version("auto", closed, connection).startswith("v1.36")
    assert connection.opened[0] == ("127.0.0.1", closed)


def test_always_and_never(api: int, closed: int):
    connection = Connection({api: api, closed: api})
    assert version("always", api, connection).startswith("v1.36")
    assert connection.opened
    connection.opened.clear()
    with pytest.raises(errors.KubeError, match="no answer from"):
        version("never", closed, connection)
    assert connection.opened == []


def test_another_server_than_the_nodes_has_no_tunnel(api: int, closed: int):
    connection = Connection({closed: api})
    with pytest.raises(errors.KubeError, match="no answer from"):
        version("auto", closed, connection, host="10.0.0.7")
    assert connection.opened == []


def test_what_answers_nowhere_says_both(closed: int):
    with pytest.raises(errors.KubeError, match="no answer from") as caught:
        version("auto", closed, Connection({}))
    assert "over SSH: port" in caught.value.detail and "Connect failed" in caught.value.detail


def test_a_node_is_found_by_the_name_in_its_kubeconfig():
    assert tunnels.node_at(settings("auto", "Node.example.org."), "node.example.org") == "kyrion"
    assert tunnels.node_at(settings("auto", "10.0.0.7"), "10.0.0.8") is None


def test_a_way_is_looked_for_again_after_a_failure(api: int, closed: int):
    connection = Connection({})
    made = tunnels.Tunnels(lambda: settings("auto"), lambda _name: connection)  # type: ignore[arg-type, return-value]
    endpoint = kubeconfig.Endpoint(server=SERVER.format(closed))
    with contextlib.closing(made), client.KubeClient(endpoint, timeout=5, tunnel=made) as kube:
        with pytest.raises(errors.KubeError):
            kube.version()
        connection.ports[closed] = api  # k3s has started
        assert kube.version().startswith("v1.36")


def test_the_socket_is_private_and_goes(api: int):
    made = forward.Forward(Connection({api: api}), ("127.0.0.1",), api)  # type: ignore[arg-type]
    folder = pathlib.Path(made.path).parent
    assert folder.stat().st_mode & 0o077 == 0
    made.close()
    made.close()
    assert not folder.exists()


def test_the_error_names_the_proxy_of_the_environment(closed: int, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HTTPS_PROXY", f"http://me:canary@127.0.0.1:{closed}")
    endpoint = kubeconfig.Endpoint(server="https://10.99.0.1:6443")
    with client.KubeClient(endpoint, timeout=5) as kube, pytest.raises(errors.KubeError) as caught:
        kube.version()
    assert f"through the proxy http://127.0.0.1:{closed} (from HTTPS_PROXY)" in caught.value.summary
    assert "add 10.99.0.1 to NO_PROXY" in caught.value.hint
    assert "canary" not in str(caught.value)
    monkeypatch.setenv("NO_PROXY", "10.99.0.1")
    assert proxies.of("https://10.99.0.1:6443") == ""


KUBECONFIG = """\
apiVersion: v1
kind: Config
clusters: [{name: k, cluster: {server: "https://127.0.0.1:%d"}}]
users: [{name: k, user: {token: t}}]
contexts: [{name: k, context: {cluster: k, user: k}}]
current-context: k
"""


class Stack:
    """A stack of which only the configuration and the tunnels are asked for."""

    def __init__(self, mode: str, connection: Connection, **node: Any) -> None:
        self.config = settings(mode, **node)
        self.live = self
        self.tunnels = tunnels.Tunnels(lambda: self.config, lambda _name: connection)  # type: ignore[arg-type, return-value]


def test_kubeconfig_advises_only_where_a_tunnel_helps(api: int, closed: int):
    connection = Connection({closed: api})

    def advised(mode: str, port: int, ssh: int) -> tunnel.Advice | None:
        stack = Stack(mode, connection, port=ssh)
        try:
            return tunnel.advice(stack, KUBECONFIG % port)  # type: ignore[arg-type]
        finally:
            stack.tunnels.close()

    assert advised("auto", api, api) is None
    assert advised("never", closed, api) is None
    assert advised("auto", closed, closed) is None and connection.opened == []  # a dead node
    found = advised("auto", closed, api)
    assert found is not None and found.address == f"127.0.0.1:{closed}"
    assert found.server == f"https://127.0.0.1:{closed}"
    assert found.ssh == f"ssh -N -L {closed}:127.0.0.1:{closed} -p {api} root@127.0.0.1"


@pytest.fixture
def plain(monkeypatch: pytest.MonkeyPatch) -> None:
    """Kubeconfigs lead to a server without TLS."""

    def parse(text: str) -> kubeconfig.Endpoint:
        (port,) = re.findall(r"server: \S+:(\d+)", text)
        return kubeconfig.Endpoint(server=SERVER.format(port))

    monkeypatch.setattr(kubeconfig, "parse", parse)


@pytest.mark.parametrize(("mode", "answers"), [("auto", True), ("always", True), ("never", False)])
def test_node_replace_hears_a_cluster_that_answers_only_on_its_node(
    mode: str, answers: bool, api: int, closed: int, plain: None, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(status, "kubeconfig", lambda _: KUBECONFIG % closed)
    stack = Stack(mode, Connection({closed: api}))
    try:
        said = node_replace.living(stack)  # type: ignore[arg-type]
    finally:
        stack.tunnels.close()
    assert bool(said) is answers, said
    if answers:
        assert f"kyrion still answers at http://127.0.0.1:{closed}" in said


@pytest.mark.parametrize(("mode", "answers"), [("auto", True), ("never", False)])
def test_a_drill_reaches_an_api_that_answers_only_on_its_node(
    mode: str, answers: bool, api: int, closed: int, plain: None, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(repoint, "_stop", lambda _: None)
    monkeypatch.setattr(etcd_snapshot, "program", lambda _: "/usr/local/bin/k3s")
    monkeypatch.setattr(k3s_service, "kubeconfig", lambda text, **_: text)

    class Node:
        def run(self, script: str, **_: Any) -> Any:
            text = KUBECONFIG % closed if "cat -- " in script else ""
            return types.SimpleNamespace(text=text)

    stack = Stack(mode, Connection({closed: api}))
    stack.node = lambda _: Node()  # type: ignore[attr-defined]
    with contextlib.closing(stack.tunnels), repoint._alone(stack, lambda _: None) as kube:  # type: ignore[arg-type]
        if answers:
            assert kube.version().startswith("v1.36")
        else:
            with pytest.raises(errors.KubeError, match="no answer from"):
                kube.version()


def test_what_is_not_set_stays_so_for_a_provider_in_another_process():
    from provision.provider import settings as provider_settings

    again = provider_settings.load(provider_settings.dump(settings("always", port=22)))
    assert again.kube.tunnel == "always"
    assert again.server.model_fields_set >= {"host", "port"}
    assert "user" not in again.server.model_fields_set


@pytest.mark.parametrize(
    ("node", "ssh", "expected"),
    [
        ({"host": "10.0.0.7"}, "", "root@10.0.0.7"),
        (
            {"host": "ops@10.0.0.7:2222", "identityFile": "/k y", "jump": {"host": "me@gate:23"}},
            "",
            "-i '/k y' -p 2222 -J me@gate:23 ops@10.0.0.7",
        ),
        ({"host": "node"}, "Host node\n User ops\n HostName 10.0.0.7\n ProxyJump gate\n", "node"),
        (
            {"host": "node", "jump": {"host": "one"}},
            "Host one\n ProxyJump you@zero\n",
            "-J you@zero,root@one root@node",
        ),
    ],
)
def test_the_ssh_line(home: pathlib.Path, node: dict[str, Any], ssh: str, expected: str):
    (home / ".ssh").mkdir()
    (home / ".ssh" / "config").write_text(ssh)
    made = settings("auto", **node).server
    line = tunnel.command(reach.route(made, made.jump), 6443)
    assert line == f"ssh -N -L 6443:127.0.0.1:6443 {expected}"

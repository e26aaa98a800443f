"""A port of the node, forwarded by a real sshd, and its refusal."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from typing import Any

import pytest

from provision import errors
from provision.host import forward, session


def _echo() -> tuple[socket.socket, int]:
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                accepted, _ = listener.accept()
            except OSError:
                return
            with accepted:
                while data := accepted.recv(65536):
                    accepted.sendall(data)

    threading.Thread(target=serve, daemon=True).start()
    return listener, int(listener.getsockname()[1])


def test_bytes_pass_both_ways_and_ends_are_passed_on(node_session: session.NodeSession):
    listener, port = _echo()
    made = forward.Forward(node_session.transport, ("127.0.0.1",), port)
    try:
        sent = bytes(range(256)) * 4096
        for _ in range(3):
            with socket.socket(socket.AF_UNIX) as client:
                client.settimeout(20)
                client.connect(made.path)
                threading.Thread(target=_send, args=(client, sent), daemon=True).start()
                got = b""
                while data := client.recv(65536):
                    got += data
                assert got == sent
        assert node_session.transport.connections == 1
    finally:
        made.close()
        listener.close()


def _send(client: socket.socket, sent: bytes) -> None:
    client.sendall(sent)
    client.shutdown(socket.SHUT_WR)


def test_a_server_that_forwards_nothing_says_so(make_sshd: Callable[..., Any]):
    listener, port = _echo()
    server = make_sshd("AllowTcpForwarding no\n")
    with session.NodeSession(server.node()) as opened, pytest.raises(errors.ConnectError) as caught:
        forward.Forward(opened.transport, ("127.0.0.1",), port)
    assert "AllowTcpForwarding" in caught.value.hint and "prohibited" in caught.value.detail
    listener.close()


def test_a_port_where_nobody_listens(node_session: session.NodeSession):
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        port = held.getsockname()[1]
        with pytest.raises(errors.ConnectError, match=f"port {port} does not answer"):
            forward.Forward(node_session.transport, ("127.0.0.1",), port)

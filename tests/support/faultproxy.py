"""A TCP proxy that does to a connection what networks, firewalls and broken hosts do.

`Proxy.mode` may change at any time; `Proxy.after` changes it once some bytes have passed, so
that a fault comes in the middle of a transfer. Bytes are counted from the client's side: up to
the server, down to the client. `Proxy.touched` says whether a fault met a byte or a connection.
"""

from __future__ import annotations

import contextlib
import select
import socket
import struct
import threading
import time
from collections.abc import Callable
from typing import Literal, Self

Mode = Literal["pass", "stall", "swallow", "reset", "slow", "garble", "close"]
"""What happens to the bytes.

pass: they pass. stall: nobody reads them, and connections stand. swallow: they are read and
thrown away, so that TCP acknowledges them. reset: connections are reset, new ones too. close:
they are closed. slow: `Proxy.rate` bytes a second pass. garble: every byte that passes is another.
"""

_CHUNK = 16 * 1024
_PIECE = 0.02


class Proxy:
    """Passes connections to `host`:`port` on; `port` of the proxy is on `at`, a free one if 0."""

    def __init__(
        self, port: int, host: str = "127.0.0.1", *, at: str = "127.0.0.1", own_port: int = 0
    ) -> None:
        self._target = (host, port)
        self._listener = socket.create_server((at, own_port))
        self._sockets: list[socket.socket] = []
        self._guard = threading.Lock()
        self._closed = threading.Event()
        self._trip: Callable[[], Mode | None] = lambda: None
        self.mode: Mode = "pass"
        self.touched = False
        self.rate = 1.0
        self.up = 0
        self.down = 0
        self.connections = 0
        self.port = int(self._listener.getsockname()[1])
        threading.Thread(target=self._accept, name="faultproxy", daemon=True).start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def after(self, mode: Mode, *, up: int | None = None, down: int | None = None) -> None:
        """Change to `mode` once `up` or `down` more bytes have passed."""
        to_up = None if up is None else self.up + up
        to_down = None if down is None else self.down + down

        def trip() -> Mode | None:
            far_up = to_up is not None and self.up >= to_up
            far_down = to_down is not None and self.down >= to_down
            return mode if far_up or far_down else None

        self._trip = trip

    def harm(self, mode: Mode, *, rate: float = 1.0) -> None:
        """Change to `mode` now; nothing was touched by it so far."""
        self.touched, self.rate = False, rate
        self.mode = mode

    def aim(self, host: str) -> None:
        """Pass connections that are made from now on to another host."""
        self._target = (host, self._target[1])

    def heal(self) -> None:
        """Pass bytes on again. Connections that were cut stay cut."""
        self._trip = lambda: None
        self.mode = "pass"

    def close(self) -> None:
        """End all connections and the proxy."""
        self._closed.set()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._cut(hard=False)

    def _accept(self) -> None:
        while not self._closed.is_set():
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self._connect, args=(near,), daemon=True).start()

    def _connect(self, near: socket.socket) -> None:
        with self._guard:
            self._sockets.append(near)
        self.touched |= self._look() != "pass"
        if self.mode in ("reset", "close"):
            self._cut(hard=self.mode == "reset")
            return
        try:
            far = socket.create_connection(self._target, timeout=10)
        except OSError:
            near.close()
            return
        for end in (near, far):
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            end.settimeout(None)
        with self._guard:
            self._sockets.append(far)
        for source, target, up in ((near, far, True), (far, near, False)):
            threading.Thread(target=self._pass, args=(source, target, up), daemon=True).start()

    def _pass(self, source: socket.socket, target: socket.socket, up: bool) -> None:
        with contextlib.suppress(OSError, ValueError):  # ValueError: it was closed meanwhile
            while not self._closed.is_set():
                mode = self._look()
                if mode in ("reset", "close"):
                    self.touched = True
                    self._cut(hard=mode == "reset")
                    return
                if mode == "stall":
                    time.sleep(_PIECE)
                    self.touched |= bool(select.select([source], [], [], 0)[0])
                    continue
                size = max(1, int(self.rate * _PIECE)) if mode == "slow" else _CHUNK
                # No timeout of the socket: the thread of the other way sends on it meanwhile.
                if not select.select([source], [], [], _PIECE)[0]:
                    continue
                data = source.recv(size)
                if not data:
                    target.shutdown(socket.SHUT_WR)
                    return
                self._forward(data, target, up)

    def _forward(self, data: bytes, target: socket.socket, up: bool) -> None:
        """Pass one piece on, or do to it what the mode says by now."""
        while (mode := self._look()) == "stall" and not self._closed.is_set():
            self.touched = True
            time.sleep(_PIECE)
        self.touched |= mode != "pass"
        if mode == "slow":
            time.sleep(len(data) / self.rate)
        if mode == "garble":
            data = bytes(byte ^ 0x55 for byte in data)
        if mode != "swallow":
            target.sendall(data)
        if up:
            self.up += len(data)
        else:
            self.down += len(data)

    def _look(self) -> Mode:
        tripped = self._trip()
        if tripped is not None:
            self._trip = lambda: None
            self.mode = tripped
        return self.mode

    def _cut(self, *, hard: bool) -> None:
        with self._guard:
            sockets, self._sockets = self._sockets, []
        for end in sockets:
            with contextlib.suppress(OSError):
                if hard:  # a linger time of 0 makes the kernel send RST
                    end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                else:
                    end.shutdown(socket.SHUT_RDWR)
            end.close()

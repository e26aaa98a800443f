"""A slow link in user space: ``python -m tests.bench.relay HOST PORT SECONDS``.

A TCP relay that holds everything for SECONDS each way, and a connection's
first bytes for the time of the handshake too. It prints its own port on
127.0.0.1 and runs until it is ended. Bandwidth is not limited and nothing is
lost: it shows what round trips cost, and nothing else.
"""

from __future__ import annotations

import asyncio
import socket
import sys

_CHUNK = 256 * 1024


async def _pump(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    delay: float,
    earliest: float,
) -> None:
    """Pass bytes on `delay` after they came, those from before `earliest` as if sent then."""
    loop = asyncio.get_running_loop()
    held: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()

    async def read() -> None:
        data = b"-"
        while data:
            try:
                data = await reader.read(_CHUNK)
            except OSError:
                data = b""
            held.put_nowait((max(loop.time(), earliest) + delay, data))

    async def write() -> None:
        while True:
            due, data = await held.get()
            if (wait := due - loop.time()) > 0:
                await asyncio.sleep(wait)
            if not data:
                if writer.can_write_eof():
                    writer.write_eof()
                return
            writer.write(data)
            await writer.drain()

    await asyncio.gather(read(), write())


async def serve(host: str, port: int, delay: float) -> None:
    """Relay to `host`:`port` until cancelled."""

    async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        began = asyncio.get_running_loop().time()
        far: asyncio.StreamWriter | None = None
        try:
            _quick(writer)
            # SYN, SYN-ACK and ACK: the server sees the connection after three halves.
            await asyncio.sleep(3 * delay)
            far_reader, far = await asyncio.open_connection(host, port, limit=4 * _CHUNK)
            _quick(far)
            async with asyncio.TaskGroup() as both:
                both.create_task(_pump(reader, far, delay, began + 2 * delay))
                both.create_task(_pump(far_reader, writer, delay, began))
        except* OSError:
            pass  # one side is gone: so is the connection
        finally:
            for end in (writer, far):
                if end is not None:
                    end.close()

    server = await asyncio.start_server(relay, "127.0.0.1", 0, limit=4 * _CHUNK)
    sys.stdout.write(f"{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    async with server:
        await server.serve_forever()


def _quick(writer: asyncio.StreamWriter) -> None:
    sock = writer.get_extra_info("socket")
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


if __name__ == "__main__":
    asyncio.run(serve(sys.argv[1], int(sys.argv[2]), float(sys.argv[3])))

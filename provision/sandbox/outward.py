"""``python -m provision.sandbox.outward HOST PORT``: the way out of a sandbox's network.

A node in a sandbox reaches this machine and nothing beyond. Official releases
pull container images, so a sandbox of those gets this HTTP proxy, and its k3s
is told of it: CONNECT only (RFC 9110, section 9.3.6), to port 443 only, and no
rule of this machine's firewall is touched.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys

PORT = 3128
_HEAD = 64 * 1024
_PATIENCE = 30


def target(line: bytes) -> tuple[str, int] | None:
    """Return host and port that a request line asks for; None: not to be had here.

    >>> target(b"CONNECT ghcr.io:443 HTTP/1.1")
    ('ghcr.io', 443)
    """
    words = line.decode("latin-1").split()
    if len(words) != 3 or words[0] != "CONNECT" or not words[2].startswith("HTTP/1."):
        return None
    host, _, port = words[1].rpartition(":")
    if not host or port != "443":
        return None
    return host.strip("[]"), int(port)


async def _serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.closing(writer), contextlib.suppress(OSError, asyncio.IncompleteReadError):
        try:
            head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), _PATIENCE)
        except (asyncio.LimitOverrunError, TimeoutError):
            return
        asked = target(head.partition(b"\r\n")[0])
        if asked is None:
            writer.write(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")
            await writer.drain()
            return
        try:
            there, back = await asyncio.wait_for(asyncio.open_connection(*asked), _PATIENCE)
        except (OSError, TimeoutError):
            writer.write(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n")
            await writer.drain()
            return
        with contextlib.closing(back):
            writer.write(b"HTTP/1.1 200 Connection Established\r\n\r\n")
            await asyncio.gather(_pass_on(reader, back), _pass_on(there, writer))


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Carry what comes until its end, which is then told to the other side."""
    with contextlib.suppress(OSError):
        while data := await reader.read(_HEAD):
            writer.write(data)
            await writer.drain()
        writer.write_eof()


async def serve(host: str, port: int) -> asyncio.Server:
    """Return the proxy, listening at `host`:`port`."""
    return await asyncio.start_server(_serve, host, port, limit=_HEAD)


async def _main(host: str, port: int) -> None:
    async with await serve(host, port) as server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_main(sys.argv[1], int(sys.argv[2])))

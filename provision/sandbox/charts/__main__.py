"""``python -m provision.sandbox.charts``: the chart server and name server of a sandbox.

Runs in the foreground until SIGTERM.
"""

from __future__ import annotations

import argparse
import signal
import socketserver
import sys
import threading
from collections.abc import Callable
from pathlib import Path

from provision.sandbox.charts import catalog, listener, names, trust, wanted

_TLS, _PLAIN, _NAMES = 443, 80, 53


def _options(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m provision.sandbox.charts", description=__doc__)
    parser.add_argument("--address", required=True, help="where to listen")
    parser.add_argument("--repositories", type=Path, required=True, help="bare repositories")
    parser.add_argument("--definitions", type=Path, required=True, help="generated definitions")
    parser.add_argument("--log", type=Path, required=True, help="lists the fetched charts")
    return parser.parse_args(arguments)


def main(arguments: list[str]) -> int:
    """Run the servers; return the exit status."""
    options = _options(arguments)
    repositories = wanted.Repositories(options.repositories)
    charts = catalog.Catalog(repositories.wanted, options.definitions, options.log)
    trust.file()
    certificates = listener.Certificates(trust.folder(), options.address, charts)
    stopped = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopped.set())
    makers: tuple[tuple[int, Callable[[tuple[str, int]], socketserver.BaseServer]], ...] = (
        (_TLS, lambda at: listener.Server(at, charts, certificates)),
        (_PLAIN, lambda at: listener.Server(at, charts, None)),
        (_NAMES, lambda at: names.Streams(at, charts.hosts)),
        (_NAMES, lambda at: names.Datagrams(at, charts.hosts)),
    )
    servers: list[socketserver.BaseServer] = []
    for port, make in makers:
        try:
            servers.append(make((options.address, port)))
        except OSError as error:
            sys.stderr.write(
                f"error: port {port} of {options.address} cannot be listened on: {error.strerror}."
                f" A program of this machine that listens on port {port} of every address is in the"
                " way; bind it to other addresses.\n"
            )
            return 1
    for server in servers:
        threading.Thread(target=server.serve_forever, daemon=True).start()
    stopped.wait()
    for server in servers:
        server.shutdown()
        server.server_close()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

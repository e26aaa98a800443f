"""One operation of the `pulumi` on PATH, the program in this process: ``upstream.py ARGUMENT…``.

The way of Pulumi's Automation API without what it asks the CLI besides: the
quickest there is, since the CLI need not start a language host and a second Python.
"""

from __future__ import annotations

import subprocess
import sys
from concurrent import futures

import grpc
from pulumi.automation import _server
from pulumi.runtime.proto import language_pb2_grpc

from tests.bench_engine.drivers import trivial


def main(*arguments: str) -> int:
    """Run ``pulumi ARGUMENT…`` and return its status."""
    server = grpc.server(futures.ThreadPoolExecutor(max_workers=4))
    language_pb2_grpc.add_LanguageRuntimeServicer_to_server(
        _server.LanguageServer(trivial.make_as_told), server
    )
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        how = (f"--client=127.0.0.1:{port}", "--exec-kind", "auto.inline")
        return subprocess.run(("pulumi", *arguments, *how), check=False).returncode
    finally:
        server.stop(grace=None).wait()


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))

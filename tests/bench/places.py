"""Where the measured programs work: a node by two ways, and a folder with its files."""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import select
import subprocess
import sys
import tempfile
from collections.abc import Callable, Generator
from dataclasses import dataclass

from provision.sandbox import lifecycle, model
from tests.bench import machine

LATENCY = 0.020
"""Seconds that a round trip takes longer by the slow way; half of it each way."""

ROOT = pathlib.Path(__file__).parents[2]


@dataclass(frozen=True, kw_only=True)
class Target:
    """One way to the node, and the file that tells drivers of it."""

    host: str
    port: int
    node: model.Node
    folder: pathlib.Path

    @property
    def file(self) -> pathlib.Path:
        """``target.json``."""
        return self.folder / f"target-{self.port}.json"

    @property
    def known_hosts(self) -> pathlib.Path:
        """The known_hosts file with the node's key for this way."""
        return self.folder / f"known_hosts-{self.port}"

    def write(self) -> Target:
        """Write both files."""
        name = self.host if self.port == 22 else f"[{self.host}]:{self.port}"
        self.known_hosts.write_text(f"{name} {self.node.host_key}\n")
        self.file.write_text(
            json.dumps(
                {
                    "host": self.host,
                    "port": self.port,
                    "user": self.node.user,
                    "identityFile": str(self.node.identity_file),
                    "hostKey": self.node.host_key,
                    "knownHosts": str(self.known_hosts),
                }
            )
        )
        return self


@dataclass(frozen=True, kw_only=True)
class Place:
    """A node alone, reached directly and slowly, and a folder to work in."""

    node: model.Node
    folder: pathlib.Path
    direct: Target
    slow: Target


@contextlib.contextmanager
def alone(say: Callable[[str], None]) -> Generator[Place]:
    """Start a node, and take it down again in the end, whatever happens."""
    name = f"bench-{os.getpid()}"
    with tempfile.TemporaryDirectory(prefix="elysium-bench-") as made:
        folder = pathlib.Path(made)
        (folder / "home").mkdir()
        try:
            box = lifecycle.up_node(name, say=say)
            with relayed(box.node.host, box.node.port, LATENCY / 2) as port:
                ways = [
                    Target(host=host, port=at, node=box.node, folder=folder).write()
                    for host, at in ((box.node.host, box.node.port), ("127.0.0.1", port))
                ]
                yield Place(node=box.node, folder=folder, direct=ways[0], slow=ways[1])
        finally:
            lifecycle.down(name)


@contextlib.contextmanager
def relayed(host: str, port: int, delay: float) -> Generator[int]:
    """Run the relay to `host`:`port` in a process of its own; give its port."""
    argv = (sys.executable, "-m", "tests.bench.relay", host, str(port), str(delay))
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
        try:
            if process.stdout is None or not select.select([process.stdout], [], [], 20)[0]:
                raise machine.Failed("the relay did not start")
            yield int(process.stdout.readline())
        finally:
            process.terminate()

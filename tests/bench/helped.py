"""``elysium --help`` against the least a click program needs, and what it imports."""

from __future__ import annotations

import re
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from tests.bench import figures, machine, peers

WHAT = "elysium --help"
HEAVY = (
    *("pulumi", "pulumi_kubernetes", "paramiko", "cryptography", "github", "httpx2"),
    *("kubernetes", "rich", "jinja2", "ruamel", "yaml", "pydantic", "grpc", "httpx", "requests"),
)
_IMPORTED = re.compile(r"^import time:\s*\d+ \|\s*\d+ \|\s*([\w.]+)$", re.MULTILINE)


def run(table: figures.Table, rounds: int, say: Callable[[str], None]) -> None:
    """Measure `rounds` rounds of both, four of each in a round since they are short."""
    elysium = (str(Path(sys.executable).with_name("elysium")), "--help")
    click = (sys.executable, "-c", "import click")
    below = figures.Aim(comparison="<", limit=2, of="ratio")
    say("help")
    with tempfile.TemporaryDirectory() as folder:
        environ = peers.environment(Path(folder))
        del environ["PYTHONPATH"]  # as it is installed
        for _ in range(4 * rounds):
            for tool, argv, aims in (
                (figures.ELYSIUM, elysium, ()),
                ("python -c 'import click'", click, (below,)),
            ):
                series = table.series(WHAT, tool, aims=aims)
                try:
                    ran = machine.measure(argv, environ=environ)
                except machine.Failed as error:
                    series.lost(str(error))
                else:
                    series.add(ran.seconds, ran.memory)
        none = figures.Aim(comparison="==", limit=0)
        modules = table.series(f"{WHAT}: heavy modules", figures.ELYSIUM, unit="", aims=(none,))
        traced = machine.measure(elysium, environ=environ | {"PYTHONPROFILEIMPORTTIME": "1"})
        found = heavy(traced.output)
        modules.add(len(found))
        modules.note = f"heavy modules: {', '.join(found)}" if found else ""


def heavy(import_times: str) -> list[str]:
    """Return the heavy packages among those that ``-X importtime`` says were imported."""
    seen = {name.split(".")[0] for name in _IMPORTED.findall(import_times)}
    return sorted(seen & set(HEAVY))

"""Starting the chart server of a sandbox, and what it has served."""

from __future__ import annotations

import json
import socket
import sys
from pathlib import Path
from typing import Any, Final

from provision import progress
from provision.sandbox import model, network, processes

_PORT: Final = 443
_TIMEOUT: Final = 60.0


def start(
    net: network.Network,
    group: processes.Group,
    folder: Path,
    *,
    repositories: Path,
    definitions: Path,
    say: progress.Progress = progress.silent,
) -> tuple[model.Charts, processes.Process]:
    """Start the chart server on this machine's side of `net`; return it when it listens.

    It serves what the bare repositories below `repositories` ask for. `definitions` is the
    folder of the generated definitions.

    Raises:
        errors.WaitError: when it does not listen, with the end of its log.
    """
    say("charts: starting")
    folder.mkdir(parents=True, exist_ok=True)
    charts = model.Charts(address=net.host_address, log=folder / "served.json")
    command = (
        *(sys.executable, "-m", "provision.sandbox.charts", "--address", charts.address),
        *("--repositories", str(repositories), "--definitions", str(definitions)),
        *("--log", str(charts.log)),
    )
    process = group.spawn(command, log=folder / "charts.log")
    processes.wait_until(
        lambda: answers(charts),
        what="The chart server: its first answer",
        timeout=_TIMEOUT,
        process=process,
    )
    return charts, process


def answers(charts: model.Charts) -> bool:
    """Return whether the chart server takes connections."""
    try:
        with socket.create_connection((charts.address, _PORT), timeout=2):
            return True
    except OSError:
        return False


def served(charts: model.Charts) -> tuple[model.Part, ...]:
    """Return the charts that were fetched from the server, as parts that are stood in."""
    try:
        listed: list[dict[str, Any]] = json.loads(charts.log.read_text())
    except (OSError, ValueError):
        return ()
    return tuple(
        model.Part(part=f"chart {one['chart']} {one['version']}", what=_what(one)) for one in listed
    )


def _what(one: dict[str, Any]) -> str:
    kinds = ", ".join(one["kinds"])
    if one["own"]:
        return f"a chart of the sandbox that runs its program, for {one['address']}"
    defines = f"defines {kinds}" if kinds else "defines no kind"
    return f"a placeholder for {one['address']}: {defines}, runs nothing"

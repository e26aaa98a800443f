"""A file of 70 MiB to the node, against scp.

elysium uploads in the session that it has open anyway, so that is one row, beside
scp as it is called and scp over a connection that is open already; the other is
the whole program, with Python, paramiko and the connection. elysium writes the file
to disk (fsync) and renames it into place; scp does neither.
"""

from __future__ import annotations

import json
import pathlib
import sys
from collections.abc import Callable, Sequence

from provision.sandbox import node
from tests.bench import figures, job, machine, peers, places

_REMOTE = "/root/bench-upload"


def run(table: figures.Table, rounds: int, say: Callable[[str], None]) -> None:
    """Measure `rounds` rounds: directly, then with latency."""
    with places.alone(say) as place:
        source = job.write(place.folder / "job").with_name("binary")
        expected = job.expected(place.folder / "job")["/usr/local/bin/bench-server"].split()[0]
        ways = (
            ("upload of 70 MiB", place.direct),
            (f"upload of 70 MiB at {places.LATENCY * 1000:.0f} ms", place.slow),
        )
        for number in range(rounds):
            say(f"upload: round {number + 1} of {rounds}")
            for what, target in ways:
                _one_round(table, what, target, place, source, expected)


def _one_round(
    table: figures.Table,
    what: str,
    target: places.Target,
    place: places.Place,
    source: pathlib.Path,
    expected: str,
) -> None:
    environ = peers.environment(place.folder / "home")
    control = f"ControlPath={place.folder}/master"
    options = (
        *("-F", "none", "-q", "-o", f"UserKnownHostsFile={target.known_hosts}"),
        *("-o", f"IdentityFile={target.node.identity_file}", "-o", "IdentitiesOnly=yes"),
        *("-o", "StrictHostKeyChecking=yes"),
    )
    login = f"{target.node.user}@{target.host}"
    scp = ("scp", *options, "-P", str(target.port), str(source), f"{login}:{_REMOTE}")
    ssh = ("ssh", *options, "-p", str(target.port), "-o", control)
    ours = (
        *(sys.executable, "-m", "tests.bench.drivers.upload"),
        *(str(source), str(target.file), _REMOTE),
    )
    aim = figures.Aim(comparison="<=", limit=0.8, of="ratio")
    series = {
        "session": table.series(what, figures.ELYSIUM),
        "scp": table.series(what, "scp", aims=(aim,)),
        "shared": table.series(what, "scp, shared connection"),
        "whole": table.series(f"{what}, whole process", figures.ELYSIUM),
        "scp again": table.series(f"{what}, whole process", "scp"),
    }

    def upload(argv: Sequence[str], *names: str) -> None:
        try:
            ran = machine.measure(argv, environ=environ, folder=place.folder)
            _check(place, expected)
        except machine.Failed as error:
            for name in names:
                series[name].lost(str(error))
            return
        for name in names:
            inside = name == "session"
            seconds = json.loads(ran.output)["seconds"] if inside else ran.seconds
            series[name].add(seconds, ran.memory)

    upload(ours, "session", "whole")
    upload(scp, "scp", "scp again")
    machine.measure((*ssh, "-M", "-N", "-f", login), environ=environ)
    try:
        upload(("scp", "-o", control, *scp[1:]), "shared")
    finally:
        machine.measure((*ssh, "-O", "exit", login), environ=environ)


def _check(place: places.Place, expected: str) -> None:
    """Look whether the file has arrived, and remove it."""
    script = f"sha256sum <{_REMOTE} | cut -d' ' -f1; rm -f {_REMOTE}; sync"
    found = node.run(place.node, script).stdout.strip()
    if found != expected:
        raise machine.Failed(f"the file did not arrive as it is: {found or 'nothing'}")

"""A file of 70 MiB to the node, against scp.

elysium uploads in the session that it has open anyway, so that is one row; the
other is the whole program, with Python, paramiko and the connection. scp is the
whole program in either case. elysium writes the file to disk (fsync) and renames
it into place; scp does neither.
"""

from __future__ import annotations

import json
import pathlib
import sys
from collections.abc import Callable

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
    scp = (
        *("scp", "-F", "none", "-q", "-P", str(target.port)),
        *("-o", f"IdentityFile={target.node.identity_file}", "-o", "IdentitiesOnly=yes"),
        *("-o", f"UserKnownHostsFile={target.known_hosts}", "-o", "StrictHostKeyChecking=yes"),
        *(str(source), f"{target.node.user}@{target.host}:{_REMOTE}"),
    )
    ours = (
        *(sys.executable, "-m", "tests.bench.drivers.upload"),
        *(str(source), str(target.file), _REMOTE),
    )
    aim = figures.Aim(comparison="<=", limit=0.8, of="ratio")
    session = table.series(what, figures.ELYSIUM)
    against = table.series(what, "scp", aims=(aim,))
    whole = table.series(f"{what}, whole process", figures.ELYSIUM)
    against_whole = table.series(f"{what}, whole process", "scp")
    try:
        ran = machine.measure(ours, environ=environ, folder=place.folder)
        _check(place, expected)
        said = json.loads(ran.output)
        session.add(said["seconds"], ran.memory)
        whole.add(ran.seconds, ran.memory)
    except machine.Failed as error:
        session.lost(str(error))
        whole.lost(str(error))
    try:
        ran = machine.measure(scp, environ=environ, folder=place.folder)
        _check(place, expected)
        against.add(ran.seconds, ran.memory)
        against_whole.add(ran.seconds, ran.memory)
    except machine.Failed as error:
        against.lost(str(error))
        against_whole.lost(str(error))


def _check(place: places.Place, expected: str) -> None:
    """Look whether the file has arrived, and remove it."""
    script = f"sha256sum <{_REMOTE} | cut -d' ' -f1; rm -f {_REMOTE}; sync"
    found = node.run(place.node, script).stdout.strip()
    if found != expected:
        raise machine.Failed(f"the file did not arrive as it is: {found or 'nothing'}")

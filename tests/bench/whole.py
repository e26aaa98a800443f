"""A whole ``elysium up`` that has nothing to do, in a whole sandbox after a first one.

Connections and commands are counted by the node's own SSH server, calls to
GitHub by the forge: not by what elysium thinks it did.
"""

from __future__ import annotations

import pathlib
import tempfile
from collections.abc import Callable

from provision.sandbox import model, node
from tests.bench import figures, machine
from tests.support import lab as labs

WHAT = "whole no-op up"
_VERBOSE = (
    "mkdir -p /etc/ssh/sshd_config.d && echo 'LogLevel VERBOSE' "
    ">/etc/ssh/sshd_config.d/00-bench.conf && systemctl reload ssh"
)


def run(table: figures.Table, rounds: int, say: Callable[[str], None]) -> None:
    """Bring a cluster up once, then measure `rounds` times that nothing is to be done.

    Raises:
        machine.Failed: when the first one does not come to its end.
    """
    with (
        tempfile.TemporaryDirectory(prefix="elysium-bench-") as folder,
        labs.sandbox("bench", say) as sandbox,
    ):
        try:
            lab = labs.make(sandbox, pathlib.Path(folder) / "stack")
            labs.configure(lab)
        except AssertionError as error:
            raise machine.Failed(f"the stack cannot be made: {error}") from error
        _measure(table, rounds, lab, say)


def _measure(table: figures.Table, rounds: int, lab: labs.Lab, say: Callable[[str], None]) -> None:
    _run(lab.sandbox.node, _VERBOSE)
    say("up: the first one")
    first = _up(lab)
    table.series("whole first up", figures.ELYSIUM).add(first.seconds, first.memory)
    _up(lab)  # what the first one has changed in Git may still be on its way
    aims = (
        figures.Aim(comparison="<=", limit=3, unit="s"),
        figures.Aim(comparison="<", limit=250, of="memory", unit="MB"),
    )
    one = (figures.Aim(comparison="==", limit=1),)
    for number in range(rounds):
        say(f"up: round {number + 1} of {rounds}")
        state = _state(lab.sandbox.node)
        calls, cursor = len(lab.forge.calls()), _cursor(lab.sandbox.node)
        ran = _up(lab)
        logins, commands = _counted(lab.sandbox.node, cursor)
        called = lab.forge.calls(calls)
        writes = [f"{call['method']} {call['path']}" for call in called if call["method"] != "GET"]
        if writes or _state(lab.sandbox.node) != state:
            raise machine.Failed(f"an up with nothing to do changed something: {writes}")
        table.series(WHAT, figures.ELYSIUM, aims=aims).add(ran.seconds, ran.memory)
        cpu = table.series(f"{WHAT}: processor time", figures.ELYSIUM)
        cpu.add(ran.cpu)
        for label, count, wanted in (
            ("SSH connections", logins, one),
            ("SSH commands", commands, one),
            ("calls to GitHub", len(called), ()),
        ):
            series = table.series(f"{WHAT}: {label}", figures.ELYSIUM, unit="", aims=wanted)
            series.add(count)


def _up(lab: labs.Lab) -> machine.Ran:
    return machine.measure(
        (str(labs.ELYSIUM), "up", "--yes"), environ=lab.environ, folder=lab.folder, timeout=1800
    )


def _state(where: model.Node) -> str:
    """Return since when the node's own units run, and as which processes."""
    units = "k3s.service mnt-media\\\\x2dlibrary.automount"
    return _run(where, f"systemctl show -p Id,MainPID,ActiveEnterTimestampMonotonic {units}")


def _cursor(where: model.Node) -> str:
    """Return where the node's journal is now."""
    script = "journalctl --sync; journalctl -n 0 --show-cursor"
    return _run(where, script).strip().rpartition("-- cursor: ")[2]


def _counted(where: model.Node, cursor: str) -> tuple[int, int]:
    """Return how many logins and commands the SSH server has seen since `cursor`."""
    script = f"journalctl --sync; journalctl -o cat -t sshd --after-cursor '{cursor}'"
    lines = _run(where, script).splitlines()
    # "Accepted key …" besides says which key of authorized_keys it was.
    logins = sum(line.startswith(("Accepted publickey ", "Accepted password ")) for line in lines)
    commands = sum(line.startswith("Starting session: ") for line in lines)
    # One of each is this look at the journal.
    return logins - 1, commands - 1


def _run(where: model.Node, script: str) -> str:
    done = node.run(where, script)
    if done.returncode != 0:
        raise machine.Failed(f"the node cannot be looked at: {done.stderr}")
    return done.stdout

"""A whole ``elysium up`` that has nothing to do, in a whole sandbox after a first one.

Connections and commands are counted by the node's own SSH server, calls to
GitHub by the forge: not by what elysium thinks it did.
"""

from __future__ import annotations

import contextlib
import pathlib
import subprocess
import sys
import tempfile
from collections.abc import Callable, Generator

from provision.sandbox import model, node
from tests.bench import figures, machine
from tests.support import lab as labs

WHAT = "whole no-op up"
_VERBOSE = (
    "mkdir -p /etc/ssh/sshd_config.d && echo 'LogLevel VERBOSE' "
    ">/etc/ssh/sshd_config.d/00-bench.conf && systemctl reload ssh"
)


_PROGRAM = "import sys; from provision.cli import main; sys.exit(main.main())"


def run(table: figures.Table, rounds: int, say: Callable[[str], None], against: str = "") -> None:
    """Bring a cluster up once, then measure `rounds` times that nothing is to be done.

    With `against`, the program of that commit does the same in each round, and the
    ratio of the two is shown.

    Raises:
        machine.Failed: when the first one does not come to its end.
    """
    with (
        _commit(against) as other,
        tempfile.TemporaryDirectory(prefix="elysium-bench-") as folder,
        labs.sandbox("bench", say) as sandbox,
    ):
        try:
            lab = labs.make(sandbox, pathlib.Path(folder) / "stack")
            labs.configure(lab)
        except AssertionError as error:
            raise machine.Failed(f"the stack cannot be made: {error}") from error
        _measure(table, rounds, lab, say, f"elysium at {against}", other)


def _measure(
    table: figures.Table,
    rounds: int,
    lab: labs.Lab,
    say: Callable[[str], None],
    name: str,
    other: pathlib.Path | None,
) -> None:
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
        if other is not None and number % 2:
            _add_other(table, lab, name, other)
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
        if other is not None and not number % 2:
            _add_other(table, lab, name, other)


def _add_other(table: figures.Table, lab: labs.Lab, name: str, other: pathlib.Path) -> None:
    ran = _up(lab, other)
    table.series(WHAT, name).add(ran.seconds, ran.memory)
    table.series(f"{WHAT}: processor time", name).add(ran.cpu)


@contextlib.contextmanager
def _commit(revision: str) -> Generator[pathlib.Path | None]:
    """Give a folder with the files of a commit; None where none is named."""
    if not revision:
        yield None
        return
    with tempfile.TemporaryDirectory(prefix="elysium-bench-") as folder:
        archive = subprocess.run(
            ["git", "archive", revision, "provision", "stacks", "templates"],
            capture_output=True,
            check=False,
        )
        if archive.returncode != 0:
            raise machine.Failed(f"there is no commit {revision}: {archive.stderr.decode()}")
        subprocess.run(["tar", "-x", "-C", folder], input=archive.stdout, check=True)
        yield pathlib.Path(folder)


def _up(lab: labs.Lab, program: pathlib.Path | None = None) -> machine.Ran:
    """Run ``elysium up``, of the commit in the folder `program` if it is given."""
    argv: tuple[str, ...] = (str(labs.ELYSIUM),)
    environ = dict(lab.environ)
    if program is not None:
        argv, environ["PYTHONPATH"] = (sys.executable, "-c", _PROGRAM), str(program)
    return machine.measure((*argv, "up", "--yes"), environ=environ, folder=lab.folder, timeout=1800)


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

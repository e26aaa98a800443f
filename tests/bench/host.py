"""The host part of a run: the same job by elysium, by hand, and by other tools."""

from __future__ import annotations

import pathlib
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from provision.sandbox import node
from tests.bench import figures, job, machine, peers, places

DRIVERS = pathlib.Path(__file__).with_name("drivers")
FIRST = "host part, first run"
NO_OP = "host part, no-op"
EDIT = "host part, one file changed"
SLOW = f"host part, no-op at {places.LATENCY * 1000:.0f} ms"
PHASES = (FIRST, NO_OP, EDIT, SLOW)

Command = Callable[[places.Target], Sequence[str]]


@dataclass(kw_only=True)
class Tool:
    """One way to do the job.

    `aim` is what elysium's time over this one's has to be on a no-op.
    """

    name: str
    command: Command
    environ: Callable[[places.Target], dict[str, str]]
    aim: figures.Aim | None = None
    after: Callable[[], None] = field(default=lambda: None)
    problem: str = ""


def run(table: figures.Table, rounds: int, say: Callable[[str], None]) -> None:
    """Measure `rounds` rounds of all tools; the order turns by one each round."""
    with places.alone(say) as place:
        folder = place.folder / "job"
        job.write(folder)
        tools = _tools(place, folder, say)
        for phase in PHASES:
            for tool in tools:
                aims = (tool.aim,) if tool.aim and phase in (NO_OP, SLOW) else ()
                table.series(phase, tool.name, aims=aims)
        for number in range(rounds):
            turned = tools[number % len(tools) :] + tools[: number % len(tools)]
            for tool in turned:
                say(f"host part: round {number + 1} of {rounds}, {tool.name}")
                _one_round(table, tool, place, folder, number)


def _one_round(
    table: figures.Table, tool: Tool, place: places.Place, folder: pathlib.Path, number: int
) -> None:
    left = list(PHASES)
    try:
        if tool.problem:
            raise machine.Failed(tool.problem)
        job.edit(folder, 2 * number)
        _at(place, job.reset())
        for phase, target in zip(PHASES, (*[place.direct] * 3, place.slow), strict=True):
            before = _at(place, job.look()) if phase != FIRST else ""
            if phase == EDIT:
                job.edit(folder, 2 * number + 1)
            try:
                ran = machine.measure(
                    tool.command(target), environ=tool.environ(target), folder=place.folder
                )
            finally:
                tool.after()
            _verify(tool, phase, before, _at(place, job.look()), folder)
            table.series(phase, tool.name).add(ran.seconds, ran.memory)
            left.remove(phase)
    except machine.Failed as error:
        for phase in left:
            table.series(phase, tool.name).lost(str(error))


def _at(place: places.Place, script: str) -> str:
    done = node.run(place.node, script)
    if done.returncode != 0:
        raise machine.Failed(f"the node cannot be looked at: {done.stderr}")
    return done.stdout


def _verify(tool: Tool, phase: str, before: str, after: str, folder: pathlib.Path) -> None:
    """Look from outside whether the tool did the job, and no more than that.

    A line of `job.look` holds inode, time of change and process, so that a
    no-op that rewrote or restarted something shows.
    """
    lines = after.splitlines()
    found = {
        name: f"{digest} {mode}"
        for name, digest, mode in (line.split()[1:4] for line in lines if line.startswith("file "))
    }
    if found != job.expected(folder):
        raise machine.Failed(f"{tool.name}, {phase}: files are not as wanted:\n{after}")
    for unit in (job.SERVICE, job.AUTOMOUNT):
        line = next(x for x in lines if x.startswith(f"unit {unit} "))
        if not {"active", "enabled", "no"} <= set(line.split()):
            raise machine.Failed(f"{tool.name}, {phase}: {line}")
    changed = {x.split()[1] for x in set(lines) ^ set(before.splitlines())}
    allowed = {NO_OP: set[str](), SLOW: set[str](), EDIT: {job.EDITED, job.SERVICE}}
    if phase in allowed and changed != allowed[phase]:
        raise machine.Failed(f"{tool.name}, {phase}: it changed {sorted(changed)}")


def _tools(place: places.Place, folder: pathlib.Path, say: Callable[[str], None]) -> list[Tool]:
    found = peers.ensure(say)
    no_python = found.problem or peers.give_python(place.node, say)
    home, sockets = place.folder / "home", place.folder / "cp"
    sockets.mkdir()

    def plain(_: places.Target) -> dict[str, str]:
        return peers.environment(home)

    def driver(name: str) -> Command:
        return lambda target: (
            *(sys.executable, "-m", f"tests.bench.drivers.{name}"),
            *(str(folder / "job.json"), str(target.file)),
        )

    def steps(target: places.Target) -> Sequence[str]:
        return (
            *("sh", str(DRIVERS / "steps.sh"), str(folder / "job.txt"), target.host),
            *(str(target.port), target.node.user, str(target.node.identity_file)),
            str(target.known_hosts),
        )

    def pyinfra(target: places.Target) -> Sequence[str]:
        inventory = place.folder / f"inventory_{target.port}.py"
        data = {
            "ssh_port": target.port,
            "ssh_user": target.node.user,
            "ssh_key": str(target.node.identity_file),
            "ssh_known_hosts_file": str(target.known_hosts),
            "ssh_strict_host_key_checking": "yes",
            "ssh_allow_agent": False,
            "ssh_look_for_keys": False,
            "job_file": str(folder / "job.json"),
        }
        inventory.write_text(f"hosts = [({target.host!r}, {data!r})]\n")
        return (str(found.bin / "pyinfra"), "-y", str(inventory), str(DRIVERS / "deploy.py"))

    def ansible(target: places.Target) -> Sequence[str]:
        inventory = place.folder / f"inventory-{target.port}.ini"
        inventory.write_text(
            f"bench ansible_host={target.host} ansible_port={target.port} "
            f"ansible_user={target.node.user} "
            f"ansible_ssh_private_key_file={target.node.identity_file}\n"
        )
        return (
            *(str(found.bin / "ansible-playbook"), "-i", str(inventory)),
            *("--extra-vars", f"@{folder / 'job.json'}", str(DRIVERS / "playbook.yml")),
        )

    def at_most(limit: float) -> figures.Aim:
        return figures.Aim(comparison="<=", limit=limit, of="ratio")

    return [
        Tool(name=figures.ELYSIUM, command=driver("elysium"), environ=plain),
        Tool(
            name="paramiko, batched (floor)",
            command=driver("floor"),
            environ=plain,
            aim=at_most(1.2),
        ),
        Tool(
            name="ssh and scp, step by step",
            command=steps,
            environ=plain,
            aim=figures.Aim(comparison="<", limit=1, of="ratio"),
        ),
        Tool(
            name="pyinfra",
            command=pyinfra,
            environ=plain,
            aim=at_most(0.4),
            problem=found.problem,
        ),
        Tool(
            name="ansible-core, pipelining",
            command=ansible,
            environ=lambda target: peers.ansible_environment(home, target.known_hosts, sockets),
            aim=at_most(0.1),
            after=lambda: peers.end_masters(sockets),
            problem=no_python,
        ),
    ]

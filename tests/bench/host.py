"""The host part of a run: the same job by elysium, by hand, and by other tools."""

from __future__ import annotations

import pathlib
import statistics
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
_GOES = {NO_OP: 3, EDIT: 1, SLOW: 2}
"""How often a phase is run in a round, by the tools that are not `Tool.slow`."""

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
    slow: bool = False


def run(table: figures.Table, rounds: int, say: Callable[[str], None]) -> None:
    """Measure `rounds` rounds of all tools; the order turns by one each round.

    Raises:
        machine.Failed: when the node itself fails.
    """
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
            runs = _Runs(table=table, place=place, folder=folder)
            say(f"host part: round {number + 1} of {rounds}")
            runs.first(turned, 10 * number)
            for phase in (NO_OP, EDIT, SLOW):
                runs.phase(turned, phase, 10 * number)


@dataclass(kw_only=True)
class _Runs:
    """One round: each phase by all tools before the next, so that ratios are of neighbours.

    All of them end in the same state, which is looked at after each, so that any
    may go on from any other's. What failed once is left out of the round.
    """

    table: figures.Table
    place: places.Place
    folder: pathlib.Path
    state: str = ""
    failed: dict[str, str] = field(default_factory=dict[str, str])

    def first(self, tools: list[Tool], generation: int) -> None:
        """Let each do the job on a node without anything of it."""
        job.edit(self.folder, generation)
        able = [tool for tool in tools if not tool.problem]
        for tool in tools:
            if tool in able:
                _at(self.place, job.reset())
            self._add(tool, FIRST, [self._measure(tool, FIRST)])
        done = [tool for tool in able if tool.name not in self.failed]
        if done and done[-1] is not able[-1]:
            self._measure(done[0], FIRST)  # the others are to find the job done

    def phase(self, tools: list[Tool], phase: str, generation: int) -> None:
        """Let each run again; the median of a tool's goes is its value of the round."""
        goes: dict[str, list[machine.Ran | None]] = {tool.name: [] for tool in tools}
        for go in range(_GOES[phase]):
            for number, tool in enumerate(tools, 1):
                if go and tool.slow:
                    continue
                if phase == EDIT:
                    job.edit(self.folder, generation + number)
                goes[tool.name].append(self._measure(tool, phase))
        for tool in tools:
            self._add(tool, phase, goes[tool.name])

    def _add(self, tool: Tool, phase: str, goes: list[machine.Ran | None]) -> None:
        series = self.table.series(phase, tool.name)
        done = [ran for ran in goes if ran is not None]
        if len(done) < len(goes):
            series.lost(self.failed[tool.name])
            return
        seconds = statistics.median(ran.seconds for ran in done)
        series.add(seconds, max(ran.memory for ran in done))

    def _measure(self, tool: Tool, phase: str) -> machine.Ran | None:
        if tool.problem:
            self.failed[tool.name] = tool.problem
        if tool.name in self.failed:
            return None
        target = self.place.slow if phase == SLOW else self.place.direct
        before = self.state
        try:
            try:
                ran = machine.measure(
                    tool.command(target), environ=tool.environ(target), folder=self.place.folder
                )
            finally:
                tool.after()
                self.state = _at(self.place, job.look())
            _verify(tool, phase, before, self.state, self.folder)
        except machine.Failed as error:
            self.failed[tool.name] = str(error)
            return None
        return ran


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
            slow=True,
        ),
    ]

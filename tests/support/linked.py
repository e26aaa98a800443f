"""Whole commands whose connections pass through proxies that do harm, phase by phase.

``python -m tests.support.linked READ:WRITE ARGS…`` is elysium, which tells over a pipe when a
phase begins and ends, and waits until it may go on. `Links` runs it, and decides at each phase
which connection fails from there on, and how. A phase is what the command does then: the call
of a provider, the step of a backup or a restore.

A fault that touched no byte and no connection until the next phase is the same as one that
begins there, so the run goes on with the next one. A phase that changed something although it
met a fault is cut off before that is recorded, and done again with the next fault.

The times of elysium are shortened, so that the runs end soon: `SHORT` says to what.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import os
import pathlib
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from tests.support import faultproxy
from tests.support import lab as labs

MODES: Final[tuple[faultproxy.Mode, ...]] = ("stall", "reset", "slow", "garble")
SHORT: Final = {"ping": 0.5, "silence": 5.0, "ask": 3.0, "answer": 10.0, "stall": 5.0, "login": 20}
REQUEST: Final = 5.0
"""Seconds of a request to an API here."""
LATE: Final = 300.0
"""Seconds in which every phase ends: the longest of its waits, and a loaded machine's."""
_CHANGES: Final = ("create ", "update ", "restore ")
"""Phases that are done only once, unless they are cut off at their end."""
CUT: Final = 120
"""The status of a run that was cut off at the end of a phase."""
_ROOT = pathlib.Path(__file__).parents[2]


@dataclass(frozen=True, kw_only=True)
class Fault:
    """What happened to which connection, from which phase on."""

    phase: str
    link: str
    mode: faultproxy.Mode


@dataclass(frozen=True, kw_only=True)
class Ended:
    """A run, its phases in their order, the faults that touched it, and how long it took.

    `cut`: it was cut off at the end of a phase that other faults are to meet, too.
    `tried`: it began a fault, also if none touched it.
    """

    done: labs.Done
    phases: tuple[str, ...]
    faults: tuple[Fault, ...]
    cut: bool
    tried: bool
    seconds: float

    @property
    def text(self) -> str:
        """All that was printed."""
        return self.done.stdout + self.done.stderr


@dataclass(kw_only=True)
class Links:
    """The proxies by name, and which faults were met so far.

    With `every` false a phase that changes something meets one fault, another one than the
    phase before it. With `every` each phase meets one fault of each connection that it uses,
    and those that begin with one of `whole` meet all of them.
    """

    proxies: Mapping[str, faultproxy.Proxy]
    """In the order of the faults. What is done behind sshd is done again most easily."""
    every: bool = False
    whole: tuple[str, ...] = ()
    met: set[Fault] = field(default_factory=set[Fault])
    order: list[str] = field(default_factory=list[str])
    """The phases as they came first."""
    used: set[tuple[str, str]] = field(default_factory=set[tuple[str, str]])
    """Phases, and links that something passed in them: what was done needs less again."""

    def run(self, lab: labs.Lab, *args: str, **environ: str) -> Ended:
        """Run ``elysium ARGS`` with the next faults, which are gone at its end."""
        told, tell = os.pipe()
        allowed, allow = os.pipe()
        began = time.monotonic()
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.support.linked", f"{allowed}:{tell}", *args],
            cwd=lab.folder,
            env=lab.environ | environ | {"PYTHONPATH": str(_ROOT)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            stdin=subprocess.DEVNULL,
            text=True,
            pass_fds=(allowed, tell),
        )
        os.close(allowed)
        os.close(tell)
        run = _Run(self)

        def follow() -> None:
            with os.fdopen(told) as lines, os.fdopen(allow, "w") as answers:
                for line in lines:
                    word, _, phase = line.strip().partition(" ")
                    answer = run.begins(phase) if word == "begin" else run.ends(phase)
                    answers.write(answer + "\n")
                    answers.flush()

        follower = threading.Thread(target=follow, daemon=True)
        follower.start()
        try:
            while True:
                left = run.moved + LATE - time.monotonic()
                with contextlib.suppress(subprocess.TimeoutExpired):
                    stdout, stderr = process.communicate(timeout=max(left, 1))
                    break
                if time.monotonic() > run.moved + LATE:
                    raise AssertionError(f"it does not end: {run.phases[-1]}, {run.faults}")
        finally:
            process.kill()
            process.wait()
            run.over()
        follower.join(10)
        done = labs.Done(args=args, status=process.returncode, stdout=stdout, stderr=stderr)
        return Ended(
            done=done,
            phases=tuple(run.phases),
            faults=tuple(run.faults),
            cut=process.returncode == CUT,
            tried=run.tried,
            seconds=time.monotonic() - began,
        )

    def left(self, phase: str) -> list[Fault]:
        """Return the faults that the phase has yet to meet."""
        if phase not in self.order:
            self.order.append(phase)
        number = self.order.index(phase)
        reads = phase.startswith(("diff ", "read ", "preview "))
        if not self.every:
            # 7: the link and the mode change each time
            every = [
                Fault(phase=phase, link=link, mode=mode) for mode in MODES for link in self.proxies
            ]
            chosen = [] if reads else [every[number * 7 % len(every)]]
        else:
            modes = MODES if phase.startswith(self.whole) else (MODES[number % len(MODES)],)
            chosen = [
                Fault(phase=phase, link=link, mode=mode) for link in self.proxies for mode in modes
            ]
        return [fault for fault in chosen if fault not in self.met]


class _Run:
    """The faults of one run, from phase to phase. A phase within a step ends before the step."""

    def __init__(self, links: Links) -> None:
        self._links = links
        self._traffic: dict[str, dict[str, int]] = {}
        self._now: Fault | None = None
        self._guard = threading.Lock()
        self.phases: list[str] = []
        self.faults: list[Fault] = []
        self.tried = False
        self.moved = time.monotonic()

    def begins(self, phase: str) -> str:
        with self._guard:
            self.moved = time.monotonic()
            self.phases.append(phase)
            self._settle()
            self._traffic[phase] = self._passed()
            if self._now is None:
                self._begin(phase)
            return "go on"

    def ends(self, phase: str) -> str:
        """Heal what the phase survived; answer whether the run is cut off here."""
        with self._guard:
            self.moved = time.monotonic()
            self._settle()
            met = self._now
            if met is not None and met.phase == phase:
                self._links.proxies[met.link].heal()
                self._now = None
            self._count()
            del self._traffic[phase]
            left = self._links.left(phase)
            unused = {fault for fault in left if (phase, fault.link) not in self._links.used}
            self._links.met |= unused
            again = phase.startswith(self._links.whole) and phase.startswith(_CHANGES)
            return "cut" if again and self._links.every and set(left) - unused else "go on"

    def over(self) -> None:
        with self._guard:
            self._settle()
            self._count()
            for proxy in self._links.proxies.values():
                proxy.heal()

    def _begin(self, phase: str) -> None:
        fault = next(iter(self._links.left(phase)), None)
        if fault is None:
            return
        self._links.met.add(fault)
        self.tried = True
        self._now = fault
        self.faults.append(fault)
        rate = 2000.0 if fault.link == "github" else 20.0
        self._links.proxies[fault.link].harm(fault.mode, rate=rate)

    def _settle(self) -> None:
        """Take back a fault that touched nothing so far."""
        if self._now is not None and not self._links.proxies[self._now.link].touched:
            self._links.proxies[self._now.link].heal()
            self.faults.remove(self._now)
            self._now = None

    def _count(self) -> None:
        """Note which links the phases under way have used."""
        now = self._passed()
        for phase, before in self._traffic.items():
            self._links.used |= {(phase, link) for link in now if now[link] != before[link]}

    def _passed(self) -> dict[str, int]:
        proxies = self._links.proxies.items()
        return {name: proxy.up + proxy.down + proxy.connections for name, proxy in proxies}


# -- the child ---------------------------------------------------------------


class _Teller:
    def __init__(self, allowed: int, tell: int) -> None:
        self._allowed, self._tell = os.fdopen(allowed), os.fdopen(tell, "w")
        self._guard = threading.Lock()

    def begins(self, name: str) -> None:
        """Tell that a phase begins, and wait for the word to go on."""
        self._ask(f"begin {name}")

    def ends(self, name: str) -> None:
        """Tell that a phase ended without an error; end here if that is the answer."""
        if self._ask(f"end {name}") == "cut":
            os._exit(CUT)

    def _ask(self, line: str) -> str:
        with self._guard:
            print(line, file=self._tell, flush=True)
            return self._allowed.readline().strip()


def _shorten() -> None:
    from provision.github import api, repository, transport
    from provision.host import limits
    from provision.kube import client, objects, wire

    for name, seconds in SHORT.items():
        object.__setattr__(limits.DEFAULT, name, seconds)
    for function in (api.Api.__init__, repository.Repository.open.__func__):
        function.__kwdefaults__["deadline"] = 2 * REQUEST
    transport.REQUEST_TIME, transport.READ_TIMEOUT = REQUEST, int(REQUEST)
    client.KubeClient.__init__.__kwdefaults__["timeout"] = REQUEST
    wire.BODY_TIME = REQUEST
    objects._RETRY_FOR = 2 * REQUEST


def _wrap_providers(tell: _Teller) -> None:
    from provision.kube import provider as kubernetes
    from provision.provider import pulumi_provider

    def wrapped(name: str, call: Any) -> Any:
        @functools.wraps(call)
        async def told(self: Any, request: Any) -> Any:
            kind, _, label = str(request.urn).rpartition("::")
            phase = f"{name} {kind.rpartition('::')[2].rpartition('$')[2]} {label}"
            if getattr(request, "preview", False):
                phase = f"preview {phase}"
            tell.begins(phase)
            answer = await call(self, request)
            tell.ends(phase)
            return answer

        return told

    for owner in (kubernetes.KubernetesProvider, pulumi_provider.ElysiumProvider):
        for name in ("diff", "create", "update", "read", "delete"):
            setattr(owner, name, wrapped(name, getattr(owner, name)))


def _wrap_steps(tell: _Teller) -> None:
    from provision.recovery import journal
    from provision.recovery.backup import backup

    def watched(step: backup.Step) -> backup.Step:
        def do(work: backup.Work) -> None:
            tell.begins(f"backup {step.name}")
            step.do(work)
            tell.ends(f"backup {step.name}")

        return dataclasses.replace(step, do=do)

    backup.STEPS = tuple(map(watched, backup.STEPS))  # type: ignore[misc]
    original = journal.Keeper.carry_out

    def carry_out(self: journal.Keeper, step: str, do: Callable[[], None]) -> bool:
        def told() -> None:
            tell.begins(f"restore {step}")
            do()
            tell.ends(f"restore {step}")

        return original(self, step, told)

    journal.Keeper.carry_out = carry_out  # type: ignore[method-assign]


def main(pipe: str, args: Iterable[str]) -> int:
    """Run ``elysium ARGS``, telling its phases."""
    from provision.cli import main as cli

    allowed, _, tell = pipe.partition(":")
    teller = _Teller(int(allowed), int(tell))
    _shorten()
    _wrap_providers(teller)
    _wrap_steps(teller)
    teller.begins("start")
    return cli.main(list(args))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))

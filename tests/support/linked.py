"""Whole commands whose connections pass through proxies that do harm, phase by phase.

``python -m tests.support.linked READ:WRITE ARGS…`` is elysium, which tells over a pipe when a
phase begins, and waits until it may go on. `Links` runs it, and decides at each phase which
connection fails from there on, and how. A phase is what the command does then: the call of a
provider, the step of a backup or a restore. Each phase meets each fault in a run of its own.

The times of elysium are shortened, so that the runs end soon: `SHORT` says to what.
"""

from __future__ import annotations

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
"""Seconds in which every run ends: the longest of its waits, and a loaded machine's."""
_ROOT = pathlib.Path(__file__).parents[2]


@dataclass(frozen=True, kw_only=True)
class Fault:
    """What happened to which connection, from which phase on."""

    phase: str
    link: str
    mode: faultproxy.Mode


@dataclass(frozen=True, kw_only=True)
class Ended:
    """A run, its phases in their order, its fault if it met one, and how long it took."""

    done: labs.Done
    phases: tuple[str, ...]
    fault: Fault | None
    seconds: float

    @property
    def text(self) -> str:
        """All that was printed."""
        return self.done.stdout + self.done.stderr


@dataclass(kw_only=True)
class Links:
    """The proxies by name, and which faults were met so far.

    With `every` false a phase that changes something meets one fault, another one than the
    phase before it.
    """

    proxies: Mapping[str, faultproxy.Proxy]
    every: bool = False
    met: list[Fault] = field(default_factory=list[Fault])

    def run(self, lab: labs.Lab, *args: str, **environ: str) -> Ended:
        """Run ``elysium ARGS`` with the next fault, which is gone at its end."""
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
        phases: list[str] = []
        faults: list[Fault] = []

        def follow() -> None:
            with os.fdopen(told) as lines, os.fdopen(allow, "w") as answers:
                for line in lines:
                    phases.append(line.strip())
                    if not faults and (fault := self._next(phases[-1])) is not None:
                        faults.append(fault)
                        self.met.append(fault)
                        proxy = self.proxies[fault.link]
                        proxy.rate = 2000.0 if fault.link == "github" else 20.0
                        proxy.mode = fault.mode
                    answers.write("\n")
                    answers.flush()

        follower = threading.Thread(target=follow, daemon=True)
        follower.start()
        try:
            stdout, stderr = process.communicate(timeout=LATE)
        finally:
            process.kill()
            process.wait()
            for proxy in self.proxies.values():
                proxy.heal()
        follower.join(10)
        done = labs.Done(args=args, status=process.returncode, stdout=stdout, stderr=stderr)
        return Ended(
            done=done,
            phases=tuple(phases),
            fault=faults[0] if faults else None,
            seconds=time.monotonic() - began,
        )

    def _next(self, phase: str) -> Fault | None:
        every = [
            Fault(phase=phase, link=link, mode=mode) for mode in MODES for link in self.proxies
        ]
        if self.every:
            return next((fault for fault in every if fault not in self.met), None)
        if phase.startswith(("diff ", "read ")) or any(fault.phase == phase for fault in self.met):
            return None
        return every[len(self.met) * 7 % len(every)]  # 7: the link and the mode change each time


# -- the child ---------------------------------------------------------------


class _Teller:
    def __init__(self, allowed: int, tell: int) -> None:
        self._allowed, self._tell = os.fdopen(allowed), os.fdopen(tell, "w")
        self._guard = threading.Lock()

    def phase(self, name: str) -> None:
        """Tell that a phase begins, and wait for the word to go on."""
        with self._guard:
            print(name, file=self._tell, flush=True)
            self._allowed.readline()


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


def _wrap_providers(tell: Callable[[str], None]) -> None:
    from provision.kube import provider as kubernetes
    from provision.provider import pulumi_provider

    def wrapped(name: str, call: Any) -> Any:
        @functools.wraps(call)
        async def told(self: Any, request: Any) -> Any:
            kind, _, label = str(request.urn).rpartition("::")
            tell(f"{name} {kind.rpartition('::')[2].rpartition('$')[2]} {label}")
            return await call(self, request)

        return told

    for owner in (kubernetes.KubernetesProvider, pulumi_provider.ElysiumProvider):
        for name in ("diff", "create", "update", "read", "delete"):
            setattr(owner, name, wrapped(name, getattr(owner, name)))


def _wrap_steps(tell: Callable[[str], None]) -> None:
    from provision.recovery import journal
    from provision.recovery.backup import backup

    def watched(step: backup.Step) -> backup.Step:
        def do(work: backup.Work) -> None:
            tell(f"backup {step.name}")
            step.do(work)

        return dataclasses.replace(step, do=do)

    backup.STEPS = tuple(map(watched, backup.STEPS))  # type: ignore[misc]
    original = journal.Keeper.carry_out

    def carry_out(self: journal.Keeper, step: str, do: Callable[[], None]) -> bool:
        def told() -> None:
            tell(f"restore {step}")
            do()

        return original(self, step, told)

    journal.Keeper.carry_out = carry_out  # type: ignore[method-assign]


def main(pipe: str, args: Iterable[str]) -> int:
    """Run ``elysium ARGS``, telling its phases."""
    from provision.cli import main as cli

    allowed, _, tell = pipe.partition(":")
    teller = _Teller(int(allowed), int(tell))
    _shorten()
    _wrap_providers(teller.phase)
    _wrap_steps(teller.phase)
    teller.phase("start")
    return cli.main(list(args))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))

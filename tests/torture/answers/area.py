"""The area: jobs at the sandbox's forge, each with one answer spoiled."""

from __future__ import annotations

import atexit
import contextlib
import functools
import itertools
import re
import tempfile
import traceback
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from provision import config, errors
from provision.github import repository
from provision.sandbox.forge import client, control
from provision.secret import Secret
from tests.support import hostile
from tests.torture import cases
from tests.torture.answers import kinds, spoiler
from tests.torture.answers.jobs import JOBS, SEEDED, Job, key_of

DEADLINE = 3.0
"""Seconds that a job tries again for: GitHub's deadline is a minute."""
_numbers = itertools.count(1)


@functools.cache
def _forge() -> client.Forge:
    """Return a forge that runs as long as this process."""
    stack = contextlib.ExitStack()
    atexit.register(stack.close)
    folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="torture-forge-"))
    return stack.enter_context(control.start_forge(Path(folder) / "root"))


@dataclass(frozen=True)
class _Case:
    job: str
    kind: str
    number: int
    seed: int

    @property
    def title(self) -> str:
        return f"{self.job}: {self.kind}"

    def run(self, folder: Path) -> cases.Outcome:
        forge = _forge().with_repository(f"torture-{next(_numbers)}")
        job = JOBS[self.job]
        if job.seeded:
            forge.seed_repository(SEEDED)
        key = key_of(forge.info.repository)
        if self.job == "remove the keys":
            forge.register_key(key)
        with (
            spoiler.before(forge.info.api) as server,
            hostile.serve(lambda method, path: hostile.reply({"full_name": "x/y"})) as other,
        ):
            said = self._attack(forge, job, key, server, other)
        texts = [f"  {self.title}, the call {self._called(server)}: {text}" for text in said]
        return cases.Outcome(
            tries=1,
            failures=tuple(
                cases.Failure(kind=f"{self.title}: {_first(text)}", text=whole)
                for text, whole in zip(said, texts, strict=True)
            ),
        )

    def _called(self, server: spoiler.Spoiler) -> str:
        return server.calls[server.at] if server.at < len(server.calls) else "none"

    def _attack(
        self,
        forge: client.Forge,
        job: Job,
        key: str,
        server: spoiler.Spoiler,
        other: hostile.Server,
    ) -> list[str]:
        chance = cases.chance(self.seed, "answers", self.number)
        # Jobs have two to nine calls; a number beyond the last one spoils nothing.
        server.at = chance.randrange(1, 9) - 1
        # 204 is what a removal is answered with: no client can tell that it was not done.
        server.unheard = chance.random() < 0.3 and "204" not in self.kind
        told = kinds.Spoiling(chance=chance, elsewhere=other.url)
        server.spoil = lambda right: kinds.KINDS[self.kind](right, told)
        failures: list[str] = []
        try:
            result = _run(forge, job, key, server)
        except errors.ElysiumError as error:
            named = server.host in str(error) or forge.slug in str(error)
            failures += [] if named else [f"the error does not name the server: {error}"]
        except Exception:  # noqa: BLE001 - this is what is looked for
            failures.append(traceback.format_exc(limit=-4))
        else:
            # An empty list is what GitHub answers for nothing: no client can tell a wrong one.
            wrong = "" if self.kind == "an empty list" else job.wrong(forge, key, result)
            failures += [f"it was reported as done: {wrong}"] if wrong else []
        if other.tokens:
            failures.append("another server got a token")
        server.spoil = None
        try:
            wrong = job.wrong(forge, key, _run(forge, job, key, server))
            failures += [f"after it was run again: {wrong}"] if wrong else []
        except Exception as error:  # noqa: BLE001 - it has to go well
            failures.append(f"run again, it ends with {type(error).__name__}: {error}")
        return failures


def _run(forge: client.Forge, job: Job, key: str, server: spoiler.Spoiler) -> Any:
    cfg = config.GitHub(
        owner=forge.info.owner,
        repository=forge.info.repository,
        base_url=server.url,
        allow_http=True,
        ssh_host=forge.info.ssh_host,
        ssh_port=forge.info.ssh_port,
    )
    repo = repository.Repository.open(cfg, Secret(forge.token().reveal()), deadline=DEADLINE)
    try:
        return job.do(repo, key)
    finally:
        repo.close()


def _first(text: str) -> str:
    """Return one line that is the same for the same fault: without numbers."""
    line = text.strip().splitlines()[-1] if text.startswith("Traceback") else text.splitlines()[0]
    return re.sub(r"[0-9a-f]{6,}|\d+", "N", line)[:120]


@dataclass(frozen=True)
class _Answers:
    name: str = "answers"
    counts: str = "answers"

    def case(self, seed: int, number: int) -> cases.Case:
        chance = cases.chance(seed, self.name, -1 - number)
        job = chance.choice(sorted(JOBS))
        # Each kind in turn: a short run meets all of them.
        kind = sorted(kinds.KINDS)[(seed + number) % len(kinds.KINDS)]
        return _Case(job, kind, number, seed)


AREA = _Answers()

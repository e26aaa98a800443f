"""The area: one parser and a hundred inputs a case; what failed goes into the corpus."""

from __future__ import annotations

import contextlib
import hashlib
from dataclasses import dataclass
from pathlib import Path

import hypothesis
from hypothesis import HealthCheck, Phase, Verbosity

from tests.torture import cases
from tests.torture.fuzz import inputs, targets
from tests.torture.fuzz.target import Target, attempt

CORPUS = Path(__file__).parents[1] / "corpus"


class _WrongError(Exception):
    """The input failed."""


@dataclass(frozen=True)
class _Case:
    target: Target
    seed: int

    @property
    def title(self) -> str:
        return f"{self.target.inputs} inputs for {self.target.name}"

    def run(self, folder: Path) -> cases.Outcome:
        tries = 0
        last: list[tuple[cases.Failure, bytes]] = []

        def check(data: bytes) -> None:
            nonlocal tries
            tries += 1
            failure = attempt(self.target, data, folder)
            if failure is not None:
                last.append((failure, data))
                raise _WrongError(failure.kind)

        settings = hypothesis.settings(
            max_examples=self.target.inputs,
            database=None,
            deadline=None,
            phases=(Phase.generate, Phase.shrink),
            suppress_health_check=list(HealthCheck),
            verbosity=Verbosity.quiet,
            report_multiple_bugs=False,
            print_blob=False,
        )
        given = hypothesis.given(inputs.strategy(self.target))(check)
        # Flaky: an input that is slow once and quick the next time is still a failure.
        with contextlib.suppress(_WrongError, hypothesis.errors.Flaky):
            hypothesis.seed(self.seed)(settings(given))()
        if not last:
            return cases.Outcome(tries=tries)
        failure, data = last[-1]  # the smallest: hypothesis runs it last
        text = f"{failure.text}\n  kept as {keep(self.target, data)}: commit it with the repair"
        return cases.Outcome(tries=tries, failures=(cases.Failure(kind=failure.kind, text=text),))


@dataclass(frozen=True)
class _Fuzz:
    name: str = "fuzz"
    counts: str = "inputs"

    def case(self, seed: int, number: int) -> cases.Case:
        chance = cases.chance(seed, self.name, number)
        # Each parser in turn: a short run meets all of them.
        target = targets.ALL[(seed + number) % len(targets.ALL)]
        return _Case(target, chance.getrandbits(32))


AREA = _Fuzz()


def keep(target: Target, data: bytes) -> Path:
    """Put `data` into the corpus; return where it is."""
    path = CORPUS / target.name / hashlib.sha256(data).hexdigest()[:12]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def kept() -> list[tuple[Target, Path]]:
    """Return the corpus: the inputs that once failed, each with its parser."""
    named = {target.name: target for target in targets.ALL}
    return [(named[path.parent.name], path) for path in sorted(CORPUS.glob("*/*"))]

"""How a rehearsal ended: for machines, for a page, for the exit status."""

from __future__ import annotations

import pydantic

from provision.recovery import journal
from provision.recovery.bundle import manifest


class Step(manifest.Model):
    """One step. `at` is seconds since the beginning; `failed` says why it did not end well."""

    name: str
    does: str
    at: float
    seconds: float
    failed: str = ""


class Sealed(manifest.Model):
    """One SealedSecret of the repository, and whether the backup's keys open it."""

    name: str
    opens: bool


class Part(manifest.Model):
    """One part of the sandbox, and what it is."""

    part: str
    what: str


class Outcome(manifest.Model):
    """A rehearsal. `problems` are what failed; `notes` what should be known."""

    schema_version: pydantic.StrictInt = pydantic.Field(default=1, alias="schema")
    cluster: str
    file: str
    made: str
    """When the backup was made."""
    age_seconds: float
    """How old the backup's data was when the rehearsal began."""
    began: str
    mode: journal.Mode
    commit: str = ""
    """The repository's head."""
    recovery_seconds: float = 0.0
    """What the restore itself took."""
    seconds: float = 0.0
    """What all of it took, with making the sandbox."""
    steps: tuple[Step, ...] = ()
    sealed_secrets: tuple[Sealed, ...] = ()
    kustomizations: int = 0
    ready: int = 0
    secrets: int = 0
    equal: int = 0
    problems: tuple[str, ...] = ()
    losses: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    real: tuple[Part, ...] = ()
    stood_in: tuple[Part, ...] = ()

    @property
    def passed(self) -> bool:
        """Whether everything that ran ended well."""
        return not self.problems

    @property
    def name(self) -> str:
        """What the report's files are called, without their suffix."""
        stamp = self.began.replace("-", "").replace(":", "")
        return f"drill-{self.cluster}-{stamp}"

    def dump(self) -> bytes:
        """Return the outcome as JSON."""
        text = self.model_dump_json(by_alias=True, indent=1)
        return text.replace("{\n", f'{{\n "passed": {str(self.passed).lower()},\n', 1).encode()

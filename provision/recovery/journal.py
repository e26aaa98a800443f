"""How far a restore came: a small file beside the state, written whole at each step.

No secret is in it. A run that was cut off anywhere leaves a file that says
which steps are done; the next run of the same backup goes on after them. The
ends of earlier ones stay, so that the next can say how long it took.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable
from pathlib import Path
from typing import Final, Literal

import pydantic

from provision import errors
from provision.fileio import atomic
from provision.recovery.bundle import manifest

Mode = Literal["rebuild", "datastore"]
SCHEMA: Final = 1
_KEPT: Final = 20


class Done(manifest.Model):
    """One step that is done."""

    step: str
    seconds: float


class Run(manifest.Model):
    """One restore. `bundle` is the sha256 of its file; `finished` empty until its end."""

    cluster: str
    bundle: str
    file: str
    created: str
    """When the backup was made."""
    mode: Mode
    host: str
    port: int
    began: str
    done: tuple[Done, ...] = ()
    finished: str = ""

    def same(self, other: Run) -> bool:
        """Return whether `other` is the same restore: of the same file, so, to the same node."""
        return all(
            getattr(self, name) == getattr(other, name)
            for name in ("bundle", "mode", "host", "port")
        )

    @property
    def steps(self) -> tuple[str, ...]:
        """The names of the steps that are done."""
        return tuple(each.step for each in self.done)

    @property
    def seconds(self) -> float:
        """What the steps took together."""
        return sum(each.seconds for each in self.done)


class Journal(manifest.Model):
    """All restores of a stack in one folder; the one under way is the last."""

    schema_version: pydantic.StrictInt = pydantic.Field(default=SCHEMA, alias="schema")
    runs: tuple[Run, ...] = ()

    @property
    def open(self) -> Run | None:
        """The restore that did not come to its end."""
        return self.runs[-1] if self.runs and not self.runs[-1].finished else None

    @property
    def last(self) -> Run | None:
        """The newest that came to its end."""
        return next((run for run in reversed(self.runs) if run.finished), None)

    def having(self, run: Run) -> Journal:
        """Return the journal with `run` as the one under way, or at its end."""
        before = self.runs[:-1] if self.open is not None else self.runs
        return Journal(runs=(*before[-_KEPT + 1 :], run))


def path_of(root: Path, cluster: str) -> Path:
    """Return where the journal of `cluster` is, in the project's folder `root`."""
    return root / ".elysium" / f"restore-{cluster}.json"


def load(root: Path, cluster: str) -> Journal:
    """Return the journal; an empty one where there is none.

    Raises `errors.ElysiumError` for one that cannot be read: what was done is
    not known then, and doing a step twice could undo what came after it.
    """
    path = path_of(root, cluster)
    try:
        found = Journal.model_validate_json(path.read_bytes(), by_alias=True, by_name=False)
        if found.schema_version > SCHEMA:
            raise ValueError("it was written by a newer elysium")
        return found
    except FileNotFoundError:
        return Journal()
    except (OSError, ValueError) as error:
        raise errors.ElysiumError(
            f"the record of restores cannot be read: {path}",
            detail=str(error).partition("\n")[0],
            hint="with --anew it is set aside, and the restore begins at its first step",
        ) from error


def save(root: Path, cluster: str, found: Journal) -> None:
    """Write the journal, whole."""
    text = found.model_dump_json(by_alias=True, indent=1)
    atomic.write(path_of(root, cluster), text.encode() + b"\n")


def set_aside(root: Path, cluster: str) -> None:
    """Put a journal that cannot be read out of the way."""
    path = path_of(root, cluster)
    if path.exists():
        path.replace(path.with_name(path.name + ".broken"))


class Keeper:
    """Notes the steps of one run as they are done."""

    def __init__(self, root: Path, cluster: str, run: Run) -> None:
        self._root, self._cluster = root, cluster
        self.run = run

    def begin(self) -> None:
        """Note that the run is under way."""
        self._write()

    def carry_out(self, step: str, do: Callable[[], None]) -> bool:
        """Do the step unless it is done; return whether it was done now."""
        if step in self.run.steps:
            return False
        began = datetime.datetime.now(datetime.UTC)
        do()
        took = (datetime.datetime.now(datetime.UTC) - began).total_seconds()
        done = (*self.run.done, Done(step=step, seconds=round(took, 2)))
        self.run = self.run.model_copy(update={"done": done})
        self._write()
        return True

    def end(self) -> None:
        """Note that it came to its end."""
        self.run = self.run.model_copy(update={"finished": manifest.now()})
        self._write()

    def _write(self) -> None:
        save(self._root, self._cluster, load(self._root, self._cluster).having(self.run))

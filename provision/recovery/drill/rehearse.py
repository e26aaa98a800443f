"""A restore from a real backup and the real repository, into a sandbox.

The repository is read at its head, and nothing else outside is asked for
anything; the sandbox's network leads nowhere. The caller brings the sandbox.
"""

from __future__ import annotations

import contextlib
import datetime
import time
from collections.abc import Generator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from provision import errors
from provision.engine import api
from provision.operations import node_replace, repository
from provision.progress import Progress, silent
from provision.recovery import journal
from provision.recovery.backup import retention
from provision.recovery.bundle import archive, inventory, manifest, parts
from provision.recovery.drill import outcome, repoint, sandbox_config
from provision.recovery.drill.sandbox import Sandbox, Settings
from provision.recovery.restore import compare, report, scratch, workspace
from provision.recovery.restore import steps as restore_steps


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What is rehearsed: the bundle, its file's name, the mode, and whether the sandbox stays."""

    bundle: archive.Bundle
    file: str
    mode: journal.Mode = "rebuild"
    keep: bool = False
    root: Path | None = None
    """The folder of the stack, where the configuration names files relative to it."""


@dataclass(kw_only=True)
class _Clock:
    """Notes the steps. Entering `step` twice notes two."""

    progress: Progress
    began: float = field(default_factory=time.monotonic)
    steps: list[outcome.Step] = field(default_factory=list[outcome.Step])

    @contextlib.contextmanager
    def step(self, name: str, does: str) -> Generator[None]:
        self.progress(does)
        at = time.monotonic() - self.began
        failed = ""
        try:
            yield
        except errors.ElysiumError as error:
            failed = error.summary
            raise
        finally:
            self.note(name, does, at, time.monotonic() - self.began - at, failed)

    def note(self, name: str, does: str, at: float, seconds: float, failed: str = "") -> None:
        self.steps.append(
            outcome.Step(
                name=name, does=does, at=round(at, 2), seconds=round(seconds, 2), failed=failed
            )
        )


def rehearse(
    wanted: Wanted, sandbox: Sandbox, *, on_event: api.OnEvent, progress: Progress = silent
) -> outcome.Outcome:
    """Rehearse a restore in `sandbox`, and take it down again. What fails is in the outcome.

    With `wanted.keep` the sandbox stays up. Raises `errors.ElysiumError` only for
    what has nothing to do with the backup: no sandbox can be made on this machine.
    """
    described = wanted.bundle.manifest
    clock = _Clock(progress=progress)
    now = datetime.datetime.now(datetime.UTC)
    found: dict[str, Any] = {
        "cluster": described.cluster,
        "file": wanted.file,
        "made": described.created,
        "age_seconds": (now - retention.made(described.file_name)).total_seconds(),
        "began": manifest.now(),
        "mode": wanted.mode,
        "losses": described.excluded,
    }
    problems: list[str] = []
    try:
        with clock.step("sandbox", "start a sandbox"):
            sandbox.up(progress)
        try:
            given = sandbox.settings()
            found["real"] = tuple(outcome.Part(part=p.part, what=p.what) for p in given.real)
            found["stood_in"] = tuple(
                outcome.Part(part=p.part, what=p.what) for p in given.stood_in
            )
            found |= _restored(wanted, sandbox, given, clock, on_event, problems)
        except errors.ElysiumError as error:
            problems.append(str(error))
    finally:
        if not wanted.keep:
            sandbox.down(progress)
    ours = {step.name for step in restore_steps.STEPS[wanted.mode]}
    return outcome.Outcome(
        **found,
        steps=tuple(clock.steps),
        problems=tuple(problems),
        recovery_seconds=round(sum(s.seconds for s in clock.steps if s.name in ours), 2),
        seconds=round(time.monotonic() - clock.began, 2),
    )


def _restored(
    wanted: Wanted,
    sandbox: Sandbox,
    given: Settings,
    clock: _Clock,
    on_event: api.OnEvent,
    problems: list[str],
) -> dict[str, Any]:
    nowhere = node_replace.NewNode()
    with (
        clock.step("repository", "read the repository at its head"),
        workspace.opened(wanted.bundle, nowhere, ask=False, target=wanted.root) as real,
    ):
        cfg = real.stack.config
        repo = real.stack.live.github()
        head = repo.head(cfg.github.branch)
        files = repo.read_tree(head)

    def rewrite(text: str, encrypt: Any) -> str:
        return sandbox_config.configuration(text, encrypt, given)

    with (
        workspace.opened(wanted.bundle, nowhere, rewrite=rewrite, ask=False) as space,
        scratch.folder("drill") as target,
    ):
        ours = space.stack.config.github.git_url
        rewritten = sandbox_config.repository(files, cfg.source_url, ours)
        with clock.step("forge", "put the repository on the sandbox's forge"):
            sandbox.seed_repository(rewritten)
        with clock.step("report", "check what would be lost"):
            told = report.look(
                space, target, wanted.mode, host=given.node.host, progress=clock.progress
            )
        problems += [str(each) for each in (*told.hard, *told.soft)]
        found: dict[str, Any] = {
            "commit": head,
            "losses": (*told.losses, *(f"the Secret {each}" for each in told.secrets)),
            "notes": tuple(_notes(told, sandbox_config.sources(rewritten, ours), head, space)),
            "sealed_secrets": tuple(
                outcome.Sealed(name=each.name, opens=not each.why) for each in told.sealed
            ),
        }
        if told.hard:
            return found
        work = restore_steps.Work(
            space=space,
            target=target,
            listen=on_event,
            progress=clock.progress,
            lost=told.secrets,
            seeding=repository.Seeding.POSSIBLE,
            environ={"PULUMI_CONFIG_PASSPHRASE": space.passphrase.reveal()},
        )
        real_ones = (cfg.source_url, wanted.bundle.manifest.git.repository)
        compared = _steps(wanted, work, clock, problems, tuple(filter(None, real_ones)))
        if compared is not None:
            found |= {
                "kustomizations": compared.kustomizations,
                "ready": compared.ready,
                "secrets": compared.secrets,
                "equal": compared.equal,
                "notes": (*found["notes"], *(f"as expected: {each}" for each in compared.expected)),
            }
            problems += [f"missing: {each}" for each in compared.missing]
            problems += list(compared.different)
        return found


def _steps(
    wanted: Wanted,
    work: restore_steps.Work,
    clock: _Clock,
    problems: list[str],
    real: tuple[str, ...],
) -> compare.Comparison | None:
    """Take the restore's steps; return how the cluster differs from what it was.

    `real` are the real repository's addresses: a datastore holds them, and is
    turned away from them before anything of it runs. The result is None when a
    step before the comparison failed. `problems` then says why.
    """
    try:
        for step in restore_steps.STEPS[wanted.mode]:
            if step.do is restore_steps.k3s and wanted.mode == "datastore":
                with clock.step("turn", "turn the datastore towards the sandbox"):
                    repoint.turn(work, real)
            with clock.step(step.name, step.does):
                step.do(work)
    except errors.ElysiumError as error:
        # The comparison itself fails after it has noted each difference.
        if work.compared is None:
            problems.append(str(error))
    else:
        if work.compared is None:
            problems.append("the cluster was not compared with the backup")
    finally:
        work.close()
    return work.compared


def _notes(
    told: report.Report, others: tuple[str, ...], head: str, space: workspace.Workspace
) -> list[str]:
    was = inventory.load(space.bundle.read(parts.INVENTORY)).revision
    notes = [] if was.endswith(head) else [f"the repository moved on since the backup: {was}"]
    notes += [f"another repository, which a sandbox does not reach: {each}" for each in others]
    notes.append("the deploy key was the sandbox's own: the real one was not used")
    told_here = ("deploy key", "moved on")  # of the sandbox's forge, whose commits are its own
    return notes + [each for each in told.notes if not any(word in each for word in told_here)]

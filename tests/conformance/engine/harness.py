"""Runs a sequence under either engine, or in turns, and says what came of it, comparably."""

from __future__ import annotations

import contextlib
import json
import shutil
import sys
import tempfile
from collections.abc import Generator
from collections.abc import Sequence as Many
from pathlib import Path
from typing import Any, Literal

import corpus
import engine_plugin
import engine_programs
import engine_provider

from provision import crypter, errors
from provision.engine import api, events
from provision.engine.state import backend, checkpoint, integrity, journal, record, urns, values
from provision.secret import Secret

Kind = Literal["embedded", "upstream"]
PASSPHRASE = Secret("conformance")
SUPPORT = Path(engine_plugin.__file__).parent
Saved = dict[str, bytes]
MUTATING = ("create", "update", "delete")


class Runner:
    """One stack in a folder of its own."""

    def __init__(self, root: Path, sequence: corpus.Sequence) -> None:
        self.root = root
        self.sequence = sequence
        self.world = engine_plugin.FileWorld(root / "world.json")
        self.world.things = json.loads(json.dumps(sequence.start))
        self.world.save()
        self._plugin()

    def run(
        self, kinds: Many[Kind], *, begin: int = 0, saved: list[Saved] | None = None
    ) -> list[dict[str, Any]]:
        """Run the steps from `begin`, each under the engine given for it; say what came of each.

        `saved`, if given, gets what `save` returns after each.
        """
        found: list[dict[str, Any]] = []
        for step, kind in zip(self.sequence.steps[begin:], kinds, strict=True):
            found.append(self.step(step, kind))
            if saved is not None:
                saved.append(self.save())
        return found

    def save(self) -> Saved:
        """Return the stack and the world as they are."""
        state = self.root / "s"
        paths = [path for path in state.rglob("*") if path.is_file()]
        files = {str(path.relative_to(self.root)): path.read_bytes() for path in paths}
        # Alone: a thread of the engine may be at work on it.
        world = self.world.change((self.root / "world.json").read_bytes)
        return {**files, "world.json": world}

    def restore(self, saved: Saved) -> None:
        """Bring back what `save` returned."""
        shutil.rmtree(self.root / "s", ignore_errors=True)
        for name, data in saved.items():
            path = self.root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)

    def step(self, step: corpus.Step, kind: Kind) -> dict[str, Any]:
        """Run one step and return what came of it."""
        self._prepare(step)
        seen: list[events.Event] = []
        program = engine_programs.runnable(step.program) if step.program is not None else None
        options = api.Options(refresh=step.refresh, targets=step.targets, parallel=1)
        ended, outputs = "ok", {}
        try:
            method = getattr(self._engine(kind), step.operation)
            result = method(program, options=options, on_event=seen.append)
            outputs = {key: _exposed(value) for key, value in result.outputs.items()}
        except errors.ElysiumError:
            ended = "failed"
        self.world.load()
        return {
            "operation": step.operation,
            "ended": ended,
            "outputs": outputs if step.operation == "up" else {},
            "planned": _planned(seen, step) if ended == "ok" else {},
            **self._calls(),
            "things": self.world.things,
            "state": self._state(),
        }

    def place(self) -> backend.FileBackend:
        """Return where the stack's files lie."""
        return backend.FileBackend("file://./s", self.root, "proj", "dev")

    def _engine(self, kind: Kind) -> Any:
        ref = api.StackRef(root=self.root, project="proj", stack="dev", backend="file://./s")
        providers = {"mem": lambda: engine_provider.Memory(self.world)}
        engine: Any = api.open_engine(kind, ref, PASSPHRASE, providers)
        if kind == "upstream":
            engine.plugins = {"mem": self.root / "plugin"}
        return engine

    def _prepare(self, step: corpus.Step) -> None:
        self.world.load()
        for id_, change in step.drift.items():
            if change is None:
                self.world.things.pop(id_, None)
            elif id_ in self.world.things:
                self.world.things[id_].update(change)
        self.world.calls = []
        self.world.failures = list(step.fails)
        self.world.save()

    def _calls(self) -> dict[str, Any]:
        """Return the mutating calls, and the order of those whose resources are related."""
        calls = [f"{m} {n}" for m, n in self.world.calls if m in MUTATING]
        related = _related(self.sequence)
        order = [
            [first, second]
            for index, first in enumerate(calls)
            for second in calls[index + 1 :]
            if (first.split()[1], second.split()[1]) in related
        ]
        return {"calls": sorted(calls), "order": sorted(order)}

    def _plugin(self) -> None:
        folder = self.root / "plugin"
        folder.mkdir()
        script = folder / "pulumi-resource-mem"
        command = f"{sys.executable} {SUPPORT / 'engine_plugin.py'} {self.root / 'world.json'}"
        script.write_text(f'#!/bin/sh\nexec {command} "$@"\n')
        script.chmod(0o755)

    def _state(self) -> list[dict[str, Any]]:
        document = journal.load(self.place()).document
        if document is None:
            return []
        broken = integrity.check(document)
        if broken:
            raise AssertionError(broken)
        sealing = crypter.PassphraseCrypter.from_salt(checkpoint.salt(document), PASSPHRASE)
        vault = values.Vault(lambda: sealing)
        found = [record.decode(raw, vault) for raw in checkpoint.resources(document)]
        names = {each.id: f"<{urns.name_of(each.urn)}>" for each in found if each.is_provider}
        shown = [_shown(each, names) for each in found]
        shown += [
            {"pending": each["type"], "urn": each["resource"]["urn"]}
            for each in checkpoint.pending(document)
        ]
        return sorted(shown, key=lambda each: json.dumps(each, sort_keys=True))


def _related(sequence: corpus.Sequence) -> set[tuple[str, str]]:
    """Return the pairs of names of which one needs the other, in any step."""
    found: set[tuple[str, str]] = set()
    for step in sequence.steps:
        for spec in step.program.specs if step.program is not None else ():
            found.add((spec.name, spec.name))
            text = json.dumps([spec.inputs, {k: v for k, v in spec.opts.items()}])
            for other in step.program.specs if step.program is not None else ():
                if f"${other.name}." in text or f'"{other.name}"' in text:
                    found |= {(spec.name, other.name), (other.name, spec.name)}
    return found


def _shown(each: record.Record, names: dict[str, str]) -> dict[str, Any]:
    provider, id_ = urns.split_reference(each.provider) if each.provider else ("", "")
    found = {
        "urn": each.urn,
        "id": names.get(each.id, each.id),
        "delete": each.delete,
        "inputs": _plain(each.inputs),
        "outputs": _plain(each.outputs),
        "parent": each.parent,
        "protect": each.protect,
        "external": each.external,
        "dependencies": sorted(each.dependencies),
        "propertyDependencies": {
            key: sorted(deps) for key, deps in each.property_dependencies.items() if deps
        },
        "initErrors": len(each.init_errors),
        "provider": f"{provider}::{names.get(id_, id_)}" if provider else "",
        "pendingReplacement": each.pending_replacement,
        "additionalSecretOutputs": sorted(each.additional_secret_outputs),
        "aliases": sorted(each.aliases),
        "customTimeouts": {k: float(v) for k, v in each.custom_timeouts.items() if v},
        "importID": each.import_id,
        "retainOnDelete": each.retain_on_delete,
        "deletedWith": each.deleted_with,
        "ignoreChanges": sorted(each.ignore_changes),
        "replaceOnChanges": sorted(each.replace_on_changes),
        "replacementTrigger": _plain(each.replacement_trigger),
        "stamped": bool(each.created) == bool(each.modified),
    }
    return {key: value for key, value in found.items() if value not in ("", [], {}, False, None, 0)}


def _plain(value: Any) -> Any:
    if isinstance(value, values.Sealed):
        return {"secret": _plain(value.value)}
    if isinstance(value, dict):
        return {key: _plain(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_plain(each) for each in value]
    return value


def _exposed(value: Any) -> Any:
    return {"secret": value.reveal()} if isinstance(value, Secret) else value


def _planned(seen: list[events.Event], step: corpus.Step) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for event in seen:
        if isinstance(event, events.ResourcePlanned):
            if step.targets and event.op == "same":
                # Upstream also names what a limited run does not look at.
                continue
            found.setdefault(event.urn, []).append(event.op)
    return {urn: sorted(ops) for urn, ops in sorted(found.items())}


@contextlib.contextmanager
def runner(root: Path, sequence: corpus.Sequence) -> Generator[Runner]:
    """Yield a runner in a fresh folder under `root`, which is gone afterwards."""
    folder = Path(tempfile.mkdtemp(prefix=f"{sequence.name}-", dir=root))
    try:
        yield Runner(folder, sequence)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def run(root: Path, sequence: corpus.Sequence, kinds: Many[Kind]) -> list[dict[str, Any]]:
    """Run `sequence` in a fresh folder under `root`, which is gone afterwards."""
    with runner(root, sequence) as one:
        return one.run(kinds)

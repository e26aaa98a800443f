"""Killed at every write and every provider call of the whole corpus: the next run goes on.

With a `pulumi` on PATH every checkpoint that a kill leaves is read and checked by it; without, only
by our own rules, which are those of upstream's engine.
"""

from __future__ import annotations

import dataclasses
import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import corpus
import harness
import kills
import pytest

from provision import crypter

SLICE = (
    "delete-before-replace-cascade",
    "deleted-with-replaced",
    "fail-delete-replaced",
    "import",
    "provider-replaced",
    "secrets",
    "target-replace",
)
"""Sequences that `make test` runs: a bit of everything."""

_CHANGING = re.compile(r'"(time|created|modified|ciphertext)": "[^"]*"|[0-9a-f-]{36}')


@pytest.fixture(autouse=True)
def quick_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    """Derive keys with few rounds where no other engine reads the states."""
    if shutil.which("pulumi") is None:
        monkeypatch.setattr(crypter, "_ROUNDS", 1000)


@pytest.fixture(scope="session")
def seen() -> set[str]:
    """Checkpoints that upstream has read, without what is different in every run."""
    return set()


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(each, marks=pytest.mark.slice) if each in SLICE else each
        for each in corpus.BY_NAME
    ],
)
def test_killed_anywhere_the_next_run_ends_where_it_would_have(
    name: str, tmp_path: Path, seen: set[str]
) -> None:
    """Whatever is left, the same step again ends in the same state and the same things.

    What is compared with is the step, not killed, and then again without
    what was to fail in it: after a kill, it does not fail.
    """
    sequence = corpus.BY_NAME[name]
    left: dict[str, bytes] = {}
    moments = 0
    with harness.runner(tmp_path, sequence) as runner:
        for number, step in enumerate(sequence.steps):
            watched = kills.Moments(runner)
            with watched.watched():
                done = runner.step(step, "embedded")
            moments += watched.number
            after = runner.save()
            again = dataclasses.replace(step, drift={}, fails=())
            expected = _end(runner, again)
            ends = {expected.pop("ended")}
            if step.targets:  # one that was deleted is no target the next time
                ends.add(done["ended"])
            for when, saved in watched.found:
                runner.restore(saved)
                kills.bury(runner)
                data = kills.require_readable(runner)
                if data is not None:
                    left.setdefault(_CHANGING.sub("", data.decode()), data)
                kills.adopt(runner)
                found = _end(runner, again)
                assert found["ended"] in ends, f"step {number}, killed {when}"
                for key, value in expected.items():
                    assert found[key] == value, f"step {number}, killed {when}: {key}"
            runner.restore(after)
    assert moments > 0
    if shutil.which("pulumi") is not None:
        for key in left.keys() - seen:
            _require_accepted(left[key], tmp_path)
    seen.update(left)


def _end(runner: harness.Runner, step: corpus.Step) -> dict[str, Any]:
    """Run `step` and return what is there then; how it got there may differ."""
    found = runner.step(step, "embedded")
    return {key: found[key] for key in ("ended", "outputs", "things", "state")}


def _require_accepted(data: bytes, folder: Path) -> None:
    """Require that upstream's own check of a state finds nothing to repair in `data`."""
    path = folder / "left/.pulumi/stacks/proj/dev.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    (folder / "left/.pulumi/meta.yaml").write_text("version: 1\n")
    (folder / "passphrase").write_text(harness.PASSPHRASE.reveal())
    found = subprocess.run(
        ["pulumi", "state", "repair", "--yes", "--stack", "organization/proj/dev"],
        cwd=folder,
        env={
            **os.environ,
            "PULUMI_HOME": str(folder / "home"),
            "PULUMI_BACKEND_URL": f"file://{folder / 'left'}",
            "PULUMI_CONFIG_PASSPHRASE_FILE": str(folder / "passphrase"),
            "PULUMI_SKIP_UPDATE_CHECK": "true",
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert found.returncode == 0 and "already valid" in found.stdout + found.stderr, (
        found.stdout + found.stderr + json.dumps(json.loads(data), indent=1)
    )

"""A cluster's life in a sandbox, each of its steps under one of the two engines.

There are two lives. In the one, upstream begins; in the other, the embedded
engine. The engines make the changes by turns, and after each change the engine
that did not make it finds nothing to do.
"""

from __future__ import annotations

import dataclasses
import os
import pathlib
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

from tests.support import lab as labs

Engine = Literal["upstream", "embedded"]
Say = Callable[[str], None]

CONFIG = "/etc/rancher/k3s/config.yaml"
DAEMONSET = "daemonset -n intel-device-plugins intel-gpu-plugin"


@dataclass(frozen=True, kw_only=True)
class Step:
    """One command; `change` is empty for a run that is to find nothing to do."""

    name: str
    change: str
    arguments: tuple[str, ...]
    engine: Engine


@dataclass(frozen=True, kw_only=True)
class Result:
    """What one step did: the resources it changed, by what was done, and what was wrong."""

    step: Step
    seconds: float
    counts: tuple[tuple[str, int], ...] = ()
    wrong: tuple[str, ...] = ()

    @property
    def words(self) -> str:
        """Say it in a cell of the table."""
        done = ", ".join(f"{count} {op}" for op, count in self.counts) or "nothing changed"
        return f"{done} ({self.seconds:.0f} s)" + "".join(f"; **{each}**" for each in self.wrong)


def steps(first: Engine) -> Iterator[Step]:
    """Yield the steps of the life that `first` begins."""
    second: Engine = "embedded" if first == "upstream" else "upstream"
    up = ("up", "--yes")
    rotate = ("rotate", "deploy-key", "--yes")
    yield Step(name="first up", change="up", arguments=up, engine=first)
    yield Step(name="no-op after it", change="", arguments=up, engine=second)
    yield Step(name="repair of drift", change="drift", arguments=up, engine=second)
    yield Step(name="no-op after it", change="", arguments=up, engine=first)
    yield Step(name="deploy key rotated", change="rotation", arguments=rotate, engine=first)
    yield Step(name="no-op after it", change="", arguments=up, engine=second)
    yield Step(name="destroy", change="destroy", arguments=("destroy", "--yes"), engine=second)


def run(first: Engine, programs: pathlib.Path, folder: pathlib.Path, say: Say) -> list[Result]:
    """Live the life that `first` begins in a sandbox of its own; `programs` is put on PATH."""
    results: list[Result] = []
    with labs.sandbox(f"upstream-{first}") as sandbox:
        lab = labs.make(sandbox, folder)
        lab.environ["PATH"] = f"{programs}{os.pathsep}{lab.environ['PATH']}"
        labs.configure(lab)
        before = labs.files(lab)
        for step in steps(first):
            result = _take(lab, step)
            if step.change == "destroy":
                result = dataclasses.replace(result, wrong=(*result.wrong, *_left(lab, before)))
            results.append(result)
            say(f"{step.name}, {step.engine}: {result.words}")
            if result.wrong:
                break
    return results


def _take(lab: labs.Lab, step: Step) -> Result:
    keys = {key["title"] for key in lab.forge.deploy_keys()}
    if step.change == "drift":
        _drift(lab)
    began = time.monotonic()
    done = lab.elysium(*step.arguments, "--json", "--engine", step.engine, timeout=3600)
    seconds = time.monotonic() - began
    counts: Counter[str] = Counter()
    for event in done.json_lines():
        if event.get("event") == "resource-done":
            counts[event["op"]] += 1
    wrong: list[str] = []
    if done.status != 0:
        wrong.append(f"ended with {done.status}: {(done.stderr or done.stdout)[-1500:]}")
    if not step.change and counts:
        wrong.append("it was to change nothing")
    if step.change and not counts:
        wrong.append("it was to change something")
    wrong += _missing(lab, step, keys)
    return Result(
        step=step, seconds=seconds, counts=tuple(sorted(counts.items())), wrong=tuple(wrong)
    )


def _drift(lab: labs.Lab) -> None:
    """Edit a file of the node, delete the deploy key, and delete an object of the cluster."""
    lab.on_node(f"sed -i 's/secrets-encryption: true/secrets-encryption: false/' {CONFIG}")
    for key in lab.forge.deploy_keys():
        lab.forge.delete_key(key["id"])
    lab.on_node(f"k3s kubectl delete {DAEMONSET}")


def _missing(lab: labs.Lab, step: Step, keys: set[str]) -> Iterator[str]:
    """Yield what the world lacks after `step`; `keys` are the deploy keys before it."""
    now = {key["title"] for key in lab.forge.deploy_keys()}
    if step.change == "destroy":
        if now:
            yield "a deploy key is left"
        return
    if len(now) != 1:
        yield f"there are {len(now)} deploy keys"
    if step.change in ("up", "rotation") and now == keys:
        yield "the deploy key is the same as before"
    if not step.change and now != keys:
        yield "the deploy key is another one"
    looks = {
        "the file of the node": f"grep -q 'secrets-encryption: true' {CONFIG}",
        "the object of the cluster": f"k3s kubectl get {DAEMONSET}",
        "Flux": "k3s kubectl get deployment -n flux-system source-controller",
    }
    for what, script in looks.items():
        if lab.on_node(f"if {script} >/dev/null 2>&1; then echo yes; fi").strip() != "yes":
            yield f"{what} is not there"


def _left(lab: labs.Lab, before: dict[str, str]) -> tuple[str, ...]:
    after = labs.files(lab)
    changed = sorted(
        path for path in before.keys() | after.keys() if before.get(path) != after.get(path)
    )
    return tuple(f"left on the node: {path}" for path in changed[:5])

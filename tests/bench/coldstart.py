"""The analysis that is part of every `up`: 60, 600 and 6,000 files, and an unchanged commit."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from provision.gitops import preparation, sealing
from provision.gitops.tree import Tree
from tests.bench import figures
from tests.support import elysiumrepo

SIZES = (60, 600, 6000)
WHAT = "cold-start analysis"
_APP = """\
apiVersion: apps/v1
kind: Deployment
metadata: {{name: app{n}}}
spec:
  selector: {{matchLabels: {{app: app{n}}}}}
  template:
    metadata: {{labels: {{app: app{n}}}}}
    spec:
      containers:
        - name: web
          image: registry.example/app{n}:1
          env: [{{name: HOST, value: "${{DOMAIN}}"}}]
"""


def files(key: sealing.SealingKey, size: int) -> dict[str, str]:
    """Return the deadlocked repository with so many applications that it has `size` files."""
    found = elysiumrepo.deadlocked(key)
    listed = ["namespace.yaml", "../base/web"]
    number = 0
    while len(found) + 3 <= size:
        folder = f"apps/base/app{number}"
        found[f"{folder}/kustomization.yaml"] = "resources: [web.yaml, map.yaml]\n"
        found[f"{folder}/web.yaml"] = _APP.format(n=number)
        found[f"{folder}/map.yaml"] = (
            f"apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: app{number}}}\n"
            "data: {zone: '${TZ}'}\n"
        )
        listed.append(f"../base/app{number}")
        number += 1
    found["apps/kyrion/kustomization.yaml"] = elysiumrepo.resources(*listed) + "namespace: arkham\n"
    return found


def run(table: figures.Table, rounds: int, say: Callable[[str], None]) -> None:
    """Measure every size in each round, in this process, which has imported all it needs."""
    key = sealing.make_key()
    trees = {size: files(key, size) for size in SIZES}
    below = figures.Aim(comparison="<", limit=2, unit="s")
    # Ten times the files may cost ten times as much, and a tenth more for noise.
    straight = figures.Aim(comparison="<=", limit=11)
    _once(trees[SIZES[0]], key)
    for number in range(rounds):
        say(f"cold start, round {number + 1} of {rounds}")
        took: dict[int, float] = {}
        for size in SIZES:
            took[size] = _once(trees[size], key)
            aims = (below,) if size == 600 else ()
            table.series(f"{WHAT}, {size} files", figures.ELYSIUM, aims=aims).add(took[size])
        grown = table.series(
            f"{WHAT}: time of 6,000 files over that of 600",
            figures.ELYSIUM,
            unit="",
            aims=(straight,),
        )
        grown.add(took[6000] / took[600])
        again = table.series(f"{WHAT}, unchanged commit of 6000 files", figures.ELYSIUM)
        again.add(_remembered(trees[6000], key))


def _once(found: dict[str, str], key: sealing.SealingKey) -> float:
    began = time.perf_counter()
    answer = preparation.prepare(Tree.of(found), "clusters/kyrion", keys=[key])
    took = time.perf_counter() - began
    if answer.problems or len(answer.seeds) != 3:
        raise AssertionError(f"the analysis went wrong: {answer.problems}")
    return took


def _remembered(found: dict[str, str], key: sealing.SealingKey) -> float:
    """Return how long `up` needs for a commit that was analysed before."""
    from stacks import remembered

    before = os.environ.get("XDG_CACHE_HOME")
    with tempfile.TemporaryDirectory() as folder:
        os.environ["XDG_CACHE_HOME"] = folder
        try:
            memory = remembered.Memory.of("me/home", "c0")
            memory.keep(preparation.prepare(Tree.of(found), "clusters/kyrion", keys=[key]))
            began = time.perf_counter()
            if memory.recall() is None:
                raise AssertionError(f"nothing was kept in {Path(folder)}")
            return time.perf_counter() - began
        finally:
            os.environ.pop("XDG_CACHE_HOME")
            if before is not None:
                os.environ["XDG_CACHE_HOME"] = before

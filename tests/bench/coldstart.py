"""The analysis that is part of every `up`: 60, 600 and 6,000 files, and an unchanged commit."""

from __future__ import annotations

import os
import resource
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from provision.gitops.coldstart import preparation
from provision.gitops.sealing import keys as sealing_keys
from provision.gitops.tree import Tree
from tests.bench import figures
from tests.support import elysiumrepo

SIZES = (60, 600, 6000)
WHAT = "cold-start analysis"
APPS_IN_A_KUSTOMIZATION = 10
_CHARTS = """\
apiVersion: source.toolkit.fluxcd.io/v1
kind: HelmRepository
metadata: {name: onechart, namespace: flux-system}
spec: {interval: 1h, url: "https://charts.example.org"}
"""
_RELEASE = """\
apiVersion: helm.toolkit.fluxcd.io/v2
kind: HelmRelease
metadata:
  name: app{n}
spec:
  interval: 1h
  chart:
    spec:
      chart: onechart
      sourceRef: {{kind: HelmRepository, name: onechart, namespace: flux-system}}
  valuesFrom:
    - kind: ConfigMap
      name: app{n}-values
"""
_VALUES = """\
image:
  repository: registry.example/app{n}
  tag: "1.0.{n}"
vars:
  TZ: ${{TZ}}
  PUBLIC_URL: https://app{n}.${{DOMAIN}}
ingress:
  host: app{n}.${{DOMAIN}}
resources:
  limits: {{cpu: 500m, memory: 256Mi}}
"""
_BASE = """\
resources:
  - release.yaml
configMapGenerator:
  - name: app{n}-values
    files:
      - values.yaml
configurations:
  - kustomizeconfig.yaml
"""
_NAMES = """\
nameReference:
  - kind: ConfigMap
    version: v1
    fieldSpecs:
      - path: spec/valuesFrom/name
        kind: HelmRelease
"""


def files(key: sealing_keys.SealingKey, size: int) -> dict[str, str]:
    """Return the deadlocked repository with so many applications that it has `size` files.

    An application is a release of the generic chart with values of its own;
    ten of them are a Flux Kustomization with a namespace of its own.
    """
    found = elysiumrepo.deadlocked(key, root=False)
    found["clusters/kyrion/chart.yaml"] = _CHARTS
    area = number = 0
    while len(found) + 7 <= size:
        path = f"apps/areas/area{area}"
        found[f"clusters/kyrion/area{area}.yaml"] = elysiumrepo.kustomization(
            f"area{area}",
            f"./{path}",
            wait=False,
            more=elysiumrepo.depends("infra-configs") + elysiumrepo.SUBSTITUTE,
        )
        found[f"{path}/namespace.yaml"] = elysiumrepo.namespace(f"area{area}")
        listed = ["namespace.yaml"]
        while len(listed) <= APPS_IN_A_KUSTOMIZATION and len(found) + 5 <= size:
            folder = f"apps/base/app{number}"
            found[f"{folder}/kustomization.yaml"] = _BASE.format(n=number)
            found[f"{folder}/release.yaml"] = _RELEASE.format(n=number)
            found[f"{folder}/values.yaml"] = _VALUES.format(n=number)
            found[f"{folder}/kustomizeconfig.yaml"] = _NAMES
            listed.append(f"../../base/app{number}")
            number += 1
        found[f"{path}/kustomization.yaml"] = (
            elysiumrepo.resources(*listed) + f"namespace: area{area}\n"
        )
        area += 1
    return found


def run(table: figures.Table, rounds: int, say: Callable[[str], None]) -> None:
    """Measure every size in each round, in this process, which has imported all it needs."""
    key = sealing_keys.make_key()
    trees = {size: files(key, size) for size in SIZES}
    below = figures.Aim(comparison="<", limit=2, unit="s")
    # Ten times the files may cost ten times as much, and a tenth more for noise.
    straight = figures.Aim(comparison="<=", limit=11)
    _once(trees[SIZES[0]], key)
    for number in range(rounds):
        say(f"cold start, round {number + 1} of {rounds}")
        worked: dict[int, float] = {}
        for size in SIZES:
            took, worked[size] = _once(trees[size], key)
            aims = (below,) if size == 600 else ()
            table.series(f"{WHAT}, {size} files", figures.ELYSIUM, aims=aims).add(took)
            table.series(f"{WHAT}, {size} files: processor time", figures.ELYSIUM).add(worked[size])
        grown = table.series(
            f"{WHAT}: processor time of 6,000 files over that of 600",
            figures.ELYSIUM,
            unit="",
            aims=(straight,),
        )
        grown.add(worked[6000] / worked[600])
        again = table.series(f"{WHAT}, unchanged commit of 6000 files", figures.ELYSIUM)
        again.add(_remembered(trees[6000], key))


def _once(found: dict[str, str], key: sealing_keys.SealingKey) -> tuple[float, float]:
    """Return how long the analysis takes, and the processor time of it and of each kustomize."""
    worked, began = _worked(), time.perf_counter()
    answer = preparation.prepare(Tree.of(found), "clusters/kyrion", keys=[key])
    took = time.perf_counter() - began
    if answer.problems or len(answer.seeds) != 3:
        raise AssertionError(f"the analysis went wrong: {answer.problems}")
    return took, _worked() - worked


def _worked() -> float:
    return sum(
        use.ru_utime + use.ru_stime
        for use in map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    )


def _remembered(found: dict[str, str], key: sealing_keys.SealingKey) -> float:
    """Return how long `up` needs for a commit that was analysed before."""
    from stacks import cache

    before = os.environ.get("XDG_CACHE_HOME")
    with tempfile.TemporaryDirectory() as folder:
        os.environ["XDG_CACHE_HOME"] = folder
        try:
            memory = cache.Memory.of("me/home", "c0")
            memory.keep(preparation.prepare(Tree.of(found), "clusters/kyrion", keys=[key]))
            began = time.perf_counter()
            if memory.recall() is None:
                raise AssertionError(f"nothing was kept in {Path(folder)}")
            return time.perf_counter() - began
        finally:
            os.environ.pop("XDG_CACHE_HOME")
            if before is not None:
                os.environ["XDG_CACHE_HOME"] = before

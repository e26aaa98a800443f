"""The truth about the shapes: what a real kustomize-controller makes of each, recorded.

A real API server, the kustomize-controller and the namespace controller that the sandbox builds.
All of a shape is removed before the next one begins; `hands` are the other controllers.
"""

from __future__ import annotations

import contextlib
import json
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator, Mapping
from pathlib import Path
from typing import Any, Final

from provision import errors
from provision.gitops.build import discovery
from provision.gitops.coldstart import analysis, api, simulation
from provision.gitops.tree import Tree
from provision.kube import wait
from tests import shapes
from tests.shapes import Shape, crd, hands
from tests.support import apiserver, fluxcluster
from tests.support.fluxcluster import MANAGER, FluxCluster

FILE: Final = Path(__file__).with_name("recorded.json")
KUSTOMIZATION: Final = "kustomize.toolkit.fluxcd.io/v1"
GATES: Final = "--feature-gates=StrictPostBuildSubstitutions=true,ExternalArtifact=true"
"""Both are the default of the kustomize-controller that elysium installs."""
_K3S: Final = crd("helm.cattle.io/v1:HelmChart", "helm.cattle.io/v1:HelmChartConfig")
_TRAEFIK: Final = crd(
    "traefik.io/v1alpha1:Middleware",
    "gateway.networking.k8s.io/v1:HTTPRoute",
    "gateway.networking.k8s.io/v1:Gateway",
)
_WATCHER: Final = crd("source.extensions.fluxcd.io/v1beta1:ArtifactGenerator")
_STILL: Final = 4
"""Seconds without a change, and tries of each Kustomization, after which nothing comes any more."""
_TRIES: Final = 3
_LONGEST: Final = 300


@contextlib.contextmanager
def cluster() -> Generator[tuple[FluxCluster, Path]]:
    """Run the cluster; yield it and the log of kustomize-controller."""
    apiserver.START_TIMEOUT = fluxcluster.TIMEOUT = _LONGEST
    with (
        tempfile.TemporaryDirectory() as name,
        fluxcluster.running(Path(name), GATES) as made,
        _namespaces(made, Path(name)),
    ):
        yield made, Path(name, "kustomize-controller.log")


@contextlib.contextmanager
def _namespaces(made: FluxCluster, folder: Path) -> Generator[None]:
    """Run the controller that empties a namespace which is deleted."""
    config = folder / "manager.kubeconfig"
    config.write_text(made.server.kubeconfig)
    words = ["--controllers=namespace-controller", "--leader-elect=false"]
    with (folder / "manager.log").open("wb") as log:
        process = subprocess.Popen(
            [made.server.bin / "kube-controller-manager", f"--kubeconfig={config}", *words],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    try:
        yield
    finally:
        process.terminate()
        process.wait(20)


def record(made: FluxCluster, log: Path, shape: Shape) -> dict[str, Any]:
    """Return what becomes of `shape`: alone, and with what the analysis puts there."""
    _prepare(made, shape)
    worker = hands.Hands(made, shape)
    made.publish(hands.published(shape))
    made.kustomization("flux-system", f"./{shape.path}")
    found = {"alone": _settled(made, worker, log)}
    if shape.expect == "needs a seed":
        _seed(made, worker, shape)
        found["seeded"] = _settled(made, worker, log)
    _clear(made)
    return found


def _clear(made: FluxCluster) -> None:
    """Remove all that a shape left, so that the next one begins with nothing."""
    made.until(lambda: not _without_finalizers(made), "the Kustomizations are gone")
    made.until(lambda: not _remaining(made), "the cluster is empty again")
    made.namespace("flux-system")


def _remaining(made: FluxCluster) -> bool:
    """Delete what is left, again where that failed; return whether there is anything."""
    client = made.client
    for one in client.list("apiextensions.k8s.io/v1", "CustomResourceDefinition"):
        if not one["metadata"]["name"].startswith(_PLURALS):
            _delete(made, one)
    for kind in ("ClusterRoleBinding", "ClusterRole"):
        for one in client.list("rbac.authorization.k8s.io/v1", kind):
            if "kubernetes.io/bootstrapping" not in (one["metadata"].get("labels") or {}):
                _delete(made, one)
    for one in client.list("v1", "Namespace"):
        if one["metadata"]["name"] not in simulation.NAMESPACES:
            _delete(made, one)
    for one in client.list("v1", "ConfigMap"):
        if one["metadata"]["namespace"] == "default" and one["metadata"]["name"] != _CA:
            _delete(made, one)
    for one in client.list("batch/v1", "CronJob"):
        _delete(made, one)
    return _left(made)


_CA: Final = "kube-root-ca.crt"


def _without_finalizers(made: FluxCluster) -> bool:
    """Delete the Kustomizations without what they applied; return whether there were any."""
    found = made.client.list(KUSTOMIZATION, "Kustomization")
    for one in found:
        metadata = one["metadata"]
        place = (KUSTOMIZATION, "Kustomization", metadata["name"], metadata["namespace"])
        with contextlib.suppress(errors.KubeError):
            made.client.patch(*place, {"metadata": {"finalizers": None}})
            made.client.delete(*place)
            made.client.patch(*place, {"metadata": {"finalizers": None}})
    return bool(found)


def _delete(made: FluxCluster, one: Mapping[str, Any]) -> None:
    metadata = one["metadata"]
    place = (one["apiVersion"], one["kind"], metadata["name"], metadata.get("namespace"))
    with contextlib.suppress(errors.KubeError):
        made.client.delete(*place)


def _left(made: FluxCluster) -> bool:
    spaces = [one["metadata"]["name"] for one in made.client.list("v1", "Namespace")]
    kinds = made.client.list("apiextensions.k8s.io/v1", "CustomResourceDefinition")
    more = [one for one in kinds if not one["metadata"]["name"].startswith(_PLURALS)]
    return bool(set(spaces) - set(simulation.NAMESPACES)) or bool(more)


_PLURALS: Final = (
    "kustomizations.kustomize.",
    "helmreleases.helm.",
    "buckets.source.",
    "externalartifacts.source.",
    "gitrepositories.source.",
    "helmcharts.source.",
    "helmrepositories.source.",
    "ocirepositories.source.",
)
"""The definitions that stay from shape to shape."""


def _prepare(cluster: FluxCluster, shape: Shape) -> None:
    """Put there what k3s and Flux bring."""
    components = shape.cluster.components
    groups = {component.partition("-")[0] for component in components}
    cluster.install(*(f"{group}." for group in sorted(groups & {"notification", "image"})))
    worker = hands.Hands(cluster, shape)
    worker.apply(_K3S)
    if shape.cluster.bundled_traefik:
        worker.apply(_TRAEFIK)
    if len(components) > len(api.COMPONENTS):
        worker.apply(_WATCHER)


def _seed(cluster: FluxCluster, worker: hands.Hands, shape: Shape) -> None:
    found = discovery.discover(Tree.of(shape.files), shape.path)
    for need in analysis.analyse_found(found, None, cluster=shape.cluster).seeds:
        if need.kind == "Namespace":
            cluster.namespace(need.name)
        elif need.kind == "CustomResourceDefinition":
            cluster.install(f"{need.name.partition('.')[2]}_")
        elif need.object is not None:
            cluster.client.apply(dict(need.object), field_manager=MANAGER, force=True)
    worker.apply(shape.provides)


def _settled(cluster: FluxCluster, worker: hands.Hands, log: Path) -> dict[str, Any]:
    """Let the controllers work until all is ready or nothing moves; return the state."""
    begun = changed = time.monotonic()
    offset = log.stat().st_size
    last: object = None
    while True:
        moved = worker.turn()
        found = _state(cluster, worker)
        seen = {kind: {k: v == "ready" for k, v in found[kind].items()} for kind in _KINDS}
        if moved or seen != last:
            last, changed, offset = seen, time.monotonic(), log.stat().st_size
        now = time.monotonic()
        waiting = [key for key, ready in seen["kustomizations"].items() if not ready]
        if found["up"] and now - changed > 1:
            return found
        if now - changed > _STILL and _tried(log, offset, waiting):
            return found
        if now - begun > _LONGEST:
            raise TimeoutError(f"nothing came of it within {_LONGEST} s: {found}")
        time.sleep(0.3)


_KINDS: Final = ("kustomizations", "releases")


def _tried(log: Path, offset: int, waiting: list[str]) -> bool:
    """Return whether each Kustomization in `waiting` was tried often enough since `offset`."""
    lines = log.read_text(errors="replace")[offset:].splitlines()
    return all(
        sum(f'"name":"{name}","namespace":"{namespace}"' in line for line in lines) >= _TRIES
        for namespace, _, name in (key.partition("/") for key in waiting)
    )


def _state(cluster: FluxCluster, worker: hands.Hands) -> dict[str, Any]:
    ones = cluster.client.list(KUSTOMIZATION, "Kustomization")
    releases = cluster.client.list(hands.RELEASE, "HelmRelease")
    found: dict[str, Any] = {
        "kustomizations": {_key(one): _words(one) for one in ones},
        "releases": {
            _key(one): "ready" if hands.is_ready(one) else worker.failing.get(_key(one), "waits")
            for one in releases
        },
    }
    states = [state for kind in _KINDS for state in found[kind].values()]
    return {"up": all(state == "ready" for state in states), **found}


def _key(obj: Mapping[str, Any]) -> str:
    return f"{obj['metadata']['namespace']}/{obj['metadata']['name']}"


_CHANGING: Final = re.compile(
    r"[0-9a-f]{40}|/\S*/kustomization-\d+|\b\d+(\.\d+)?m?s\b|127\.0\.0\.1:\d+|\s+"
)
_SHOWN: Final = 160


def _words(obj: Mapping[str, Any]) -> str:
    if hands.is_ready(obj):
        return "ready"
    condition = wait.condition(dict(obj), "Ready")
    message = _CHANGING.sub(" ", str(condition.get("message") or ""))
    return f"{condition.get('reason') or 'waits'}: {message.strip()[:_SHOWN]}"


def recorded() -> dict[str, Any]:
    """Return what is committed."""
    return json.loads(FILE.read_text()) if FILE.exists() else {}


def difference(before: Mapping[str, Any], now: Mapping[str, Any]) -> bool:
    """Return whether a recording came out another way: what is ready, not in which words."""
    return _readiness(before) != _readiness(now)


def _readiness(one: Mapping[str, Any]) -> dict[str, Any]:
    return {
        phase: {kind: {k: v == "ready" for k, v in found[kind].items()} for kind in _KINDS}
        for phase, found in one.items()
    }


def run(names: list[str]) -> list[str]:
    """Record the shapes in `names`, or all; return those that came out another way."""
    all_, known = shapes.load(), recorded()
    changed: list[str] = []
    with cluster() as (made, log):
        for name, shape in all_.items():
            if names and name not in names:
                continue
            now = record(made, log, shape)
            if name not in known or difference(known[name], now):
                changed.append(name)
                known[name] = now
            sys.stdout.write(f"{name}: {'comes up' if now['alone']['up'] else 'stops'}\n")
            sys.stdout.flush()
            kept = {one: known[one] for one in sorted(known) if one in all_}
            FILE.write_text(json.dumps(kept, indent=1, sort_keys=True) + "\n")
    return changed

"""What runs in the cluster beside what elysium set up: k3s' components, and Flux' other objects.

Nothing here is repaired by ``elysium up``: k3s and Flux run these objects. A
finding therefore says what to do. A component that k3s still installs is told apart from
one that fails. Facts: k3s' documentation (Packaged
Components, and `--disable`), and the command line of Flux.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeVar

from provision import errors
from provision.kube import readiness
from provision.kube.client import KubeClient
from provision.operations import repository_health, suspended
from provision.provider.flux import objects as flux_objects

Object = Mapping[str, Any]
_Seen = TypeVar("_Seen", bound="Finding | None")

_TITLE: Final = "components of k3s"
_NAMESPACE: Final = "kube-system"
_FAILS: Final = (
    "BackOff",
    "ErrImage",
    "InvalidImageName",
    "ContainerError",
    "ContainerConfigError",
    "Unschedulable",
)
"""Parts of the reasons of containers and pods that do not pass by themselves, or seldom."""
_NO_SANDBOX: Final = "Warning FailedCreatePodSandBox"
_EXPLAIN: Final = (_NO_SANDBOX, "Warning FailedMount", "Warning Unhealthy")
_STARTED: Final = "Normal Started"
_HELM: Final = ("helm.toolkit.fluxcd.io/v2", "helm.toolkit.fluxcd.io/v2beta2")


@dataclass(frozen=True, kw_only=True)
class Component:
    """What k3s brings. `disabled_by` is its name in `k3s.disable`, `addon` that of its Addon."""

    title: str
    name: str
    disabled_by: str
    addon: str
    kinds: tuple[str, ...] = ("Deployment",)


COMPONENTS: Final = (
    Component(title="CoreDNS", name="coredns", disabled_by="coredns", addon="coredns"),
    Component(
        title="local-path-provisioner",
        name="local-path-provisioner",
        disabled_by="local-storage",
        addon="local-storage",
    ),
    Component(
        title="metrics-server",
        name="metrics-server",
        disabled_by="metrics-server",
        addon="metrics-server-deployment",
    ),
    Component(
        title="Traefik",
        name="traefik",
        disabled_by="traefik",
        addon="traefik",
        # A HelmChartConfig can make it a DaemonSet.
        kinds=("Deployment", "DaemonSet"),
    ),
)


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One group of objects: what there is, what is wrong, and what to do about it.

    `under_way` are those of `problems` that are expected to pass by themselves.
    """

    title: str
    health: Literal["ok", "failed", "unknown"]
    facts: tuple[tuple[str, str], ...] = ()
    problems: tuple[str, ...] = ()
    hints: tuple[str, ...] = ()
    under_way: frozenset[str] = frozenset()

    @property
    def failing(self) -> tuple[str, ...]:
        """The problems that do not pass by themselves."""
        return tuple(text for text in self.problems if text not in self.under_way)


def check(kube: KubeClient, disabled: Collection[str]) -> list[Finding]:
    """Return how the objects are. Changes nothing.

    `disabled` is `k3s.disable`. A group that cannot be read is "unknown", one
    without objects is left out, but for k3s' components.
    """
    groups: tuple[tuple[str, Callable[[], Finding | None]], ...] = (
        (_TITLE, lambda: components(kube, disabled)),
        ("HelmReleases", lambda: _flux("HelmReleases", _list(kube, _HELM, ("HelmRelease",)))),
        (
            "image automation",
            lambda: _flux(
                "image automation", _list(kube, flux_objects.IMAGE, repository_health.IMAGE_KINDS)
            ),
        ),
    )
    findings = (_checked(title, look) for title, look in groups)
    return [finding for finding in findings if finding is not None]


def check_components(kube: KubeClient, disabled: Collection[str]) -> Finding:
    """Return how k3s' own components are, "unknown" where they cannot be read."""
    return _checked(_TITLE, lambda: components(kube, disabled))


def _checked(title: str, look: Callable[[], _Seen]) -> _Seen | Finding:
    try:
        return look()
    except errors.ElysiumError as error:
        problem = f"not checked: {error.summary}"
        return Finding(title=title, health="unknown", problems=(problem,))


def components(kube: KubeClient, disabled: Collection[str]) -> Finding:
    """Return how k3s' own components are. `disabled` is `k3s.disable`.

    Raises `errors.KubeError` where they cannot be read.
    """
    facts: list[tuple[str, str]] = []
    problems: list[str] = []
    under_way: set[str] = set()
    hints: list[str] = []
    workloads = {
        (kind, str(obj["metadata"]["name"])): obj
        for kind in ("Deployment", "DaemonSet")
        for obj in kube.list("apps/v1", kind, _NAMESPACE)
    }
    addons: set[str] | None = None
    for one in COMPONENTS:
        if one.disabled_by in disabled:
            facts.append((one.title, "disabled"))
            continue
        there = [workloads[kind, one.name] for kind in one.kinds if (kind, one.name) in workloads]
        if there:
            state = readiness.readiness(there[0])
            facts.append((one.title, "ready" if state.ready else "not ready"))
            if not state.ready:
                why, failing = _pods(kube, there[0])
                problems.append(f"{one.title}: {state.reason}{why}")
                if not failing and not state.failed:
                    under_way.add(problems[-1])
            continue
        if addons is None:
            listed = kube.list("k3s.cattle.io/v1", "Addon", _NAMESPACE)
            addons = {str(obj["metadata"]["name"]) for obj in listed}
        if addons and one.addon not in addons:
            # A drop-in or a .skip file turned it off, which is as good as k3s.disable.
            facts.append((one.title, "disabled on the node"))
            continue
        facts.append((one.title, "missing"))
        job = kube.get("batch/v1", "Job", f"helm-install-{one.name}", _NAMESPACE)
        if job is not None and not (state := readiness.readiness(job)).ready:
            # k3s brings Traefik as a HelmChart, which a Job installs.
            why, failing = _pods(kube, job)
            problems.append(
                f"{one.title}: Job {_NAMESPACE}/helm-install-{one.name} installs it:"
                f" {state.reason}{why}"
            )
            if not failing and not state.failed:
                under_way.add(problems[-1])
            continue
        problems.append(f"{one.title}: there is no {one.kinds[0]} {_NAMESPACE}/{one.name}")
        hints.append(
            f"k3s deploys {one.title} when it starts: see journalctl -u k3s on the node, or add"
            f" {one.disabled_by} to k3s.disable"
        )
    if problems and not hints:
        hints.append(f"kubectl -n {_NAMESPACE} get pods, and describe the one that is not ready")
    return Finding(
        title=_TITLE,
        health="failed" if problems else "ok",
        facts=tuple(facts),
        problems=tuple(problems),
        hints=tuple(hints),
        under_way=frozenset(under_way),
    )


def _pods(kube: KubeClient, workload: Object) -> tuple[str, bool]:
    """Return why the first pod of a workload that is not ready is not, in brackets.

    Also returns whether it fails. A pod whose sandbox, volume or probe fails has no reason in its
    status: the last of its warnings since its container started says why. k3s' first pods have
    such warnings too, which pass; only an image that cannot be had does not.
    """
    labels = ((workload.get("spec") or {}).get("selector") or {}).get("matchLabels") or {}
    if not labels:
        return "", False
    selector = ",".join(f"{key}={value}" for key, value in sorted(labels.items()))
    for pod in kube.list("v1", "Pod", _NAMESPACE, label_selector=selector):
        state = readiness.readiness(pod)
        if state.ready:
            continue
        name, reason = str(pod["metadata"]["name"]), state.reason
        failing = state.failed or any(word in reason for word in _FAILS)
        if not failing:
            warning = ""
            for event in kube.events(_NAMESPACE, "Pod", name):
                if event.startswith(_EXPLAIN):
                    warning = event
                elif event.startswith(_STARTED):
                    warning = ""  # what kept the container from starting has passed
            reason = "; ".join(filter(None, (reason, warning.removeprefix("Warning "))))
            failing = warning.startswith(_NO_SANDBOX) and "image" in warning
        return f" (pod {name}: {reason})", failing
    return "", False


def _list(kube: KubeClient, versions: Iterable[str], kinds: Iterable[str]) -> list[Object]:
    """Return the objects of each kind, in the first version that has any."""
    found: list[Object] = []
    for kind in kinds:
        for version in versions:
            listed = kube.list(version, kind)
            found += listed
            if listed:
                break
    return found


def _flux(title: str, objects: list[Object]) -> Finding | None:
    if not objects:
        return None
    problems: list[str] = []
    hints: list[str] = []
    for obj in objects:
        state = readiness.readiness(obj)
        hint = suspended.resume(obj)
        if hint:
            hints.append(hint)
        if not state.ready:
            problems.append(f"{obj['kind']} {_name(obj)}: {state.reason}")
    if problems and len(hints) < len(problems):
        hints.append("these objects come from the repository: put right what they say there")
    ready = len(objects) - len(problems)
    return Finding(
        title=title,
        health="failed" if problems else "ok",
        facts=(("ready", f"{ready} of {len(objects)}"),),
        problems=tuple(problems),
        hints=tuple(hints),
    )


def _name(obj: Object) -> str:
    metadata = obj["metadata"]
    namespace = metadata.get("namespace")
    return f"{namespace}/{metadata['name']}" if namespace else str(metadata["name"])

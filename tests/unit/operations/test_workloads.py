"""What status says of k3s' components, HelmReleases and image automation."""

from __future__ import annotations

from typing import Any

import pytest

from provision.operations import suspended, workloads
from tests.support import fluxworld

HELM = "helm.toolkit.fluxcd.io/v2"
IMAGE = "image.toolkit.fluxcd.io/v1"


@pytest.fixture
def kube() -> fluxworld.FakeKube:
    made = fluxworld.World().cluster
    for one in workloads.COMPONENTS:
        made.put(deployment(one.name))
    return made


def deployment(name: str, *, available: int = 1, kind: str = "Deployment") -> dict[str, Any]:
    status: dict[str, Any] = {
        "observedGeneration": 1,
        "replicas": 1,
        "updatedReplicas": 1,
        "availableReplicas": available,
    }
    if kind == "DaemonSet":
        status = {
            "observedGeneration": 1,
            "desiredNumberScheduled": 1,
            "updatedNumberScheduled": 1,
            "numberAvailable": available,
            "numberReady": available,
        }
    return {
        "apiVersion": "apps/v1",
        "kind": kind,
        "metadata": {"name": name, "namespace": "kube-system", "generation": 1},
        "spec": {"selector": {"matchLabels": {"app": name}}},
        "status": status,
    }


def pod(name: str, reason: str) -> dict[str, Any]:
    waiting = {"waiting": {"reason": reason, "message": "Back-off pulling image"}}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": f"{name}-1", "namespace": "kube-system", "labels": {"app": name}},
        "status": {"phase": "Pending", "containerStatuses": [{"name": name, "state": waiting}]},
    }


def flux_object(
    kind: str, name: str, message: str = "", *, version: str = HELM, **spec: Any
) -> dict[str, Any]:
    ready = {
        "type": "Ready",
        "status": "False" if message else "True",
        "reason": "Failed" if message else "Succeeded",
        "message": message,
        "observedGeneration": 1,
    }
    return {
        "apiVersion": version,
        "kind": kind,
        "metadata": {"name": name, "namespace": "media", "generation": 1},
        "spec": spec,
        "status": {"observedGeneration": 1, "conditions": [ready]},
    }


def by_title(kube: fluxworld.FakeKube, *disabled: str) -> dict[str, workloads.Finding]:
    return {one.title: one for one in workloads.check(kube, disabled)}  # type: ignore[arg-type]


def test_components_that_are_ready(kube) -> None:
    found = by_title(kube)
    assert list(found) == ["components of k3s"]
    assert found["components of k3s"].health == "ok"
    assert [value for _, value in found["components of k3s"].facts] == ["ready"] * 4


@pytest.mark.parametrize("one", workloads.COMPONENTS, ids=lambda one: one.name)
def test_a_component_that_cannot_be_pulled_is_named_with_its_reason(kube, one) -> None:
    kube.put(deployment(one.name, available=0))
    kube.put(pod(one.name, "ImagePullBackOff"))
    (found,) = by_title(kube).values()
    assert found.health == "failed" and found.hints
    (problem,) = found.problems
    assert problem.startswith(f"{one.title}: 0 of 1 replicas available")
    assert "ImagePullBackOff" in problem
    assert dict(found.facts)[one.title] == "not ready"
    assert by_title(kube, one.disabled_by)["components of k3s"].health == "ok"


@pytest.mark.parametrize("one", workloads.COMPONENTS, ids=lambda one: one.name)
def test_a_component_that_is_missing_is_not_taken_for_a_disabled_one(kube, one) -> None:
    del kube.objects["Deployment", one.name, "kube-system"]
    (found,) = by_title(kube).values()
    assert found.health == "failed" and one.disabled_by in found.hints[0]
    for addon in {each.addon for each in workloads.COMPONENTS} - {one.addon}:
        metadata = {"name": addon, "namespace": "kube-system"}
        kube.put({"apiVersion": "k3s.cattle.io/v1", "kind": "Addon", "metadata": metadata})
    (found,) = by_title(kube).values()
    assert found.health == "ok"
    assert dict(found.facts)[one.title] == "disabled on the node"


def test_traefik_may_be_a_daemon_set(kube) -> None:
    del kube.objects["Deployment", "traefik", "kube-system"]
    kube.put(deployment("traefik", kind="DaemonSet"))
    assert by_title(kube)["components of k3s"].health == "ok"


def test_releases_and_image_automation_that_fail_are_named(kube) -> None:
    kube.put(flux_object("HelmRelease", "jellyfin", "install retries exhausted"))
    kube.put(flux_object("HelmRelease", "plex"))
    kube.put(flux_object("ImageRepository", "plex", "401 from the registry", version=IMAGE))
    kube.put(flux_object("ImageUpdateAutomation", "all", version=IMAGE))
    found = by_title(kube)
    helm, image = found["HelmReleases"], found["image automation"]
    assert helm.health == image.health == "failed"
    assert helm.facts == (("ready", "1 of 2"),)
    assert helm.problems == ("HelmRelease media/jellyfin: Failed: install retries exhausted",)
    assert image.problems == ("ImageRepository media/plex: Failed: 401 from the registry",)
    assert "repository" in helm.hints[0]


@pytest.mark.parametrize(
    ("kind", "version", "command"),
    [
        ("HelmRelease", HELM, "flux resume helmrelease x -n media"),
        ("ImageRepository", IMAGE, "flux resume image repository x -n media"),
        ("ImageUpdateAutomation", IMAGE, "flux resume image update x -n media"),
    ],
)
def test_a_suspended_object_is_to_be_resumed(kube, kind, version, command) -> None:
    kube.put(flux_object(kind, "x", version=version, suspend=True))
    (found,) = (one for title, one in by_title(kube).items() if title != "components of k3s")
    assert found.problems == (f"{kind} media/x: it is suspended",)
    (hint,) = found.hints
    assert command in hint


def test_older_versions_of_fluxs_api_are_read_too(kube) -> None:
    old = "helm.toolkit.fluxcd.io/v2beta2"
    kube.put(flux_object("HelmRelease", "x", "broken", version=old))
    assert by_title(kube)["HelmReleases"].health == "failed"


def test_what_cannot_be_read_is_not_checked_and_not_absent(kube) -> None:
    kube.down = True
    found = by_title(kube)
    assert len(found) == 3
    assert {one.health for one in found.values()} == {"unknown"}
    assert all("not checked: " in one.problems[0] for one in found.values())


@pytest.mark.parametrize(
    ("kind", "command"),
    [
        ("GitRepository", "source git"),
        ("OCIRepository", "source oci"),
        ("HelmRepository", "source helm"),
        ("Bucket", "source bucket"),
        ("Kustomization", "kustomization"),
        ("HelmRelease", "helmrelease"),
        ("ImageUpdateAutomation", "image update"),
        ("Receiver", "receiver"),
        ("Alert", "alert"),
    ],
)
def test_each_object_of_flux_is_resumed_by_a_command(kind: str, command: str) -> None:
    obj = flux_object(kind, "x", suspend=True)
    assert f"flux resume {command} x -n media" in suspended.resume(obj)
    assert suspended.resume(flux_object(kind, "x")) == ""


def job(name: str, **status: Any) -> dict[str, Any]:
    labels = {"job-name": name}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name, "namespace": "kube-system"},
        "spec": {"selector": {"matchLabels": labels}},
        "status": status,
    }


def test_a_component_that_is_being_installed_is_not_failing(kube) -> None:
    del kube.objects["Deployment", "traefik", "kube-system"]
    kube.put(job("helm-install-traefik", active=1))
    (found,) = by_title(kube).values()
    (problem,) = found.problems
    assert "Job kube-system/helm-install-traefik installs it: 0 of 1 pods have succeeded" in problem
    assert found.failing == () and found.under_way == {problem}
    assert "k3s.disable" not in str(found.hints)


def test_an_installation_that_failed_is_named_with_its_job(kube) -> None:
    del kube.objects["Deployment", "traefik", "kube-system"]
    failed = {"type": "Failed", "status": "True", "reason": "BackoffLimitExceeded", "message": "x"}
    kube.put(job("helm-install-traefik", conditions=[failed]))
    (found,) = by_title(kube).values()
    assert found.failing == found.problems
    assert "helm-install-traefik installs it: BackoffLimitExceeded: x" in found.problems[0]


def starting(name: str) -> dict[str, Any]:
    made = pod(name, "ContainerCreating")
    del made["status"]["containerStatuses"][0]["state"]["waiting"]["message"]
    return made


def test_a_pod_that_starts_is_under_way(kube) -> None:
    kube.put(deployment("coredns", available=0))
    kube.put(starting("coredns"))
    (found,) = by_title(kube).values()
    assert found.problems and not found.failing


def test_a_warning_from_before_a_container_started_explains_nothing(kube) -> None:
    """Seen on k3s: flannel comes after the first pods, whose warnings stay for an hour."""
    kube.put(deployment("coredns", available=0))
    kube.put(starting("coredns"))
    early = "Warning FailedCreatePodSandBox: open /run/flannel/subnet.env: no such file"
    probe = "Warning Unhealthy (x24): Readiness probe failed: server gave HTTP response"
    kube.happened["Pod", "coredns-1"] = [early, "Normal Started: Container started"]
    (found,) = by_title(kube).values()
    assert "FailedCreatePodSandBox" not in found.problems[0]
    kube.happened["Pod", "coredns-1"].append(probe)
    (found,) = by_title(kube).values()
    assert "ContainerCreating; Unhealthy (x24): Readiness probe failed" in found.problems[0]


@pytest.mark.parametrize(
    ("event", "failing"),
    [
        ("FailedCreatePodSandBox (x9): failed to pull image registry.invalid/pause", True),
        ("FailedMount: failed to sync configmap cache", False),
    ],
)
def test_why_a_pod_has_no_sandbox_is_in_its_events(kube, event: str, failing: bool) -> None:
    kube.put(deployment("coredns", available=0))
    kube.put(starting("coredns"))
    happened = ["Normal Scheduled: ok", f"Warning {event}", "Normal Pulling: x"]
    kube.happened["Pod", "coredns-1"] = happened
    (found,) = by_title(kube).values()
    assert f"(pod coredns-1: container coredns: ContainerCreating; {event})" in found.problems[0]
    assert bool(found.failing) is failing

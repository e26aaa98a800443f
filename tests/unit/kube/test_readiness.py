"""When objects are ready, and the words when they are not."""

from __future__ import annotations

import pytest

from provision.kube.readiness import readiness


def obj(api_version: str, kind: str, status=None, spec=None, **metadata) -> dict:
    made = {"apiVersion": api_version, "kind": kind, "metadata": {"name": "x", **metadata}}
    if status is not None:
        made["status"] = status
    if spec is not None:
        made["spec"] = spec
    return made


def cond(kind: str, status: str, reason: str = "", message: str = "", **more) -> dict:
    return {"type": kind, "status": status, "reason": reason, "message": message, **more}


FLUX = "kustomize.toolkit.fluxcd.io/v1"
READY_FLUX = {"observedGeneration": 1, "conditions": [cond("Ready", "True")]}


def flux(status, spec=None, **metadata) -> dict:
    return obj(FLUX, "Kustomization", status, spec or {}, generation=1, **metadata)


def deployment(**status) -> dict:
    return obj("apps/v1", "Deployment", status, {"replicas": 2}, generation=3)


def daemon_set(**status) -> dict:
    return obj("apps/v1", "DaemonSet", status, {}, generation=1)


@pytest.mark.parametrize(
    "good",
    [
        obj("v1", "ConfigMap"),
        obj("v1", "Namespace", {"phase": "Active"}),
        obj("v1", "PersistentVolumeClaim", {"phase": "Bound"}),
        obj("v1", "Pod", {"phase": "Running", "conditions": [cond("Ready", "True")]}),
        obj("v1", "Pod", {"phase": "Succeeded"}),
        obj("v1", "Node", {"conditions": [cond("Ready", "True")]}),
        obj("batch/v1", "Job", {"conditions": [cond("Complete", "True")]}),
        obj(
            "apiextensions.k8s.io/v1",
            "CustomResourceDefinition",
            {"conditions": [cond("NamesAccepted", "True"), cond("Established", "True")]},
        ),
        deployment(observedGeneration=3, replicas=2, updatedReplicas=2, availableReplicas=2),
        daemon_set(observedGeneration=1, desiredNumberScheduled=0),
        daemon_set(
            observedGeneration=1,
            desiredNumberScheduled=1,
            updatedNumberScheduled=1,
            numberAvailable=1,
        ),
        flux(READY_FLUX),
        obj("notification.toolkit.fluxcd.io/v1beta3", "Alert", None, {}),
        obj("example.com/v1", "Widget"),
        obj("example.com/v1", "Widget", {"conditions": [cond("Ready", "True")]}),
    ],
)
def test_ready(good: dict) -> None:
    verdict = readiness(good)
    assert verdict.ready, verdict.reason
    assert not verdict.failed


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (obj("v1", "Namespace", {"phase": "Terminating"}), "it is Terminating"),
        (
            obj("v1", "Namespace", {}, None, deletionTimestamp="t", finalizers=["a", "b"]),
            "it is being deleted, held by a, b",
        ),
        (obj("v1", "PersistentVolumeClaim", {"phase": "Pending"}), "it is Pending"),
        (obj("v1", "Pod", {"phase": "Pending"}), "it is Pending"),
        (
            obj(
                "v1",
                "Pod",
                {
                    "phase": "Pending",
                    "containerStatuses": [
                        {
                            "name": "plex",
                            "state": {
                                "waiting": {"reason": "ImagePullBackOff", "message": "no such"}
                            },
                        }
                    ],
                },
            ),
            "container plex: ImagePullBackOff: no such",
        ),
        (
            obj(
                "v1",
                "Pod",
                {
                    "phase": "Pending",
                    "conditions": [
                        cond("PodScheduled", "False", "Unschedulable", "Insufficient gpu")
                    ],
                },
            ),
            "Unschedulable: Insufficient gpu",
        ),
        (
            obj("v1", "Node", {"conditions": [cond("Ready", "False", "KubeletNotReady", "cni")]}),
            "KubeletNotReady: cni",
        ),
        (obj("batch/v1", "Job", {"succeeded": 1}, {"completions": 2}), "1 of 2 pods"),
        (obj("apiextensions.k8s.io/v1", "CustomResourceDefinition", {}), "not established"),
        (deployment(), "its controller has not looked at it yet"),
        (deployment(observedGeneration=2), "has not seen the latest specification"),
        (deployment(observedGeneration=3, updatedReplicas=1), "1 of 2 replicas updated"),
        (
            deployment(observedGeneration=3, updatedReplicas=2, availableReplicas=1),
            "1 of 2 replicas available",
        ),
        (
            deployment(observedGeneration=3, updatedReplicas=2, availableReplicas=2, replicas=3),
            "1 old replicas not gone",
        ),
        (
            deployment(
                observedGeneration=3,
                conditions=[cond("ReplicaFailure", "True", "FailedCreate", "quota")],
            ),
            "0 of 2 replicas updated (FailedCreate: quota)",
        ),
        (daemon_set(), "its controller has not looked at it yet"),
        (daemon_set(observedGeneration=1, desiredNumberScheduled=2), "0 of 2 pods updated"),
        (flux({}), "its controller has not looked at it yet"),
        (
            flux({"observedGeneration": -1, "conditions": [cond("Ready", "True")]}),
            "has not seen the latest",
        ),
        (
            flux(
                {
                    "observedGeneration": 1,
                    "conditions": [
                        cond("Ready", "False", "BuildFailed", "accumulating resources: no file")
                    ],
                }
            ),
            "BuildFailed: accumulating resources: no file",
        ),
        (
            flux(
                {"observedGeneration": 1, "conditions": [cond("Ready", "Unknown", "Progressing")]}
            ),
            "Progressing",
        ),
        (
            obj("example.com/v1", "Widget", {"conditions": [cond("Ready", "False", "Broken")]}),
            "Broken",
        ),
    ],
)
def test_not_ready_says_why(bad: dict, reason: str) -> None:
    verdict = readiness(bad)
    assert not verdict.ready
    assert not verdict.failed
    assert reason in verdict.reason


@pytest.mark.parametrize(
    ("dead", "reason"),
    [
        (obj("v1", "PersistentVolumeClaim", {"phase": "Lost"}), "its volume is lost"),
        (obj("v1", "Pod", {"phase": "Failed", "reason": "Evicted"}), "Evicted"),
        (
            obj(
                "batch/v1", "Job", {"conditions": [cond("Failed", "True", "BackoffLimitExceeded")]}
            ),
            "BackoffLimitExceeded",
        ),
        (
            obj(
                "apiextensions.k8s.io/v1",
                "CustomResourceDefinition",
                {"conditions": [cond("NamesAccepted", "False", "Conflict", "taken")]},
            ),
            "Conflict: taken",
        ),
        (
            deployment(
                observedGeneration=3,
                conditions=[cond("Progressing", "False", "ProgressDeadlineExceeded", "too long")],
            ),
            "ProgressDeadlineExceeded: too long",
        ),
        (flux(READY_FLUX, {"suspend": True}), "it is suspended"),
        (
            flux(
                {
                    "observedGeneration": 1,
                    "conditions": [cond("Stalled", "True", "InvalidPath"), cond("Ready", "False")],
                }
            ),
            "InvalidPath",
        ),
    ],
)
def test_what_cannot_become_ready_has_failed(dead: dict, reason: str) -> None:
    verdict = readiness(dead)
    assert verdict.failed
    assert reason in verdict.reason


def test_before_the_first_success_the_reason_is_told() -> None:
    waiting = cond("Ready", "False", "DependencyNotReady", "a is not", observedGeneration=1)
    first = flux({"observedGeneration": -1, "conditions": [waiting]})
    assert readiness(first).reason == "DependencyNotReady: a is not"


def test_a_ready_condition_about_an_older_generation_does_not_count() -> None:
    old = cond("Ready", "True", observedGeneration=1)
    stale = obj(
        FLUX, "Kustomization", {"observedGeneration": 2, "conditions": [old]}, {}, generation=2
    )
    assert "older specification" in readiness(stale).reason


def test_health_checks_before_the_first_success_are_told() -> None:
    """As the real kustomize-controller with ``wait: true`` leaves it until its first success."""
    running = "Running health checks for revision main@sha1:1 with a timeout of 5m0s"
    first = flux(
        {
            "observedGeneration": -1,
            "conditions": [
                cond("Reconciling", "True", "Progressing", running, observedGeneration=1),
                cond("Ready", "Unknown", "Progressing", "Reconciliation in progress")
                | {"observedGeneration": 1},
                cond("Healthy", "Unknown", "Progressing", running, observedGeneration=1),
            ],
        }
    )
    assert readiness(first).reason == f"Progressing: {running}"
    assert not readiness(first).failed

"""What of the repository is not ready, each cause once, and how it is told."""

from __future__ import annotations

from typing import Any

from provision import errors
from provision.operations import repository_health
from tests.support.fluxobjects import HELM, KUSTOMIZE, SOURCE, Cluster, flux


def look(*objects: dict[str, Any]) -> repository_health.Report:
    return repository_health.look(Cluster(*objects))  # type: ignore[arg-type]


def release(name: str, ready: str, reason: str, message: str = "", **more: Any) -> dict[str, Any]:
    return flux(HELM, "HelmRelease", name, ready, message, reason, namespace="media", **more)


def kustomization(name: str, source: str, ready: str = "True", **more: Any) -> dict[str, Any]:
    spec = {"sourceRef": {"kind": "GitRepository", "name": source}}
    return flux(KUSTOMIZE, "Kustomization", name, ready, "bad", "BuildFailed", spec=spec, **more)


RECEIVER = "notification.toolkit.fluxcd.io/v1"
CHARTS = flux(SOURCE, "HelmRepository", "charts", "False", "404", "Failed", namespace="media")
CHART = {"chart": {"spec": {"sourceRef": {"kind": "HelmRepository", "name": "charts"}}}}


def test_one_cause_of_many_failures_is_told_once() -> None:
    names = [f"app{number}" for number in range(16)]
    releases = [release(name, "False", "SourceNotReady", spec=CHART) for name in names]
    report = look(CHARTS, *releases, release("fine", "True", "InstallSucceeded"))
    assert (report.total, report.unready) == (18, 17)
    (sentence,) = report.failing
    assert sentence.startswith("HelmRepository media/charts: Failed: 404 (HelmRelease media/app0, ")
    assert sentence.endswith(" and 12 more wait for it)")
    assert report.under_way == ()


def test_what_is_under_way_is_no_failure() -> None:
    report = look(release("a", "Unknown", "Progressing", "Running 'install' action"))
    assert report.failing == ()
    assert report.under_way == ("HelmRelease media/a: Progressing: Running 'install' action",)


def test_what_up_waits_for_is_left_out() -> None:
    report = look(
        flux(SOURCE, "GitRepository", "flux-system", "False", "no"),
        kustomization("apps", "flux-system", "False"),
    )
    assert report == repository_health.Report()


def test_what_is_suspended_is_told_with_how_it_is_resumed() -> None:
    off = {"suspend": True}
    followed = kustomization("apps", "flux-system")
    followed["spec"] |= off
    own = [
        kustomization("flux-system", "flux-system"),
        flux(SOURCE, "GitRepository", "flux-system"),
    ]
    for obj in own:  # `status` shows these two by themselves
        obj["spec"] |= off
    receiver = flux(RECEIVER, "Receiver", "hook", spec=off)
    source = flux(SOURCE, "OCIRepository", "charts", "False", "no", spec=off)
    report = look(
        release("s", "False", "InstallFailed", spec=off), followed, *own, receiver, source
    )
    assert (report.total, report.failing) == (0, ())
    assert list(report.suspended) == [
        "HelmRelease media/s",
        "Kustomization flux-system/apps",
        "OCIRepository flux-system/charts",
        "Receiver flux-system/hook",
    ]
    hint = report.suspended["Kustomization flux-system/apps"]
    assert "flux resume kustomization apps -n flux-system" in hint


def test_a_receiver_that_is_not_ready_is_told() -> None:
    report = look(flux(RECEIVER, "Receiver", "hook", "False", "no Secret"))
    assert report.failing == ("Receiver flux-system/hook: Failed: no Secret",)


def test_a_kustomization_of_another_source_is_looked_at() -> None:
    report = look(kustomization("other", "mine", "False"), flux(SOURCE, "GitRepository", "mine"))
    assert report.failing == ("Kustomization flux-system/other: BuildFailed: bad",)


def test_a_cluster_that_does_not_answer_is_not_called_ready() -> None:
    class Silent(Cluster):
        def list(self, *_: Any) -> Any:
            raise errors.KubeError("the cluster does not answer")

    report = repository_health.look(Silent())  # type: ignore[arg-type]
    assert report.unknown == "the cluster does not answer"

"""From a Kustomization that is not ready to the objects that keep it from becoming so."""

from __future__ import annotations

from typing import Any

from provision.provider.flux import causes
from tests.support.fluxobjects import HELM, KUSTOMIZE, SOURCE, Cluster, flux

WAITING = "Running health checks for revision main@sha1:1 with a timeout of 5m0s"


def apps(*ids: str, source: str = "flux-system", **spec: Any) -> dict[str, Any]:
    entries = [{"id": each.partition("@")[0], "v": each.partition("@")[2]} for each in ids]
    return flux(
        KUSTOMIZE,
        "Kustomization",
        "apps",
        "Unknown",
        WAITING,
        "Progressing",
        spec={"sourceRef": {"kind": "GitRepository", "name": source}, **spec},
        inventory={"entries": entries},
    )


ROOT_SOURCE = flux(SOURCE, "GitRepository", "flux-system")
PLEX = "media_plex_helm.toolkit.fluxcd.io_HelmRelease@v2"


def told(cluster: Cluster, obj: dict[str, Any]) -> list[str]:
    return [str(cause) for cause in causes.Finder(cluster).find(obj)]


def release(ready: str, message: str, reason: str, **more: Any) -> dict[str, Any]:
    return flux(HELM, "HelmRelease", "plex", ready, message, reason, namespace="media", **more)


def test_a_release_that_lacks_a_configmap() -> None:
    plex = release("False", "could not find ConfigMap/media/values", "ValuesError")
    cluster = Cluster(ROOT_SOURCE, plex)
    assert told(cluster, apps(PLEX, "media_x__ConfigMap@v1")) == [
        "HelmRelease media/plex: ValuesError: could not find ConfigMap/media/values"
    ]
    assert "ConfigMap" not in cluster.lists, "what has no readiness is not read"


def test_a_source_that_cannot_be_fetched() -> None:
    other = flux(SOURCE, "GitRepository", "other", "False", "authentication required", "GitFailed")
    assert told(Cluster(other), apps(source="other")) == [
        "GitRepository flux-system/other: GitFailed: authentication required"
    ]
    assert told(Cluster(), apps(source="gone")) == [
        "GitRepository flux-system/gone: it does not exist"
    ]


def test_a_chart_whose_repository_cannot_be_fetched() -> None:
    plex = release(
        "False", "HelmChart is not ready", "SourceNotReady", helmChart="media/media-plex"
    )
    chart = flux(
        SOURCE,
        "HelmChart",
        "media-plex",
        "False",
        "no artifact",
        "NoSourceArtifact",
        namespace="media",
        spec={"sourceRef": {"kind": "HelmRepository", "name": "charts"}},
    )
    charts = flux(
        SOURCE, "HelmRepository", "charts", "False", "404 Not Found", "Failed", namespace="media"
    )
    assert told(Cluster(ROOT_SOURCE, plex, chart, charts), apps(PLEX)) == [
        "HelmRepository media/charts: Failed: 404 Not Found"
    ]


def deployment(name: str, available: int, **labels: str) -> dict[str, Any]:
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {
            "name": name,
            "namespace": "media",
            "generation": 1,
            "labels": {key.replace("__", "/"): value for key, value in labels.items()},
        },
        "spec": {"replicas": 1, "selector": {"matchLabels": {"app": name}}},
        "status": {
            "observedGeneration": 1,
            "replicas": 1,
            "updatedReplicas": 1,
            "availableReplicas": available,
        },
    }


def pod(name: str, app: str) -> dict[str, Any]:
    waiting = {"waiting": {"reason": "ImagePullBackOff", "message": "no such image"}}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": "media", "labels": {"app": app}},
        "status": {"phase": "Pending", "containerStatuses": [{"name": "c", "state": waiting}]},
    }


def test_a_workload_down_to_its_pod() -> None:
    cluster = Cluster(ROOT_SOURCE, deployment("web", 0), pod("web-1", "web"), pod("x", "x"))
    assert told(cluster, apps("media_web_apps_Deployment@v1")) == [
        "Pod media/web-1: container c: ImagePullBackOff: no such image"
    ]


def test_what_a_release_installs() -> None:
    plex = release("Unknown", "Running 'install' action", "Progressing")
    mine = deployment("plex", 0)
    mine["metadata"]["labels"] = {
        "helm.toolkit.fluxcd.io/name": "plex",
        "helm.toolkit.fluxcd.io/namespace": "media",
    }
    cluster = Cluster(ROOT_SOURCE, plex, mine, deployment("other", 0))
    assert told(cluster, apps(PLEX)) == ["Deployment media/plex: 0 of 1 replicas available"]


def test_nested_kustomizations_each_once_and_without_end() -> None:
    inner = apps(PLEX)
    inner["metadata"]["name"] = "inner"
    inner["spec"]["dependsOn"] = [{"name": "apps"}]
    plex = release("False", "timed out", "InstallFailed", spec={"dependsOn": [{"name": "db"}]})
    outer = apps(
        "flux-system_inner_kustomize.toolkit.fluxcd.io_Kustomization@v1", PLEX, "_crb_x__y_z@v1"
    )
    assert told(Cluster(ROOT_SOURCE, inner, outer, plex), outer) == [
        "HelmRelease media/db: it does not exist"
    ]


def test_all_ready_behind_it_says_nothing() -> None:
    cluster = Cluster(ROOT_SOURCE, release("True", "", "InstallSucceeded"))
    assert told(cluster, apps(PLEX)) == []

"""What `up` says of k3s' components and of the repository, when it ends and when it fails."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from provision import errors
from provision.engine import api
from provision.operations import deploy, workloads
from provision.secret import Secret
from tests.support import fluxobjects, fluxworld
from tests.unit.operations.test_workloads import deployment, pod

IMAGE = "image.toolkit.fluxcd.io/v1"


class Engine:
    """An engine whose `up` ends with `error`, or with `outputs`."""

    def __init__(self, error: Exception | None = None, **outputs: Any) -> None:
        self.error = error
        self.outputs = outputs

    def up(self, *_: Any, **__: Any) -> api.Result:
        if self.error is not None:
            raise self.error
        return api.Result(counts={}, outputs=self.outputs, seconds=1.0)


@pytest.fixture
def kube() -> fluxworld.FakeKube:
    made = fluxworld.World().cluster
    for one in workloads.COMPONENTS:
        made.put(deployment(one.name))
    return made


@pytest.fixture
def up(kube, monkeypatch: pytest.MonkeyPatch):
    """Run `up` with an engine over the cluster `kube`."""
    monkeypatch.setattr(deploy.repository, "decide", lambda *_: SimpleNamespace(seeds=()))
    monkeypatch.setattr(deploy.state, "kubeconfig", lambda _: "kubeconfig")
    inputs = {"name": "fleet", "namespace": "gitops"}
    monkeypatch.setattr(deploy.state, "public_inputs", lambda *_: inputs)

    def run(engine: Engine, components: tuple[str, ...] = ()) -> deploy.UpResult:
        flux = SimpleNamespace(all_components=components)
        config = SimpleNamespace(k3s=SimpleNamespace(disable=["traefik"]), flux=flux)
        live = SimpleNamespace(kube=lambda _: kube)
        stack: Any = SimpleNamespace(engine=lambda: engine, config=config, live=live)
        return deploy.up(stack, on_event=lambda _: None)

    return run


def break_coredns(kube: fluxworld.FakeKube) -> None:
    kube.put(deployment("coredns", available=0))
    kube.put(pod("coredns", "ImagePullBackOff"))


DONE = Engine(kubeconfig=Secret("kubeconfig"), fluxRevision="main@sha1:1")


def test_up_looks_at_the_components_of_k3s(kube, up) -> None:
    assert up(DONE).components.health == "ok"
    break_coredns(kube)
    (problem,) = up(DONE).components.failing
    assert problem.startswith("CoreDNS: 0 of 1 replicas available (pod coredns-1: ")
    assert "ImagePullBackOff" in problem


def test_components_are_looked_at_where_flux_was_not_set_up(kube, up) -> None:
    break_coredns(kube)
    done = up(Engine(kubeconfig=Secret("kubeconfig")))
    assert done.repository is None and done.components.failing
    assert up(Engine()).components is None


def test_components_that_cannot_be_read_fail_no_up(kube, up) -> None:
    kube.down = True
    done = up(DONE)
    assert done.components.health == "unknown" and done.repository.unknown


def test_the_source_that_up_waits_for_is_not_told_again(kube, up) -> None:
    source = fluxobjects.flux(
        fluxobjects.SOURCE, "GitRepository", "fleet", "False", namespace="gitops"
    )
    kube.put(source)
    assert up(DONE).repository.total == 0


def test_image_automation_counts_where_its_controllers_run(kube, up) -> None:
    kube.put(fluxobjects.flux(IMAGE, "ImageRepository", "plex", "False", "401"))
    assert up(DONE).repository.total == 0
    report = up(DONE, ("image-reflector-controller",)).repository
    assert report.failing == ("ImageRepository flux-system/plex: Failed: 401",)


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (errors.WaitError("Flux did not become ready", what="Flux", last_seen="seen"), True),
        (errors.NotConvergedError("it differs", remaining=("a",)), True),
        (errors.StackError("update failed", operation="upstream"), True),
        (errors.CodeHostError("GitHub refused", operation="keys"), False),
        (errors.WaitError("k3s on kyrion crashes", what="k3s on kyrion"), False),
    ],
)
def test_an_up_that_waited_in_vain_names_the_component_behind_it(
    kube, up, error: errors.ElysiumError, told: bool
) -> None:
    before = error.detail
    break_coredns(kube)
    with pytest.raises(type(error)) as caught:
        up(Engine(error))
    assert caught.value.detail.startswith(before)
    assert ("CoreDNS: 0 of 1 replicas available" in caught.value.detail) is told


def test_a_cluster_that_does_not_answer_leaves_the_error_as_it_is(kube, up) -> None:
    kube.down = True
    error = errors.WaitError("Flux did not become ready", what="Flux", last_seen="seen")
    with pytest.raises(errors.WaitError) as caught:
        up(Engine(error))
    assert caught.value.detail == "seen"

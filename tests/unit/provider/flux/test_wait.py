"""Waiting until Flux has applied a revision, and what is said when it does not."""

from __future__ import annotations

import pytest

from provision import errors
from provision.provider.flux import wait as flux_wait
from tests.support import fluxparts


def test_every_failure_is_reported_with_its_events(world):
    world.flux.children = {"infra": (), "apps": ("infra",), "other": (), "fine": ()}
    world.flux.broken = {"infra": "no such file", "other": "bad yaml"}
    world.cluster.happened["Kustomization", "infra"] = ["Warning BuildFailed: accumulating"]
    fluxparts.applied(world)
    clock = fluxparts.FakeTime()
    with pytest.raises(errors.WaitError) as caught:
        fluxparts.wait(world, clock)
    text = str(caught.value)
    assert "Kustomization flux-system/infra: BuildFailed: no such file" in text
    assert "Warning BuildFailed: accumulating" in text
    assert "Kustomization flux-system/other: BuildFailed: bad yaml" in text
    assert "apps: it waits for Kustomization flux-system/infra, which failed" in text
    assert "fine" not in text
    # It gave up long before the timeout, and not before having tried again.
    assert 40 < clock.t - 1000 < 90
    assert world.flux.tries == {"infra": 3, "other": 3}


def test_long_messages_hide_no_object(world):
    world.flux.children = {f"k{number:02}": () for number in range(20)}
    world.flux.broken = dict.fromkeys(world.flux.children, "accumulating resources " * 100)
    fluxparts.applied(world)
    with pytest.raises(errors.WaitError) as caught:
        fluxparts.wait(world, fluxparts.FakeTime())
    assert all(
        f"flux-system/{name}: BuildFailed" in str(caught.value) for name in world.flux.broken
    )
    assert len(str(caught.value)) < 20 * 800


def test_a_failure_that_heals_when_tried_again_is_none(world):
    world.flux.broken = {"infra": "webhook not ready"}
    world.flux.heals_after_tries = 2
    fluxparts.applied(world)
    clock = fluxparts.FakeTime()
    world.flux.broken_apps = None

    def heal() -> None:
        world.flux.act()
        if world.flux.tries.get("infra", 0) >= 2:
            world.flux.broken.clear()
            world.flux.act()

    world.cluster.react = heal
    fluxparts.wait(world, clock)
    assert clock.t - 1000 < 30
    assert any("webhook not ready" in text for text in world.said)


def test_a_timeout_names_what_is_missing(world):
    fluxparts.applied(world)
    apps = world.cluster.objects["Kustomization", "apps", "flux-system"]
    world.flux.set(apps, "Unknown", "Progressing", "health checks", {})
    clock = fluxparts.FakeTime()
    with pytest.raises(errors.WaitError) as caught:
        fluxparts.wait(world, clock, timeout=20)
    assert "apps" in caught.value.summary
    assert "within 20 s" in caught.value.summary
    assert 19 < clock.t - 1000 < 22


def test_a_suspended_root_fails_at_once(world):
    fluxparts.applied(world)
    world.cluster.objects["Kustomization", "flux-system", "flux-system"]["spec"]["suspend"] = True
    clock = fluxparts.FakeTime()
    with pytest.raises(errors.WaitError) as caught:
        fluxparts.wait(world, clock)
    assert "suspended" in str(caught.value)
    assert clock.t - 1000 < 5


def test_what_waits_for_a_suspended_one_ends_the_wait_when_the_rest_is_done(world):
    world.flux.children = {"infra": (), "apps": ("infra",), "more": ("apps",), "fine": ()}
    fluxparts.applied(world)
    infra = world.cluster.objects["Kustomization", "infra", "flux-system"]
    infra["spec"]["suspend"] = True
    infra["status"] = {}
    for name in ("apps", "more"):
        obj = world.cluster.objects["Kustomization", name, "flux-system"]
        world.flux.set(obj, "False", "DependencyNotReady", "dependency is not ready", {})
    world.cluster.react = lambda: None
    clock = fluxparts.FakeTime()
    with pytest.raises(errors.WaitError) as caught:
        fluxparts.wait(world, clock, timeout=300)
    text = str(caught.value)
    assert "apps: it waits for Kustomization flux-system/infra, which is suspended" in text
    assert "more: it waits for Kustomization flux-system/apps" in text and "fine" not in text
    assert "flux resume kustomization infra -n flux-system" in caught.value.hint
    assert clock.t - 1000 < 10


def test_what_depends_on_a_suspended_one_at_the_head_is_waited_for(world):
    world.flux.children = {"infra": (), "apps": ("infra",)}
    fluxparts.applied(world)
    world.cluster.objects["Kustomization", "infra", "flux-system"]["spec"]["suspend"] = True
    fluxparts.wait(world, fluxparts.FakeTime())
    assert any("infra is suspended and left alone" in text for text in world.said)


def test_an_old_revision_is_waited_out_and_a_newer_one_counts(world):
    fluxparts.applied(world)
    old = f"main@sha1:{world.hub.head()}"
    world.hub.write("main", "newer", {"x": "y\n"})
    clock = fluxparts.FakeTime()
    seen: list[float] = []
    real = clock.sleep

    def sleep(seconds: float) -> None:
        real(seconds)
        seen.append(clock.t)
        source = world.cluster.objects["GitRepository", "flux-system", "flux-system"]
        assert source["status"]["artifact"]["revision"] == old or len(seen) > 3
        if len(seen) == 3:  # an automation pushes, and Flux fetches that
            world.hub.write("main", "newest", {"x": "z\n"})
            world.flux.act()

    clock.sleep = sleep
    revision = f"main@sha1:{world.hub.head()}"
    flux_wait.until_applied(
        world,
        world.cluster,
        name="flux-system",
        namespace="flux-system",
        revision=revision,
        stamp="asked",
        timeout=600,
        clock=_answering(world, clock),
    )
    assert len(seen) >= 3


def _answering(world, clock):
    """From the third look on the source has acted on the request."""
    real = clock.sleep

    def sleep(seconds: float) -> None:
        real(seconds)
        source = world.cluster.objects["GitRepository", "flux-system", "flux-system"]
        if world.hub.messages and world.hub.messages[-1] == "newest":
            source["status"]["lastHandledReconcileAt"] = "asked"

    clock.sleep = sleep
    return clock


def test_a_cluster_that_stutters_is_waited_for(world):
    fluxparts.applied(world)
    clock = fluxparts.FakeTime()
    world.cluster.down = True
    real = clock.sleep

    def sleep(seconds: float) -> None:
        real(seconds)
        world.cluster.down = clock.t < 1005

    clock.sleep = sleep
    fluxparts.wait(world, clock)
    assert any("does not answer" in text for text in world.said)


RUNNING = "Running health checks for revision main@sha1:1 with a timeout of 5m0s"


def checking_health(world, name: str, *ids: str) -> None:
    """Leave a Kustomization as the real controller does that waits for a first success."""
    obj = world.cluster.objects["Kustomization", name, "flux-system"]
    obj["metadata"]["generation"] = 1
    world.flux.set(obj, "Unknown", "Progressing", "Reconciliation in progress", {})
    obj["status"]["observedGeneration"] = -1
    obj["status"]["conditions"][0]["observedGeneration"] = 1
    obj["status"]["conditions"].append(
        {"type": "Reconciling", "status": "True", "reason": "Progressing", "message": RUNNING}
    )
    obj["status"]["inventory"] = {"entries": [{"id": each, "v": "v2"} for each in ids]}
    world.cluster.put(
        {
            "apiVersion": "helm.toolkit.fluxcd.io/v2",
            "kind": "HelmRelease",
            "metadata": {"name": "plex", "namespace": "media", "generation": 1},
            "spec": {},
            "status": {
                "observedGeneration": -1,
                "conditions": [
                    {
                        "type": "Ready",
                        "status": "False",
                        "reason": "ValuesError",
                        "message": "could not find ConfigMap media/values",
                        "observedGeneration": 1,
                    }
                ],
            },
        }
    )


PLEX = "media_plex_helm.toolkit.fluxcd.io_HelmRelease"
WHY = "HelmRelease media/plex: ValuesError: could not find ConfigMap media/values"


def test_health_checks_name_what_is_not_ready(world):
    fluxparts.applied(world)
    checking_health(world, "apps", PLEX)
    checking_health(world, "infra", PLEX)
    world.said.clear()
    with pytest.raises(errors.WaitError) as caught:
        fluxparts.wait(world, fluxparts.FakeTime(), timeout=60)
    text = caught.value.detail
    assert f"Kustomization flux-system/infra: Progressing: {RUNNING}" in text
    assert text.count(WHY) == 1, "each finding once"
    assert "latest specification" not in text + " ".join(world.said)
    assert sum(WHY in said and "still" not in said for said in world.said) == 1


def test_what_is_waited_for_is_said_every_30_seconds(world):
    fluxparts.applied(world)
    checking_health(world, "apps", PLEX)
    world.said.clear()
    clock = fluxparts.FakeTime()
    heard: list[float] = [clock.t]
    say = world.progress

    def progress(message: str) -> None:
        heard.append(clock.t)
        say(message)

    world.progress = progress
    with pytest.raises(errors.WaitError):
        fluxparts.wait(world, clock, timeout=300)
    gaps = [after - before for before, after in zip(heard, [*heard[1:], clock.t], strict=True)]
    assert max(gaps) <= 30
    assert len(world.said) == len(set(world.said)) < 25, world.said
    assert WHY in world.said[-1]


def test_a_silent_cluster_is_told_of_once_and_then_every_30_seconds(world):
    fluxparts.applied(world)
    world.said.clear()
    world.cluster.down = True
    with pytest.raises(errors.WaitError):
        world.cluster.events = lambda *_: []
        fluxparts.wait(world, fluxparts.FakeTime(), timeout=100)
    assert 3 <= len(world.said) <= 5, world.said


def test_a_cluster_that_does_not_answer_at_the_end_is_not_asked_again(world, monkeypatch):
    """Nor is it said that what was not looked for does not exist."""
    fluxparts.applied(world)
    clock = fluxparts.FakeTime()
    away = errors.KubeError(
        "reading x: no answer from https://10.0.0.1:6443", status=0, detail="timed out"
    )

    def silent(*_: object, **__: object) -> None:
        clock.t += 30
        raise away

    for name in ("get", "list", "events"):
        monkeypatch.setattr(world.cluster, name, silent)
    with pytest.raises(errors.WaitError) as caught:
        fluxparts.wait(world, clock, timeout=60)
    text = str(caught.value)
    assert clock.t - 1000 <= 91 and "does not exist" not in text
    assert "the cluster does not answer" in text
    assert "no answer from https://10.0.0.1:6443: timed out" in text

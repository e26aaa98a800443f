"""Waiting, with a clock that does not wait."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import pytest

from provision import errors
from provision.kube import wait


class Clock:
    def __init__(self) -> None:
        self.now = 0.0
        self.slept: list[float] = []

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


class Cluster:
    """Answers reads from functions of time; anything not listed is absent."""

    def __init__(self, clock: Clock, **objects: Callable[[float], dict | None]) -> None:
        self.clock = clock
        self.objects = objects
        self.reads = 0
        self.pods: list[dict] = []
        self.listed: list[tuple[str | None, str | None]] = []

    def get(self, api_version, kind, name, namespace=None):
        self.reads += 1
        answer = self.objects.get(name, lambda _now: None)(self.clock.now)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def events(self, namespace, involved_kind, involved_name):
        return [f"Warning Trouble: with {involved_name}"]

    def list(self, api_version, kind, namespace=None, label_selector=None, field_selector=None):
        assert (api_version, kind) == ("v1", "Pod")
        self.listed.append((namespace, label_selector))
        return self.pods


def ref(name: str) -> wait.Ref:
    return wait.Ref(api_version="v1", kind="Namespace", name=name)


def phase(name: str, text: str) -> dict:
    return {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {"name": name},
        "status": {"phase": text},
    }


def test_returns_the_objects_once_all_are_ready() -> None:
    clock = Clock()
    cluster = Cluster(
        clock,
        a=lambda now: phase("a", "Active") if now > 3 else None,
        b=lambda now: phase("b", "Active"),
    )
    said: list[str] = []
    found = wait.wait_ready(
        cluster, [ref("a"), ref("b")], timeout=60, progress=said.append, clock=clock
    )
    assert list(found) == [ref("a"), ref("b")]
    assert found[ref("a")]["status"]["phase"] == "Active"
    assert said == [
        "Namespace a: it does not exist yet",
        "Namespace b is ready",
        "Namespace a is ready",
    ]
    assert 3 < clock.now < 6


def test_nothing_to_wait_for() -> None:
    assert wait.wait_ready(Cluster(Clock()), [], timeout=1, clock=Clock()) == {}


def test_names_all_that_are_missing_with_status_and_events() -> None:
    clock = Clock()
    cluster = Cluster(clock, a=lambda now: phase("a", "Terminating"))
    with pytest.raises(errors.WaitError) as caught:
        wait.wait_ready(cluster, [ref("a"), ref("b")], timeout=5, clock=clock)
    error = caught.value
    assert error.summary == "Namespace a, Namespace b did not become ready within 5 s"
    assert "Namespace a: it is Terminating" in error.last_seen
    assert "Namespace b: it does not exist yet" in error.last_seen
    assert "Warning Trouble: with a" in error.last_seen
    assert clock.now == pytest.approx(5, abs=0.1)


def test_a_failed_one_does_not_keep_the_others_from_being_reported() -> None:
    clock = Clock()
    lost = {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": "lost"},
        "status": {"phase": "Lost"},
    }
    cluster = Cluster(
        clock,
        lost=lambda now: lost,
        late=lambda now: phase("late", "Active") if now > 2 else None,
    )
    said: list[str] = []
    with pytest.raises(errors.WaitError) as caught:
        wait.wait_ready(
            cluster, [ref("lost"), ref("late")], timeout=60, progress=said.append, clock=clock
        )
    assert "Namespace late is ready" in said
    assert caught.value.summary == "Namespace lost did not become ready"
    assert clock.now < 10


def test_an_api_server_that_is_away_is_waited_for() -> None:
    clock = Clock()
    away = errors.KubeError("no answer", status=0, reason="Unreachable")
    cluster = Cluster(clock, a=lambda now: away if now < 2 else phase("a", "Active"))
    assert wait.wait_ready(cluster, [ref("a")], timeout=10, clock=clock)


def test_a_refusal_ends_the_wait() -> None:
    clock = Clock()
    no = errors.KubeError("no", status=403)
    with pytest.raises(errors.KubeError):
        wait.wait_ready(Cluster(clock, a=lambda now: no), [ref("a")], timeout=10, clock=clock)


def test_pauses_grow_to_two_seconds() -> None:
    clock = Clock()
    with pytest.raises(errors.WaitError):
        wait.wait_ready(Cluster(clock), [ref("a")], timeout=60, clock=clock)
    assert clock.slept[0] == pytest.approx(0.1)
    assert max(clock.slept) == 2.0


def test_many_are_counted() -> None:
    clock = Clock()
    with pytest.raises(errors.WaitError) as caught:
        wait.wait_ready(Cluster(clock), [ref(n) for n in "abcd"], timeout=1, clock=clock)
    assert caught.value.summary.startswith("4 objects did not become ready")


def pod(name: str, **status) -> dict:
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "status": status}


def test_pods_say_why_their_workload_is_not_ready() -> None:
    clock = Clock()
    daemon_set = {
        "apiVersion": "apps/v1",
        "kind": "DaemonSet",
        "metadata": {"name": "plugin", "namespace": "gpu"},
        "spec": {"selector": {"matchLabels": {"tier": "x", "app": "plugin"}}},
        "status": {"observedGeneration": 1, "desiredNumberScheduled": 2},
    }
    cluster = Cluster(clock, plugin=lambda now: daemon_set)
    waiting = {"reason": "ImagePullBackOff", "message": "no such image"}
    ready = [{"type": "Ready", "status": "True"}]
    cluster.pods = [
        pod("plugin-a", phase="Running", conditions=ready),
        pod(
            "plugin-b",
            phase="Pending",
            containerStatuses=[{"name": "main", "state": {"waiting": waiting}}],
        ),
    ]
    wanted = wait.Ref.of(daemon_set)
    with pytest.raises(errors.WaitError) as caught:
        wait.wait_ready(cluster, [wanted], timeout=1, clock=clock)
    assert cluster.listed == [("gpu", "app=plugin,tier=x")]
    assert "pod plugin-b: container main: ImagePullBackOff: no such image" in (
        caught.value.last_seen
    )
    assert "plugin-a" not in caught.value.last_seen


def test_what_is_waited_for_is_said_every_30_seconds() -> None:
    clock = Clock()
    cluster = Cluster(clock, a=lambda _now: phase("a", "Terminating"))
    heard: list[tuple[float, str]] = []
    with pytest.raises(errors.WaitError):
        wait.wait_ready(
            cluster,
            [ref("a"), ref("b")],
            timeout=200,
            progress=lambda text: heard.append((clock.now, text)),
            clock=clock,
        )
    times = [when for when, _ in heard]
    assert all(after - before <= 30 for before, after in itertools.pairwise(times))
    assert times[-1] > 170
    assert "Namespace a: it is Terminating; Namespace b: it does not exist yet" in heard[-1][1]


def test_a_server_that_is_silent_is_asked_once_a_round_and_not_at_the_end() -> None:
    """Each question to it takes its whole timeout: eight objects would take eight of them."""
    clock = Clock()
    away = errors.KubeError(
        "reading x: no answer from https://10.0.0.1:6443",
        status=0,
        reason="Unreachable",
        detail="timed out",
    )

    def silent(_now: float) -> Exception:
        clock.now += 30
        return away

    names = [f"n{number}" for number in range(8)]
    cluster = Cluster(clock, **dict.fromkeys(names, silent))
    asked: list[str] = []
    cluster.events = lambda *_: asked.append("events") or []  # type: ignore[method-assign]
    with pytest.raises(errors.WaitError) as caught:
        wait.wait_ready(cluster, [ref(name) for name in names], timeout=60, clock=clock)
    assert clock.now <= 60 + 31 and not asked
    assert str(caught.value).count("no answer from https://10.0.0.1:6443: timed out") == 8

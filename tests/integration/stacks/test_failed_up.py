"""What works with the state that a first ``up`` left, which failed at one of its resources."""

from __future__ import annotations

import pathlib
from typing import Any

import pytest
from pulumi.provider.experimental import provider as protocol

from provision import config, errors
from provision.engine import api
from provision.gitops.coldstart import needs
from provision.operations import configured, preflight, state, status, workloads
from provision.operations import stack as stacks
from provision.provider import registry, resource
from provision.provider.connections import Live
from provision.secret import Secret
from stacks import program, repository_facts
from tests.support import remembering
from tests.support.fluxobjects import HELM, KUSTOMIZE, SOURCE, Cluster, flux

KINDS = tuple(remembering.Remembering.extra)
CONFIGURED = tuple(kind for kind in KINDS if kind != "elysium:secrets:Seed")


class Failing(remembering.Remembering):
    """Creates anything but `broken`."""

    broken = ""
    changed: list[str]

    async def create(self, request: protocol.CreateRequest) -> protocol.CreateResponse:
        if remembering.type_of(request) == self.broken:
            raise errors.KubeError("the API server refused it")
        return await super().create(request)


@pytest.fixture
def cluster(tmp_path: pathlib.Path) -> Any:
    """A stack whose providers only remember; `broken` is the type that cannot be created."""
    cfg = remembering.whole_config()
    (tmp_path / "state").mkdir()
    calls: list[tuple[str, str]] = []

    class Kept(stacks.Stack):
        broken = ""

        def engine(self) -> api.Engine:
            def maker() -> Failing:
                made = Failing(calls)
                made.broken = Kept.broken
                return made

            ref = api.StackRef(
                root=tmp_path, project="elysium", stack="kyrion", backend="file://./state"
            )
            providers = {"elysium": maker, "kubernetes": maker}
            return api.open_engine("embedded", ref, Secret("pass"), providers)

    opened = Kept(
        directory=tmp_path,
        ref=api.StackRef(
            root=tmp_path, project="elysium", stack="kyrion", backend="file://./state"
        ),
        config=cfg,
        kind="embedded",
        passphrase=Secret("pass"),
        live=Live(cfg),
    )
    yield opened
    Kept.broken = ""


def described(cfg: config.Config, **rotations: Any) -> api.Program:
    seed = needs.Need(
        kind="Secret",
        name="vars",
        namespace="flux-system",
        blocks="apps",
        reason="r",
        where="w",
        suggestion="",
    )
    return program.make_program(
        cfg,
        repository_facts.Decisions(flux_brings_gpu_plugin=True, seeds=(seed,)),
        rotations=program.Rotations(**rotations),
    )


def up(stack: stacks.Stack, *targets: str, **rotations: Any) -> None:
    options = api.Options(targets=tuple(f"**::{name}" for name in targets))
    stack.engine().up(
        described(stack.config, **rotations), options=options, on_event=lambda _: None
    )


def fail(stack: Any, kind: str) -> dict[str, state.Record]:
    """Run a first ``up`` that fails at `kind`; return what the state has, by type."""
    type(stack).broken = kind
    with pytest.raises(errors.KubeError):
        up(stack)
    type(stack).broken = ""
    return {record.type: record for record in state.resources(stack)}


@pytest.mark.parametrize("broken", KINDS)
def test_each_made_resource_is_a_target(cluster: Any, broken: str) -> None:
    made = fail(cluster, broken)
    assert broken not in made
    for record in made.values():
        up(cluster, record.name)
        up(cluster, record.name, deploy_key="1", sealing_key="1", k3s_token="1", clients="1")
    assert {record.type for record in state.resources(cluster)} == set(made)
    up(cluster)
    assert {record.type for record in state.resources(cluster)} == set(KINDS)


@pytest.mark.parametrize("broken", KINDS)
def test_the_kubeconfig_is_that_of_k3s(cluster: Any, broken: str) -> None:
    fail(cluster, broken)
    if broken == "elysium:node:K3sServer":
        with pytest.raises(errors.StackError, match="the last run did not set up k3s"):
            status.kubeconfig(cluster)
        assert "kubeconfig" not in status.outputs(cluster)
        return
    assert status.kubeconfig(cluster) == "kubeconfig-canary"
    found = status.outputs(cluster)
    assert found["kubeconfig"] == Secret("kubeconfig-canary")
    assert found["nodeName"] == "kyrion"
    assert "kubeconfig-canary" not in str(found)
    assert status.outputs(cluster, show_secrets=True)["kubeconfig"] == "kubeconfig-canary"


class Looked:
    """A kind of resource that is as it should be, whatever is asked."""

    plans_without: frozenset[str] = frozenset()

    def observe(self, *_: Any) -> resource.Observed[None]:
        return resource.Observed(exists=True, facts=None)

    def plan(self, *_: Any) -> tuple[()]:
        return ()

    def outputs(self, _facts: Any, _inputs: Any, state: Any) -> dict[str, Any]:
        return {"certificatePath": "pub.pem", **state}

    def remarks(self, *_: Any) -> tuple[()]:
        return ()


@pytest.fixture
def looked(cluster: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(registry, "find", lambda _type: Looked())
    monkeypatch.setattr(preflight, "prefetch", lambda _stack: None)
    monkeypatch.setattr(cluster.live, "kube", lambda _text: Cluster())
    monkeypatch.setattr(workloads, "check", lambda _kube, _disabled: [])
    return cluster


@pytest.mark.parametrize("broken", KINDS)
def test_status_lists_what_is_configured_and_missing(looked: Any, broken: str) -> None:
    made = fail(looked, broken)
    found = status.status(looked)
    missing = {section.title for section in found.sections if section.health == "missing"}
    expected = {configured.TITLES[kind] for kind in CONFIGURED if kind not in made}
    assert missing == expected
    assert not found.ok
    up(looked)
    after = status.status(looked)
    assert after.ok
    assert [section.title for section in after.sections if section.health == "missing"] == []


def test_status_says_how_the_workloads_are(looked: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []

    def check(_kube: Any, disabled: Any) -> list[workloads.Finding]:
        asked.append(list(disabled))
        return [
            workloads.Finding(
                title="HelmReleases", health="failed", problems=("it fails",), hints=("mend it",)
            )
        ]

    monkeypatch.setattr(workloads, "check", check)
    assert status.status(looked).sections == () and asked == []
    looked.config = looked.config.model_copy(
        update={"k3s": looked.config.k3s.model_copy(update={"disable": ("traefik",)})}
    )
    up(looked)
    found = status.status(looked)
    assert asked == [["traefik"]]
    assert not found.ok
    (section,) = (one for one in found.sections if one.health != "ok")
    assert (section.title, section.hints) == ("HelmReleases", ("mend it",))

    def unreachable(_kubeconfig: str) -> Any:
        raise errors.KubeError("the API server does not answer")

    monkeypatch.setattr(looked.live, "kube", unreachable)
    (section,) = (one for one in status.status(looked).sections if one.health != "ok")
    assert section.health == "unknown"
    assert section.problems == ("not checked: the API server does not answer",)


@pytest.mark.parametrize(
    "error",
    [
        errors.ConnectError("192.0.2.7 does not answer", host="192.0.2.7", hint="look at it"),
        errors.KubeError("no answer from https://192.0.2.7:6443", hint="look at it"),
        errors.CodeHostError("no answer from api.github.com", operation="read", hint="look at it"),
    ],
)
def test_what_could_not_be_asked_has_not_failed(
    looked: Any, monkeypatch: pytest.MonkeyPatch, error: errors.ElysiumError
) -> None:
    up(looked)

    def observe(*_: Any) -> Any:
        raise error

    monkeypatch.setattr(Looked, "observe", observe)
    found = status.status(looked)
    assert not found.ok
    sections = [each for each in found.sections if each.title in configured.TITLES.values()]
    assert {each.health for each in sections} == {"unknown"}
    assert {each.problems for each in sections} == {(f"not checked: {error.summary}",)}
    assert {each.hints for each in sections} == {("look at it",)}


def test_status_before_the_first_up_is_not_well(looked: Any) -> None:
    found = status.status(looked)
    assert found.sections == ()
    assert not found.ok


def test_status_names_what_is_not_configured_any_more(looked: Any) -> None:
    up(looked)
    looked.config = looked.config.model_copy(update={"media": None})
    section = next(s for s in status.status(looked).sections if s.title == "media library")
    assert section.health == "drift"
    assert section.problems == ("it is not configured any more, and 'elysium up' removes it",)


def failing_release() -> Cluster:
    return Cluster(
        flux(HELM, "HelmRelease", "plex", "False", "timed out", "InstallFailed", namespace="media")
    )


def failing_source() -> Cluster:
    return Cluster(flux(SOURCE, "HelmRepository", "charts", "False", "404", namespace="media"))


def test_status_says_what_of_the_repository_fails(looked: Any, monkeypatch: Any) -> None:
    up(looked)
    monkeypatch.setattr(looked.live, "kube", lambda _text: failing_source())
    found = status.status(looked)
    wrong = [section for section in found.sections if section.health != "ok"]
    assert [section.title for section in wrong] == ["what the repository applies"]
    assert wrong[0].problems == ("HelmRepository media/charts: Failed: 404",)
    assert not found.ok
    titles = [section.title for section in found.sections]
    assert "seed: Secret flux-system/vars" in titles


def test_status_says_what_is_suspended_and_how_it_is_resumed(looked: Any, monkeypatch: Any) -> None:
    up(looked)
    off = flux(KUSTOMIZE, "Kustomization", "apps", namespace="media", spec={"suspend": True})
    monkeypatch.setattr(looked.live, "kube", lambda _text: Cluster(off))
    found = status.status(looked)
    (section,) = (each for each in found.sections if each.health != "ok")
    assert section.title == "what the repository applies"
    assert section.problems == ("Kustomization media/apps is suspended",)
    assert "flux resume kustomization apps -n media" in section.hints[0]


def test_up_says_both_and_names_the_seeds(cluster: Any, monkeypatch: Any) -> None:
    from provision.operations import deploy, repository

    seed = needs.Need(
        kind="Secret",
        name="vars",
        namespace="flux-system",
        blocks="apps",
        reason="r",
        where="w",
        suggestion="",
    )
    decided = repository_facts.Decisions(flux_brings_gpu_plugin=True, seeds=(seed,))
    monkeypatch.setattr(repository, "decide", lambda *_: decided)
    monkeypatch.setattr(deploy.stack_id, "ensure", lambda *_: None)
    monkeypatch.setattr(cluster.live, "kube", lambda _text: failing_release())
    done = deploy.up(cluster, on_event=lambda _: None)
    assert done.seeds == ("Secret flux-system/vars",)
    assert done.repository is not None
    assert done.repository.failing == ("HelmRelease media/plex: InstallFailed: timed out",)
    assert all("urn:" not in what for what, _ in done.steps)

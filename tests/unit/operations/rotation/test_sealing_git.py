"""The repository's part of a sealing key's rotation, against GitHub and a cluster in memory."""

from __future__ import annotations

import dataclasses
import itertools

import pytest
import yaml

from provision import errors
from provision.gitops import documents
from provision.gitops.sealing import keyring, sealed
from provision.gitops.sealing import keys as sealing_keys
from provision.operations.rotation import sealing_git, sealing_key
from provision.provider import resource
from provision.provider.sealing import cluster as sealing_cluster
from provision.provider.sealing import key as sealing_resource
from tests.support import elysiumrepo, fluxworld

CERTIFICATE = "etc/certs/pub-sealed-secrets.pem"
PUSH = sealing_git.Place(branch="main", certificate=CERTIFICATE, commit="push")
PULL = sealing_git.Place(branch="main", certificate=CERTIFICATE, commit="pull-request")
KIND = sealing_resource.SealingKey()
INPUTS = {
    "kubeconfig": "kubeconfig",
    "namespace": "flux-system",
    "branch": "main",
    "path": "clusters/kyrion",
    "commit": "push",
    "certificatePath": CERTIFICATE,
    "keys": "",
    "rotation": "",
}
BEFORE = sealing_key.Outlook(
    keys=("SHA256:x",),
    unfinished="",
    made=None,
    certificate=CERTIFICATE,
    reseal=(),
    others=(),
    commits=True,
)


@pytest.fixture(autouse=True)
def short_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sealing_keys, "KEY_BITS", 1024)


def controller(world: fluxworld.World) -> None:
    """Have the cluster open SealedSecrets with the keys it had when its pod started."""
    cluster = world.cluster
    cluster.put(
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": "sealed-secrets", "namespace": "flux-system", "generation": 1},
            "spec": {
                "replicas": 1,
                "selector": {"matchLabels": {"app": "sealed-secrets"}},
                "template": {"spec": {"containers": [{"image": "bitnami/sealed-secrets:1"}]}},
            },
            "status": {
                "observedGeneration": 1,
                "replicas": 1,
                "updatedReplicas": 1,
                "readyReplicas": 1,
                "availableReplicas": 1,
                "conditions": [{"type": "Available", "status": "True"}],
            },
        }
    )
    known: list[sealing_keys.SealingKey] = []
    starts = itertools.count()

    def start() -> None:
        known[:] = keyring.from_secrets(
            cluster.list("v1", "Secret", "flux-system", label_selector=sealing_keys.KEY_LABEL)
        )[0]
        metadata = {"name": "pod", "namespace": "flux-system", "labels": {"app": "sealed-secrets"}}
        metadata["uid"] = str(next(starts))
        cluster.put({"apiVersion": "v1", "kind": "Pod", "metadata": metadata})

    delete = cluster.delete

    def delete_and_act(api_version, kind, name, namespace=None, **more):
        try:
            return delete(api_version, kind, name, namespace, **more)
        finally:  # the cluster goes on, whoever was killed
            if kind == "Pod" and ("Pod", "pod", "flux-system") not in cluster.objects:
                start()
            if kind == "SealedSecret" and (kind, name, namespace) not in cluster.objects:
                cluster.objects.pop(("Secret", name, namespace), None)

    def react() -> None:
        for (kind, _, _), obj in list(cluster.objects.items()):
            if kind != "SealedSecret":
                continue
            values = sealed.values(obj, known)
            if values is not None:
                secret = sealed.unseal(obj, known)
                cluster.put(secret)

    cluster.delete = delete_and_act  # type: ignore[method-assign]
    cluster.react = react
    start()


@pytest.fixture
def world() -> fluxworld.World:
    return fluxworld.World()


def begin(world: fluxworld.World) -> dict:
    """A cluster with one key, a controller, and two SealedSecrets in Git; returns the state."""
    observed, kept = resource.converge(KIND, world, INPUTS, {})
    state = INPUTS | KIND.outputs(observed.facts, INPUTS, kept)
    key = keyring.load(state["keys"])[0]
    controller(world)
    world.hub.write(
        "main",
        "secrets",
        {
            "apps/a.yaml": elysiumrepo.sealed_secret(key, "a", "media", token="t-1"),
            "apps/b.yaml": elysiumrepo.sealed_secret(key, "b", "media", token="t-2"),
        },
    )
    world.calls.clear()
    world.hub.messages.clear()
    return state


def rotate(world: fluxworld.World, state: dict, wish: str, place=PUSH) -> tuple[dict, object]:
    """What `sealing_key.rotate` does, without an engine around it."""
    facts = KIND.observe(world, INPUTS, state).facts
    unfinished = sealing_key._unfinished(facts)
    inputs = INPUTS | {"rotation": "" if unfinished else wish}
    observed, kept = resource.converge(KIND, world, inputs, state)
    state = inputs | KIND.outputs(observed.facts, inputs, kept)
    keys = keyring.load(state["keys"])
    before = dataclasses.replace(BEFORE, unfinished=unfinished)
    sealing_key.prove(world, "kubeconfig", keys[0], "flux-system", before)
    return state, sealing_git.publish(world, place, keys)


def in_git(world: fluxworld.World) -> dict[str, str]:
    return world.hub.commits[world.hub.branches["main"]]


def opened_by(world: fluxworld.World, key: sealing_keys.SealingKey) -> list[bytes | None]:
    found = [sealed.values(yaml.safe_load(in_git(world)[f"apps/{n}.yaml"]), [key]) for n in "ab"]
    return [one["token"] if one else None for one in found]


def finished(world: fluxworld.World, state: dict, generations: int) -> None:
    """Exactly one key was made, is in use, and nothing is left over."""
    keys = keyring.load(state["keys"])
    assert len(keys) == generations
    assert in_git(world)[CERTIFICATE] == keys[0].certificate_pem
    assert opened_by(world, keys[0]) == [b"t-1", b"t-2"]
    assert opened_by(world, keys[1]) == [None, None]
    probe = ("SealedSecret", sealing_cluster.PROBE, "flux-system")
    assert probe not in world.cluster.objects


def test_one_commit_has_the_certificate_and_everything_sealed_anew(world) -> None:
    state, published = rotate(world, begin(world), "1")
    finished(world, state, 2)
    fingerprint = state["fingerprints"][0]
    assert world.hub.messages == [f"Seal 2 secrets for the sealing key {fingerprint}"]
    assert [one.ref for one in published.resealed] == [
        "SealedSecret media/a",
        "SealedSecret media/b",
    ]
    keys = keyring.load(state["keys"])
    world.calls.clear()
    assert sealing_git.publish(world, PUSH, keys).resealed == ()
    assert world.calls == []


def test_killed_anywhere_the_next_run_goes_on_with_the_same_key() -> None:
    probe = fluxworld.World()
    first = begin(probe)
    rotate(probe, first, "1")
    steps = list(probe.calls)
    assert steps == [
        "create Secret",
        "delete Pod",
        "apply SealedSecret",
        "delete SealedSecret",
        "commit",
    ]
    for step in range(1, len(steps) + 1):
        for after in (False, True):
            world = fluxworld.World()
            state = begin(world)
            world.kill_at, world.kill_after = step, after
            with pytest.raises(fluxworld.Killed):
                rotate(world, state, "1")
            world.kill_at = 0
            done_already = step == len(steps) and after
            state, _ = rotate(world, state, "2")
            finished(world, state, 3 if done_already else 2)


def test_what_somebody_pushes_meanwhile_is_sealed_too_and_never_overwritten(world) -> None:
    state = begin(world)
    key = keyring.load(state["keys"])[0]
    pushes = iter(["t-3", "t-4"])

    def push() -> None:
        value = next(pushes, None)
        if value:
            text = elysiumrepo.sealed_secret(key, "a", "media", token=value)
            world.hub.write("main", "somebody", {"apps/a.yaml": text})

    world.hub.before_commit = push
    state, _ = rotate(world, state, "1")
    keys = keyring.load(state["keys"])
    assert opened_by(world, keys[0]) == [b"t-4", b"t-2"]


def test_a_file_that_never_rests_ends_in_words(world) -> None:
    state = begin(world)
    key = keyring.load(state["keys"])[0]

    def push() -> None:
        text = elysiumrepo.sealed_secret(key, "a", "media", token="again")
        world.hub.write("main", "somebody", {"apps/a.yaml": text})

    world.hub.before_commit = push
    with pytest.raises(errors.CodeHostError):
        rotate(world, state, "1")


def test_a_pull_request_is_opened_once(world) -> None:
    state, published = rotate(world, begin(world), "1", PULL)
    keys = keyring.load(state["keys"])
    assert published.pull is not None and published.pull.state == "open"
    assert opened_by(world, keys[1]) == [b"t-1", b"t-2"], "main is as it was"
    world.calls.clear()
    again = sealing_git.publish(world, PULL, keys)
    assert again.pull == published.pull and again.resealed == ()
    assert world.calls == []
    world.hub.merge(published.pull.branch)
    finished(world, state, 2)


def test_a_controller_that_does_not_open_it_is_an_error(world, monkeypatch) -> None:
    state = begin(world)
    world.cluster.react = lambda: None
    monkeypatch.setattr(sealing_cluster, "_PROOF_TIMEOUT", 0.05)
    with pytest.raises(errors.WaitError) as caught:
        rotate(world, state, "1")
    assert "goes on from here" in caught.value.hint
    assert ("SealedSecret", sealing_cluster.PROBE, "flux-system") not in world.cluster.objects
    assert "commit" not in world.calls


def test_a_leftover_of_an_earlier_proof_proves_nothing(world, monkeypatch) -> None:
    state = begin(world)
    world.cluster.put(
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": sealing_cluster.PROBE, "namespace": "flux-system"},
            "data": {"probe": "b2xk"},
        }
    )
    world.cluster.react = lambda: None
    monkeypatch.setattr(sealing_cluster, "_PROOF_TIMEOUT", 0.05)
    with pytest.raises(errors.WaitError):
        rotate(world, state, "1")


def live(text: str, *, synced: bool) -> dict:
    obj = documents.load_all(text)[0]
    obj["metadata"]["generation"] = 1
    state = "True" if synced else "False"
    message = "" if synced else "no key could decrypt secret"
    obj["status"] = {
        "observedGeneration": 1,
        "conditions": [{"type": "Synced", "status": state, "message": message}],
    }
    return obj


@pytest.mark.parametrize("synced", [True, False])
def test_it_is_done_when_the_controller_opened_what_flux_applied(world, synced: bool) -> None:
    state = begin(world)
    world.cluster.put(
        {
            "apiVersion": "source.toolkit.fluxcd.io/v1",
            "kind": "GitRepository",
            "metadata": {"name": "flux-system", "namespace": "flux-system"},
            "spec": {},
        }
    )
    world.cluster.put(live(in_git(world)["apps/a.yaml"], synced=True))
    _, published = rotate(world, state, "1")

    def flux() -> None:
        world.cluster.put(live(in_git(world)["apps/a.yaml"], synced=synced))

    world.cluster.react = flux
    source = ("flux-system", "flux-system")
    settle = {"source": source, "timeout": 0.1}
    if synced:
        assert sealing_git.settle(world, "kubeconfig", published, **settle) == 1
        return
    with pytest.raises(errors.WaitError) as caught:
        sealing_git.settle(world, "kubeconfig", published, **settle)
    assert "no key could decrypt secret" in str(caught.value)


def test_where_flux_does_not_follow_nothing_is_waited_for(world) -> None:
    _, published = rotate(world, begin(world), "1")
    source = ("flux-system", "flux-system")
    assert sealing_git.settle(world, "kubeconfig", published, source=source, timeout=1) == 0
    assert "applies the commit when it does" in world.warned[0]


def unsealable(key: sealing_keys.SealingKey) -> str:
    """A SealedSecret that cannot be sealed anew alone: its value is used elsewhere, too."""
    text = elysiumrepo.sealed_secret(key, "c", "media", token="t-3")
    return text.replace("token: ", "token: &x ") + "    data:\n      copy: *x\n"


def test_what_could_not_be_sealed_is_known_before_a_key_is_made(world, monkeypatch) -> None:
    state = begin(world)
    keys = keyring.load(state["keys"])
    world.hub.write("main", "somebody", {"apps/c.yaml": unsealable(keys[0])})
    world.calls.clear()
    _, refused = sealing_git.survey(world, PUSH, keys, None)
    assert [problem.where for problem in refused] == ["apps/c.yaml:1"]
    none = dataclasses.replace(PUSH, commit="none")
    assert sealing_git.survey(world, none, keys, None)[1] == []
    assert world.calls == []

    before = dataclasses.replace(BEFORE, refused=tuple(refused))
    monkeypatch.setattr(sealing_key, "look", lambda stack: before)
    for refusing in (sealing_key.check, sealing_key._refuse_another):
        with pytest.raises(errors.GitOpsError) as caught:
            refusing(None, before)
        assert caught.value.problems == refused
        assert "nothing was changed" in caught.value.hint


def test_what_is_pushed_after_the_key_was_made_ends_in_words(world) -> None:
    state = begin(world)
    key = keyring.load(state["keys"])[0]
    pushes = iter([unsealable(key)])

    def push() -> None:
        text = next(pushes, None)
        if text:
            again = elysiumrepo.sealed_secret(key, "a", "media", token="t-1")
            world.hub.write("main", "somebody", {"apps/a.yaml": again, "apps/c.yaml": text})

    world.hub.before_commit = push
    with pytest.raises(errors.GitOpsError) as caught:
        rotate(world, state, "1")
    assert "it goes on with that key" in caught.value.hint
    assert world.hub.messages[-1] == "somebody" or in_git(world)["apps/c.yaml"].endswith("*x\n")


def test_a_template_of_a_chart_is_no_reason_to_refuse(world) -> None:
    state = begin(world)
    template = "kind: SealedSecret\n{{- with .Values.x }}\nspec: {{ . }}\n{{- end }}\n"
    files = {"charts/a/Chart.yaml": "name: a\n", "charts/a/templates/s.yaml": template}
    world.hub.write("main", "somebody", files)
    found, refused = sealing_git.survey(world, PUSH, keyring.load(state["keys"]), None)
    assert found.templates == ("charts/a/templates/s.yaml",) and refused == []
    state, _ = rotate(world, state, "1")
    finished(world, state, 2)
    assert in_git(world)["charts/a/templates/s.yaml"] == template


def test_a_namespace_that_only_kustomize_sets(world) -> None:
    """It is sealed anew for the name that it is applied under, and awaited under that name."""
    state = begin(world)
    key = keyring.load(state["keys"])[0]
    text = elysiumrepo.sealed_secret(key, "a", "media", token="t-1")
    files = {
        "clusters/kyrion/ks.yaml": elysiumrepo.kustomization("apps", "./apps"),
        "apps/kustomization.yaml": "namespace: media\nresources: [a.yaml, b.yaml]\n",
        "apps/a.yaml": text.replace("  namespace: media\n", "", 1),
    }
    world.hub.write("main", "no namespace", files)
    state, published = rotate(world, state, "1")
    keys = keyring.load(state["keys"])
    assert [one.ref for one in published.resealed] == [
        "SealedSecret media/a",
        "SealedSecret media/b",
    ]
    made = yaml.safe_load(in_git(world)["apps/a.yaml"])
    assert made["metadata"] == {"name": "a"}
    built = {**made, "metadata": {"name": "a", "namespace": "media"}}
    assert sealed.values(built, [keys[0]]) == {"token": b"t-1"}
    after = {(path, place[0]) for path, place in published.after}
    assert after == {("apps/a.yaml", 0), ("apps/b.yaml", 0)}
    assert [sealing_git._key(one.opened) for one in published.resealed] == [
        ("media", "a"),
        ("media", "b"),
    ]

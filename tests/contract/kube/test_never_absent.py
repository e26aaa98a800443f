"""A Secret rotated by the embedded engine and our provider is at no moment absent."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import pulumi
import pulumi_kubernetes
import pytest
from pulumi_kubernetes.core import v1 as core
from pulumi_kubernetes.meta import v1 as meta

from provision.engine import api, events
from provision.kube import provider
from provision.kube.client import KubeClient
from provision.secret import Secret
from tests.support import kubedriver, kubewatch

pytestmark = pytest.mark.sandbox

NAME = "flux-system"
LAST = "key-number-six"


class Runs:
    """A stack with one Secret in one namespace, on the embedded engine."""

    def __init__(self, root: Path, kubeconfig: str, namespace: str) -> None:
        self.root = root
        self.kubeconfig = kubeconfig
        self.namespace = namespace
        self.planned: list[events.ResourcePlanned] = []
        self.said: list[events.Event] = []
        self.replace_on_changes: list[str] = []
        ref = api.StackRef(
            root=root, project="elysium", stack="kyrion", backend=f"file://{root}/state"
        )
        providers = {"kubernetes": provider.KubernetesProvider}
        self.engine = api.open_engine("embedded", ref, Secret("passphrase"), providers)

    def program(self, made: Callable[[], dict]) -> Callable[[], None]:
        def program() -> None:
            cluster = pulumi_kubernetes.Provider(
                "kubernetes",
                kubeconfig=pulumi.Output.secret(self.kubeconfig),
                enable_server_side_apply=True,
                enable_secret_mutable=True,
                upsert_existing_objects=True,
            )
            core.Secret(
                "secret",
                metadata=meta.ObjectMetaArgs(name=NAME, namespace=self.namespace),
                opts=pulumi.ResourceOptions(
                    provider=cluster, replace_on_changes=self.replace_on_changes
                ),
                **made(),
            )

        return program

    def up(self, **secret) -> api.Result:
        return self._run(self.engine.up, secret)

    def preview(self, **secret) -> api.Result:
        return self._run(self.engine.preview, secret)

    def _run(self, operation, secret: dict) -> api.Result:
        self.planned.clear()
        program = self.program(lambda: secret)
        return operation(program, options=api.Options(), on_event=self._take)

    def _take(self, event: events.Event) -> None:
        self.said.append(event)
        if isinstance(event, events.ResourcePlanned) and event.name == "secret":
            self.planned.append(event)


class Watcher:
    """Watches and gets a Secret all the time, each in a thread of its own."""

    def __init__(self, runs: Runs, since: str) -> None:
        self.events: list[tuple[str, str]] = []
        """Kind of each event, and the key it was about."""
        self.looked = 0
        self.absent = 0
        self._runs = runs
        self._since = since
        self._over = threading.Event()
        self._threads = [threading.Thread(target=each) for each in (self._watch, self._get)]

    def __enter__(self) -> Watcher:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        if any(exc):
            self._over.set()
        for thread in self._threads:
            thread.join(60)
        assert not any(thread.is_alive() for thread in self._threads)

    def _watch(self) -> None:
        """Take every event since before the first rotation, up to the last one's."""
        runs = self._runs
        for kind, found in kubewatch.secrets(
            runs.root, runs.kubeconfig, runs.namespace, since=self._since
        ):
            if found["metadata"]["name"] != NAME:
                continue
            key = (found.get("data") or {}).get("identity", "")
            self.events.append((kind, key))
            if key == kubedriver.b64(LAST) and kind != "DELETED":
                break
        self._over.set()

    def _get(self) -> None:
        with KubeClient.from_kubeconfig(self._runs.kubeconfig) as client:
            while not self._over.is_set():
                self.looked += 1
                self.absent += client.get("v1", "Secret", NAME, self._runs.namespace) is None


@pytest.fixture
def runs(tmp_path: Path, apiserver, namespace: str) -> Runs:
    return Runs(tmp_path, apiserver.kubeconfig, namespace)


def live(client: KubeClient, namespace: str) -> dict:
    found = client.get("v1", "Secret", NAME, namespace)
    assert found is not None
    return found


def test_a_watcher_sees_only_modifications(client, namespace: str, runs: Runs) -> None:
    runs.up(string_data={"identity": "key-number-one", "known_hosts": "forge ssh-ed25519 A"})
    before = live(client, namespace)["metadata"]
    keys = ["key-number-two", "key-number-three", "key-number-four"]
    with Watcher(runs, before["resourceVersion"]) as seen:
        for key in keys:
            runs.preview(string_data={"identity": key})
            runs.up(string_data={"identity": key, "known_hosts": "forge ssh-ed25519 A"})
            assert [each.op for each in runs.planned] == ["update"]
        # A key comes, a key goes, what is given as data, and a change by hand between.
        runs.up(string_data={"identity": "key-number-five", "identity.pub": "public"})
        hand = {"data": {"identity": kubedriver.b64("by hand")}}
        client.patch("v1", "Secret", NAME, namespace, hand, field_manager="kubectl-edit")
        runs.up(data={"identity": kubedriver.b64(LAST)})
    assert {kind for kind, _ in seen.events} == {"MODIFIED"}
    shown = [key for _, key in seen.events]
    for key in [*keys, "key-number-five", "by hand", LAST]:
        assert kubedriver.b64(key) in shown
    assert seen.looked > len(keys)
    assert seen.absent == 0
    after = live(client, namespace)
    assert after["metadata"]["uid"] == before["uid"]
    assert after["data"] == {"identity": kubedriver.b64(LAST)}
    assert not runs.up(data={"identity": kubedriver.b64(LAST)}).changed
    for text in ("key-number-one", *keys, LAST):
        assert text not in repr(runs.said)
        assert kubedriver.b64(text) not in repr(runs.said)


@pytest.mark.parametrize(
    ("first", "then", "path", "replace_on_changes"),
    [
        ({"type": "Opaque"}, {"type": "example.com/key"}, "type", []),
        ({"immutable": True}, {"immutable": True}, "data.identity", []),
        ({}, {}, "data.identity", ["data"]),
    ],
    ids=["type", "immutable", "wanted"],
)
def test_what_is_not_changed_in_place_is_announced_as_a_replacement(
    client,
    namespace: str,
    runs: Runs,
    first: dict,
    then: dict,
    path: str,
    replace_on_changes: list[str],
) -> None:
    runs.replace_on_changes = replace_on_changes
    runs.up(string_data={"identity": "one"}, **first)
    before = live(client, namespace)
    data = {"identity": "one" if path == "type" else "two"}
    runs.preview(string_data=data, **then)
    replaced = [each for each in runs.planned if each.op == "replace"]
    assert [[(d.path, d.replaces) for d in each.diffs] for each in replaced] == [[(path, True)]]
    assert live(client, namespace) == before
    runs.up(string_data=data, **then)
    after = live(client, namespace)
    assert after["metadata"]["uid"] != before["metadata"]["uid"]
    assert after["data"] == {key: kubedriver.b64(text) for key, text in data.items()}
    assert not runs.up(string_data=data, **then).changed

"""What status says of backups: above all which sealing keys the newest one lacks."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from provision import errors
from provision.gitops.sealing import keys as sealing_keys
from provision.operations import status
from provision.recovery.backup import health, records
from provision.recovery.bundle import manifest


class Cluster:
    """A cluster that has these keys, and nothing else that could be asked for."""

    def __init__(self, *keys: sealing_keys.SealingKey) -> None:
        self.keys = keys

    def list(self, api: str, kind: str, *, label_selector: str) -> list[dict[str, Any]]:
        assert (api, kind, label_selector) == ("v1", "Secret", sealing_keys.KEY_LABEL)
        return [
            sealing_keys.key_secret(key, namespace="flux-system", name=f"key-{number}")
            for number, key in enumerate(self.keys)
        ]


@pytest.fixture(scope="module")
def keys() -> list[sealing_keys.SealingKey]:
    original = sealing_keys.KEY_BITS
    sealing_keys.KEY_BITS = 2048
    try:
        return [sealing_keys.make_key(), sealing_keys.make_key()]
    finally:
        sealing_keys.KEY_BITS = original


@pytest.fixture
def stack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(status, "kubeconfig", lambda _stack: "kubeconfig")
    config = SimpleNamespace(cluster="kyrion", backup=SimpleNamespace(warn_days=7))
    return SimpleNamespace(directory=tmp_path, config=config, live=SimpleNamespace())


def backed_up(stack: Any, *keys: sealing_keys.SealingKey) -> None:
    entry = records.Entry(
        file="kyrion.age",
        created=manifest.now(),
        size=1,
        sha256="0" * 64,
        locked="passphrase",
        verified=manifest.now(),
        sealing_keys=tuple(key.fingerprint for key in keys),
    )
    records.save(stack.directory, "kyrion", records.Records().having(entry))


def test_a_key_that_the_newest_backup_lacks_is_named(stack, keys) -> None:
    older, newer = keys
    backed_up(stack, older)
    stack.live.kube = lambda _kubeconfig: Cluster(older, newer)
    found = health.section(stack)
    assert found.health == "drift"
    assert found.problems == (
        f"the newest backup lacks the sealing key {newer.fingerprint}: elysium backup",
    )
    backed_up(stack, older, newer)
    assert health.section(stack).problems == ()


def test_a_cluster_that_does_not_answer_leaves_it_open(stack, keys) -> None:
    def refused(_kubeconfig: object) -> None:
        raise errors.KubeError("the cluster does not answer")

    backed_up(stack, *keys)
    stack.live.kube = refused
    (problem,) = health.section(stack).problems
    assert "is not known: the cluster does not answer" in problem


def test_without_any_backup_it_is_only_a_remark(stack) -> None:
    found = health.section(stack)
    assert (found.health, found.problems) == ("ok", ())

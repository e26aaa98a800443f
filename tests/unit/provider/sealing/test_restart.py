"""The restart of the Sealed Secrets controller."""

from __future__ import annotations

from typing import Any, cast

import pytest

from provision import errors
from provision.kube.client import KubeClient
from provision.provider.sealing import cluster


class Kube:
    """An API that loses the first answers to a deletion."""

    def __init__(self, *lost: int) -> None:
        self.lost = list(lost)
        self.asked = 0

    def delete(self, *_: Any) -> bool:
        self.asked += 1
        if self.lost:
            raise errors.KubeError("deleting the pod: no answer", status=self.lost.pop(0))
        return True


def deleted(kube: Kube) -> int:
    cluster.delete_pod(cast("KubeClient", kube), "sealed-secrets-1-abcde", "flux-system")
    return kube.asked


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster.time, "sleep", lambda _seconds: None)


def test_a_pod_is_deleted_again_when_the_answer_got_lost() -> None:
    assert deleted(Kube(0, 503)) == 3


@pytest.mark.parametrize(("lost", "asked"), [((403,), 1), ((0, 0, 0), 3)])
def test_a_refusal_ends_it_at_once_and_silence_after_three_times(
    lost: tuple[int, ...], asked: int
) -> None:
    kube = Kube(*lost)
    with pytest.raises(errors.KubeError):
        deleted(kube)
    assert kube.asked == asked

"""Writing objects while the API server is only just there."""

from __future__ import annotations

from typing import Any

import pytest

from provision import errors
from provision.kube import objects

SECRET = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "key", "namespace": "x"}}


class Api:
    """An API server that answers each creation as it is told to; then the object is made."""

    def __init__(self, *answers: errors.KubeError) -> None:
        self.answers = list(answers)
        self.asked = 0

    def create(self, obj: Any, *, field_manager: str) -> Any:
        assert (obj, field_manager) == (SECRET, "elysium")
        self.asked += 1
        if self.answers:
            raise self.answers.pop(0)
        return obj


def refusal(status: int, reason: str = "") -> errors.KubeError:
    return errors.KubeError("creating Secret x/key", status=status, reason=reason)


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(objects, "_FIRST_PAUSE", 0.0)


@pytest.mark.parametrize(
    ("answers", "asked"),
    [
        ((), 1),
        ((refusal(0), refusal(503)), 3),
        ((refusal(409, "AlreadyExists"),), 1),
        ((refusal(0), refusal(409, "AlreadyExists")), 2),
    ],
    ids=["made", "starting", "there", "cut off after it was made"],
)
def test_it_is_there_afterwards(answers: tuple[errors.KubeError, ...], asked: int) -> None:
    api = Api(*answers)
    objects.create_if_absent(api, SECRET, manager="elysium")  # type: ignore[arg-type]
    assert api.asked == asked


def test_what_is_refused_for_good_is_not_asked_again() -> None:
    api = Api(refusal(403, "Forbidden"))
    with pytest.raises(errors.KubeError) as caught:
        objects.create_if_absent(api, SECRET, manager="elysium")  # type: ignore[arg-type]
    assert (caught.value.status, api.asked) == (403, 1)

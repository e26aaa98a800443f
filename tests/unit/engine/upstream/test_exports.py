"""What the CLI prints of the exports, and what may be shown of it."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import pytest

from provision import errors
from provision.engine.state import values
from provision.engine.upstream import exports
from provision.secret import Secret

SEALED = {values.SIGNATURE: values.SEALED_SIGNATURE, "ciphertext": "v1:x:y"}
CANARY = "export-canary-3"


def exposed(value: Any, marked: Any, *, secret: bool = False, show: bool = False) -> Any:
    """Return the export with the CLI's `value`, which the deployment holds as `marked`."""
    stack = {"type": "pulumi:pulumi:Stack", "outputs": {"it": marked}}
    deployment = {"resources": [{"type": "pulumi:pulumi:Stack", "delete": True}, stack]}
    outputs = {"it": SimpleNamespace(value=value, secret=secret)}
    return exports.exposed(outputs, lambda: deployment, show_secrets=show)["it"]


@pytest.mark.parametrize(
    ("value", "marked", "masked"),
    [
        ({"a": CANARY, "b": 1}, {"a": SEALED, "b": 1}, {"a": CANARY}),
        ([1, {"x": [CANARY]}], [1, {"x": [SEALED]}], [[CANARY]]),
        ({"a": {"k": CANARY}}, {"a": SEALED}, None),
        # What the deployment does not have, or has in another form, is not shown.
        ({"a": CANARY}, None, None),
        ({"a": CANARY}, {}, None),
        ([CANARY, "more"], [SEALED], None),
        ({"a": CANARY}, {"a": ["x"]}, None),
    ],
)
def test_nested_secrets(value: Any, marked: Any, masked: Any) -> None:
    found = exposed(value, marked)
    assert CANARY not in repr(found)
    assert CANARY not in json.dumps(found, default=repr)
    assert exposed(value, marked, show=True) == value


def test_what_is_open_is_shown() -> None:
    asset = {values.SIGNATURE: values.ASSET_SIGNATURE, "hash": "1"}
    value = {"a": 1, "b": [True, None], "c": "x", "d": asset, "e": {}}
    assert exposed(value, value) == value


def test_the_deployment_is_read_only_where_a_secret_may_be_inside() -> None:
    def never() -> Any:
        raise AssertionError

    outputs = {
        "text": SimpleNamespace(value="x", secret=False),
        "whole": SimpleNamespace(value={"a": CANARY}, secret=True),
    }
    found = exports.exposed(outputs, never, show_secrets=False)
    assert found["text"] == "x" and isinstance(found["whole"], Secret)


def test_special_floats() -> None:
    bits = {values.SIGNATURE: values.FLOAT_SIGNATURE, "value": "fff0000000000000"}
    assert exposed([bits, 1], [bits, 1]) == ["-Infinity", 1]
    broken = bits | {"value": "x"}
    with pytest.raises(errors.StackError, match="16 hexadecimal digits"):
        exposed([broken], [broken])

"""A stack's exports as the CLI gives them, with every secret in them masked.

The CLI says of each export only whether it is secret as a whole, and prints
what is secret inside of one in clear. The deployment marks each secret.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from provision.engine.state import urns, values
from provision.secret import Secret


def exposed(
    outputs: Mapping[str, Any], deployment: Callable[[], Any], *, show_secrets: bool
) -> dict[str, Any]:
    """Return the values of `outputs` (the SDK's `OutputValue`), secrets as `Secret`.

    `deployment` reads the stack's deployment. It is called only where an export may hold a
    secret inside.
    """
    found: dict[str, Any] = {}
    marked: Mapping[str, Any] | None = None
    for key, output in outputs.items():
        value = values.without_signatures(output.value)
        if show_secrets:
            found[key] = value
        elif output.secret:
            found[key] = Secret(_text(value))
        elif isinstance(output.value, (dict, list)):
            if marked is None:
                marked = _stack_outputs(deployment())
            found[key] = _masked(value, marked.get(key))
        else:
            found[key] = value
    return found


def _stack_outputs(deployment: Any) -> Mapping[str, Any]:
    for raw in (deployment or {}).get("resources") or ():
        if raw.get("type") == urns.ROOT_TYPE and not raw.get("delete"):
            return raw.get("outputs") or {}
    return {}


def _masked(value: Any, marked: Any) -> Any:
    """Return `value` with what is secret in `marked`, its form in the deployment, as `Secret`.

    What the deployment does not have in the same form is taken for a secret.
    """
    if isinstance(value, dict) and isinstance(marked, dict) and values.SIGNATURE not in marked:
        return {key: _masked(item, marked.get(key)) for key, item in value.items()}
    if isinstance(value, list) and isinstance(marked, list) and len(value) == len(marked):
        pairs = zip(value, marked, strict=True)
        return [_masked(item, mark) for item, mark in pairs]
    signature = marked.get(values.SIGNATURE) if isinstance(marked, dict) else None
    if signature not in (None, values.SEALED_SIGNATURE) or value == marked:
        return value
    return Secret(_text(value))


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, separators=(",", ":"))

"""Which resource types there are. Modules are imported when first asked for."""

from __future__ import annotations

import functools
import importlib
from typing import TYPE_CHECKING, Any

from provision import errors
from provision.provider.resource import Resource, Values

if TYPE_CHECKING:
    from provision.host.facts import FactRequest

_TYPES = {
    "elysium:node:K3sServer": ("k3s.server", "K3sServer"),
    "elysium:node:IntelGpu": ("gpu.device", "IntelGpu"),
    "elysium:node:MediaMount": ("media.mount", "MediaMount"),
    "elysium:node:GpuCapacity": ("gpu.capacity", "GpuCapacity"),
    "elysium:flux:GitAccess": ("deploy_key.access", "GitAccess"),
    "elysium:flux:HttpsAccess": ("flux.https_login", "HttpsAccess"),
    "elysium:flux:Components": ("flux.components", "Components"),
    "elysium:flux:Sync": ("flux.sync", "Sync"),
    "elysium:secrets:SealingKey": ("sealing.key", "SealingKey"),
    "elysium:secrets:Seed": ("sealing.seed", "Seed"),
}


def types() -> tuple[str, ...]:
    """Return every type token."""
    return tuple(_TYPES)


@functools.cache
def find(type_token: str) -> Resource[Any]:
    """Return the resource of `type_token`, with or without its parents' types before it.

    Raises `errors.StackError` for a type this version does not know, as in a
    state file that a newer elysium wrote.
    """
    try:
        module, name = _TYPES[type_token.rpartition("$")[2]]
    except KeyError:
        raise errors.StackError(
            f"{type_token} is not a resource type of this elysium",
            operation="find a resource type",
            hint="the stack may have been written by a newer elysium; upgrade it",
        ) from None
    kind = getattr(importlib.import_module(f"provision.provider.{module}"), name)
    return kind()


def node_facts(type_token: str, inputs: Values) -> FactRequest:
    """Return what a resource on a node will ask the node for, given its inputs.

    So that one collection, made early, can answer every resource of a run.
    """
    module, _name = _TYPES[type_token]
    request: FactRequest = importlib.import_module(f"provision.provider.{module}").fact_request(
        find(type_token).check(inputs)[0]
    )
    return request

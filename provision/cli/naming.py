"""Names of resources for people: no URN reaches a user but where one asked for it."""

from __future__ import annotations

import re
from typing import Final

_URN: Final = re.compile(
    r"""urn:pulumi:[^\s'"]+?::[^\s'"]+?::(?P<types>[^\s'"]+?)::(?P<name>[^\s'",;:()#]+)"""
    r"""(?:\#(?P<property>[\w.\[\]]+))?"""
)


def without_urns(text: str) -> str:
    """Return `text` with each URN as people call the resource: ``deploy key flux-access``."""
    return _URN.sub(_named, text) if "urn:pulumi:" in text else text


def _named(found: re.Match[str]) -> str:
    token = found["types"].rpartition("$")[2]
    name = found["name"]
    rest = name[len(name.rstrip(".")) :]
    said = f"{label(token)} {name.rstrip('.')}"
    return said + (f" ({found['property'].rstrip('.')})" if found["property"] else "") + rest


_LABELS: Final = {
    "elysium:node:K3sServer": "k3s",
    "elysium:node:IntelGpu": "Intel GPU",
    "elysium:node:MediaMount": "media mount",
    "elysium:node:GpuCapacity": "GPU capacity",
    "elysium:flux:GitAccess": "deploy key",
    "elysium:flux:HttpsAccess": "Git login",
    "elysium:flux:Components": "Flux controllers",
    "elysium:flux:Sync": "Flux sync",
    "elysium:secrets:SealingKey": "sealing key",
    "elysium:secrets:Seed": "cold-start seeds",
    "pulumi:pulumi:Stack": "stack",
}


def label(type_token: str) -> str:
    """Return what people call the type: ``media mount``, ``DaemonSet``."""
    if type_token in _LABELS:
        return _LABELS[type_token]
    if type_token.startswith("pulumi:providers:"):
        return f"provider {type_token.rpartition(':')[2]}"
    return type_token.rpartition(":")[2]

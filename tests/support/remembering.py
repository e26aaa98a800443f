"""The program's resources as a provider that only remembers them, and a whole configuration."""

from __future__ import annotations

import threading
from typing import Any, ClassVar

from pulumi.provider.experimental import provider as protocol
from pulumi.provider.experimental.property_value import PropertyValue

from provision import config
from provision.secret import Secret

CANARY = "canary-azure-key-3f9c"


class Remembering(protocol.Provider):
    """Creates anything, with its inputs as outputs and some made-up ones."""

    extra: ClassVar[dict[str, dict[str, Any]]] = {
        "elysium:node:K3sServer": {
            "kubeconfig": "kubeconfig-canary",
            "token": "t",
            "nodeName": "kyrion",
        },
        "elysium:node:IntelGpu": {"devices": [], "resourceName": "gpu.intel.com/i915"},
        "elysium:node:MediaMount": {"unit": "mnt-media.mount"},
        "elysium:node:GpuCapacity": {"allocatable": 10},
        "elysium:flux:GitAccess": {"title": "elysium/kyrion/1-x", "fingerprint": "SHA256:x"},
        "elysium:flux:Components": {"revision": "abc"},
        "elysium:secrets:SealingKey": {"keys": "sealing-canary", "certificate": "c"},
        "elysium:secrets:Seed": {"cluster": "kube-system"},
        "elysium:flux:Sync": {"revision": "main@sha1:abc", "kustomizations": []},
    }

    def __init__(self, calls: list[tuple[str, str]]) -> None:
        self.calls = calls
        self.lock = threading.Lock()

    async def create(self, request: protocol.CreateRequest) -> protocol.CreateResponse:
        with self.lock:
            self.calls.append(("create", type_of(request)))
        more = {
            key: value_of(value).with_secret(key in ("kubeconfig", "token", "keys"))
            for key, value in self.extra.get(type_of(request), {}).items()
        }
        return protocol.CreateResponse(
            resource_id=request.name, properties={**request.properties, **more}
        )

    async def delete(self, request: protocol.DeleteRequest) -> None:
        with self.lock:
            self.calls.append(("delete", type_of(request)))

    async def diff(self, request: protocol.DiffRequest) -> protocol.DiffResponse:
        return protocol.DiffResponse(changes=False)


def type_of(request: Any) -> str:
    """Return the resource's own type, without those of its parents."""
    return str(request.type).rpartition("$")[2]


def value_of(value: Any) -> PropertyValue:
    if isinstance(value, list):
        return PropertyValue([])
    return PropertyValue(float(value) if isinstance(value, int) else value)


def whole_config(**more: Any) -> config.Config:
    return config.Config.model_validate(
        {
            "cluster": "kyrion",
            "nodes": [{"name": "kyrion", "host": "192.0.2.7", "sudoPassword": "canary-sudo"}],
            "github": {"owner": "homelab", "repository": "elysium"},
            "gpu": {},
            "media": {"remote": {"type": "azureblob", "account": "a", "key": Secret(CANARY)}},
            **more,
        }
    )

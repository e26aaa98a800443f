"""The kubernetes provider called as an engine does, and objects to give it."""

from __future__ import annotations

import asyncio
import base64

from pulumi.provider.experimental import provider as protocol
from pulumi.provider.experimental.property_value import PropertyValue

from provision.kube import properties
from provision.kube.provider import KubernetesProvider

SECRET = "kubernetes:core/v1:Secret"
CONFIG_MAP = "kubernetes:core/v1:ConfigMap"
NAMESPACE = "kubernetes:core/v1:Namespace"
DAEMON_SET = "kubernetes:apps/v1:DaemonSet"


def urn(token: str, name: str = "thing") -> str:
    return f"urn:pulumi:kyrion::elysium::{token}::{name}"


def b64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


class Driver:
    """Calls the provider in the order an engine does, for one resource."""

    def __init__(self, provider: KubernetesProvider, token: str, name: str = "thing") -> None:
        self.provider = provider
        self.token = token
        self.urn = urn(token, name)
        self.id = ""
        self.inputs: properties.Properties = {}
        self.state: properties.Properties = {}

    def check(self, inputs: dict, secret: tuple[str, ...] = ()) -> properties.Properties:
        given = {
            key: properties.to_property(value).with_secret(key in secret)
            for key, value in inputs.items()
        }
        request = protocol.CheckRequest(self.urn, self.inputs, given, b"seed")
        answer = asyncio.run(self.provider.check(request))
        assert not answer.failures, [f"{f.property}: {f.reason}" for f in answer.failures]
        return answer.inputs

    def create(self, inputs: dict, *, preview: bool = False, timeout: float = 0, secret=()) -> dict:
        checked = self.check(inputs, secret)
        request = protocol.CreateRequest(self.urn, checked, timeout, preview)
        answer = asyncio.run(self.provider.create(request))
        if not preview:
            self.id, self.inputs, self.state = answer.resource_id, checked, answer.properties
        return properties.to_object(answer.properties)

    def diff(self, inputs: dict, ignore: list[str] | None = None) -> protocol.DiffResponse:
        request = protocol.DiffRequest(
            self.urn, self.id, self.state, self.check(inputs), ignore or []
        )
        return asyncio.run(self.provider.diff(request))

    def update(self, inputs: dict, *, preview: bool = False) -> dict:
        checked = self.check(inputs)
        request = protocol.UpdateRequest(self.urn, self.id, self.state, checked, 0, [], preview)
        answer = asyncio.run(self.provider.update(request))
        if not preview:
            self.inputs, self.state = checked, answer.properties
        return properties.to_object(answer.properties)

    def read(self) -> bool:
        request = protocol.ReadRequest(self.urn, self.id, self.state, self.inputs)
        answer = asyncio.run(self.provider.read(request))
        self.state, self.inputs = answer.properties, answer.inputs
        return bool(answer.resource_id)

    def delete(self, timeout: float = 0) -> None:
        request = protocol.DeleteRequest(self.urn, self.id, self.state, timeout)
        asyncio.run(self.provider.delete(request))


def configured(kubeconfig: str | None, **settings: str) -> KubernetesProvider:
    provider = KubernetesProvider()
    args = {
        "kubeconfig": PropertyValue.computed()
        if kubeconfig is None
        else PropertyValue(kubeconfig, is_secret=True),
        "upsertExistingObjects": PropertyValue("true"),
        "enableServerSideApply": PropertyValue("true"),
        **{key: PropertyValue(value) for key, value in settings.items()},
    }
    asyncio.run(provider.configure(protocol.ConfigureRequest({}, args, True, True)))
    return provider


def config_map(namespace: str, **data: str) -> dict:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "settings", "namespace": namespace},
        "data": data,
    }


def secret(namespace: str, **data: str) -> dict:
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "flux-system", "namespace": namespace},
        "stringData": data,
    }


def daemon_set(namespace: str, image: str = "example/plugin:1") -> dict:
    labels = {"app": "plugin"}
    container = {
        "name": "plugin",
        "image": image,
        "args": ["-shared-dev-num=10"],
        "env": [{"name": "EMPTY", "value": ""}],
        "resources": {"limits": {"cpu": "1000m", "memory": "0.5Gi"}},
        "securityContext": {"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True},
        "volumeMounts": [{"name": "dev", "mountPath": "/dev/dri", "readOnly": False}],
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "DaemonSet",
        "metadata": {
            "name": "plugin",
            "namespace": namespace,
            "labels": {},
            "annotations": {"pulumi.com/skipAwait": "true"},
        },
        "spec": {
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": {
                    "hostNetwork": False,
                    "containers": [container],
                    "volumes": [{"name": "dev", "hostPath": {"path": "/dev/dri", "type": ""}}],
                },
            },
        },
    }

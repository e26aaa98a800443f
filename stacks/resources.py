"""The ``elysium:*`` resource types as the program writes them.

Inputs are checked by the provider, which both engines call; here they only get
names and outputs. The annotations are the outputs that the program reads.
"""

from __future__ import annotations

from typing import Any

import pulumi


class Provider(pulumi.ProviderResource):
    """The ``elysium`` provider with the settings that reach node and GitHub."""

    def __init__(
        self, name: str, settings: pulumi.Input[str], opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("elysium", name, {"settings": settings}, opts)


class _Elysium(pulumi.CustomResource):
    """A resource with the outputs named in `outputs`."""

    pulumi_type: str
    outputs: tuple[str, ...] = ()
    secret_outputs: tuple[str, ...] = ()

    def __init__(
        self,
        name: str,
        inputs: dict[str, Any],
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        properties: dict[str, Any] = dict.fromkeys(self.outputs) | inputs
        mine = pulumi.ResourceOptions(additional_secret_outputs=list(self.secret_outputs))
        super().__init__(
            self.pulumi_type, name, properties, pulumi.ResourceOptions.merge(mine, opts)
        )


class K3sServer(_Elysium):
    """The k3s server on one node."""

    pulumi_type = "elysium:node:K3sServer"
    outputs = ("kubeconfig", "token", "nodeName", "contentHash")
    secret_outputs = ("kubeconfig", "token")
    kubeconfig: pulumi.Output[str]
    nodeName: pulumi.Output[str]  # noqa: N815 - Pulumi's name of the property
    version: pulumi.Output[str]


class IntelGpu(_Elysium):
    """The Intel GPU of one node, as its kernel shows it."""

    pulumi_type = "elysium:node:IntelGpu"
    outputs = ("devices", "resourceName", "warnings")
    resourceName: pulumi.Output[str]  # noqa: N815


class MediaMount(_Elysium):
    """The media library on one node."""

    pulumi_type = "elysium:node:MediaMount"
    outputs = ("unit",)
    mountPoint: pulumi.Output[str]  # noqa: N815
    unit: pulumi.Output[str]


class GpuCapacity(_Elysium):
    """The GPU as the cluster can give it to pods."""

    pulumi_type = "elysium:node:GpuCapacity"
    outputs = ("allocatable",)
    allocatable: pulumi.Output[float]


class GitAccess(_Elysium):
    """The deploy key on GitHub and the Secret that holds it in the cluster."""

    pulumi_type = "elysium:flux:GitAccess"
    outputs = (
        "keyId",
        "title",
        "fingerprint",
        "publicKey",
        "privateKey",
        "readOnly",
        "createdAt",
        "knownHosts",
        "generation",
    )
    secret_outputs = ("privateKey",)
    title: pulumi.Output[str]
    fingerprint: pulumi.Output[str]


class HttpsAccess(_Elysium):
    """The Secret with which Flux logs in to Git over HTTPS."""

    pulumi_type = "elysium:flux:HttpsAccess"
    outputs = ("auth", "login", "fingerprint", "proven")
    fingerprint: pulumi.Output[str]


class Components(_Elysium):
    """Flux' controllers: in Git and in the cluster."""

    pulumi_type = "elysium:flux:Components"
    outputs = ("source", "revision")


class Sync(_Elysium):
    """Flux' GitRepository and root Kustomization, and all that follows from them."""

    pulumi_type = "elysium:flux:Sync"
    outputs = ("revision", "kustomizations")
    revision: pulumi.Output[str]
    kustomizations: pulumi.Output[list[Any]]


class SealingKey(_Elysium):
    """The key pairs that open the repository's SealedSecrets."""

    pulumi_type = "elysium:secrets:SealingKey"
    outputs = ("certificate", "fingerprints", "revision")
    secret_outputs = ("keys",)
    keys: pulumi.Output[str]
    certificate: pulumi.Output[str]
    fingerprints: pulumi.Output[list[Any]]


class Seed(_Elysium):
    """One thing that must be there before Flux starts."""

    pulumi_type = "elysium:secrets:Seed"
    outputs = ("cluster",)

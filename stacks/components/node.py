"""What is on the machine itself: k3s, the GPU, the media library."""

from __future__ import annotations

from dataclasses import dataclass

import pulumi

from provision import config
from provision.secret import Secret
from stacks import resources


@dataclass(frozen=True, kw_only=True)
class NodeArgs:
    """What one node is to be."""

    cluster: str
    node: config.Node
    k3s: config.K3s
    gpu: config.Gpu | None
    media: config.Media | None


class Node(pulumi.ComponentResource):
    """One machine of the cluster."""

    k3s: resources.K3sServer
    gpu: resources.IntelGpu | None
    media: resources.MediaMount | None
    kubeconfig: pulumi.Output[str]
    name: pulumi.Output[str]

    def __init__(
        self, name: str, args: NodeArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("elysium:components:Node", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        k3s = args.k3s
        self.k3s = resources.K3sServer(
            f"{name}-k3s",
            {
                "node": args.node.name,
                "cluster": args.cluster,
                "version": k3s.version,
                "managedBy": k3s.managed_by,
                "datastore": k3s.datastore,
                "secretsEncryption": k3s.secrets_encryption,
                "tlsSan": list(k3s.tls_san),
                "disable": list(k3s.disable),
                "registries": pulumi.Output.secret(k3s.registries),
                "proxy": k3s.proxy.model_dump(by_alias=True),
                "options": k3s.options,
                "startTimeout": k3s.start_timeout,
                "address": args.node.address or args.node.host,
            },
            child,
        )
        self.gpu = None
        if args.gpu is not None:
            self.gpu = resources.IntelGpu(
                f"{name}-gpu", {"node": args.node.name, "driver": args.gpu.driver}, child
            )
        self.media = None
        if args.media is not None:
            media = args.media
            remote = {
                key: value.reveal() if isinstance(value, Secret) else value
                for key, value in media.remote.items()
            }
            self.media = resources.MediaMount(
                f"{name}-media",
                {
                    "node": args.node.name,
                    "rcloneVersion": media.rclone_version,
                    "remote": pulumi.Output.secret(remote),
                    "path": media.path,
                    "mountPoint": media.mount_point,
                    "cacheMode": media.cache_mode,
                    "cacheSize": media.cache_size,
                    "cacheDir": media.cache_dir,
                    "idleTimeout": media.idle_timeout,
                    "readOnly": media.read_only,
                    "options": media.options,
                    "listTimeout": media.list_timeout,
                },
                child,
            )
        self.kubeconfig = self.k3s.kubeconfig
        self.name = self.k3s.nodeName
        self.register_outputs({"name": self.name, "version": self.k3s.version})

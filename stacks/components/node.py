"""What is on the machine itself: k3s, the GPU, the media library."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pulumi

from provision import config
from provision.host import reach
from provision.secret import Secret
from stacks import resources


def k3s_inputs(cfg: config.Config) -> dict[str, Any]:
    """Return the inputs of the server's `resources.K3sServer`."""
    k3s, node = cfg.k3s, cfg.server
    # Only where it is asked for: a state of an earlier version stays as it is.
    given = {"airgapImages": True} if k3s.airgap_images else {}
    return given | {
        "node": node.name,
        "cluster": cfg.cluster,
        "version": k3s.version,
        "managedBy": k3s.managed_by,
        "datastore": k3s.datastore,
        "secretsEncryption": k3s.secrets_encryption,
        "tlsSan": list(k3s.tls_san),
        "disable": list(k3s.disable),
        "registries": k3s.registries,
        "proxy": k3s.proxy.model_dump(by_alias=True),
        "options": k3s.options,
        "startTimeout": k3s.start_timeout,
        "address": reach.api_address(node),
    }


def gpu_inputs(cfg: config.Config, gpu: config.Gpu) -> dict[str, Any]:
    """Return the inputs of the server's `resources.IntelGpu`."""
    return {"node": cfg.server.name, "driver": gpu.driver}


def media_inputs(cfg: config.Config, media: config.Media) -> dict[str, Any]:
    """Return the inputs of the server's `resources.MediaMount`, the remote in clear."""
    given = {} if media.passwords == "auto" else {"passwords": media.passwords}
    return given | {
        "node": cfg.server.name,
        "rcloneVersion": media.rclone_version,
        "remote": {
            key: value.reveal() if isinstance(value, Secret) else value
            for key, value in media.remote.items()
        },
        "path": media.path,
        "mountPoint": media.mount_point,
        "cacheMode": media.cache_mode,
        "cacheSize": media.cache_size,
        "cacheDir": media.cache_dir,
        "idleTimeout": media.idle_timeout,
        "readOnly": media.read_only,
        "options": media.options,
        "listTimeout": media.list_timeout,
    }


@dataclass(frozen=True, kw_only=True)
class NodeArgs:
    """What one node is to be."""

    config: config.Config
    token_rotation: str = ""
    """Asks for a new server token, if it was not used before."""
    client_rotation: str = ""
    """Asks for a step of another authority for client certificates."""
    migrate_datastore: bool = False
    """Asks for the move of the datastore from SQLite to etcd."""


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
        cfg = args.config
        k3s = k3s_inputs(cfg) | {
            "tokenRotation": args.token_rotation,
            "clientRotation": args.client_rotation,
        }
        if args.migrate_datastore:
            k3s["migrateDatastore"] = True
        self.k3s = resources.K3sServer(
            f"{name}-k3s", k3s | {"registries": pulumi.Output.secret(k3s["registries"])}, child
        )
        self.gpu = None
        if cfg.gpu is not None:
            self.gpu = resources.IntelGpu(f"{name}-gpu", gpu_inputs(cfg, cfg.gpu), child)
        self.media = None
        if cfg.media is not None:
            media = media_inputs(cfg, cfg.media)
            self.media = resources.MediaMount(
                f"{name}-media", media | {"remote": pulumi.Output.secret(media["remote"])}, child
            )
        self.kubeconfig = self.k3s.kubeconfig
        self.name = self.k3s.nodeName
        self.register_outputs({"name": self.name, "version": self.k3s.version})

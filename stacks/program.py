"""The program: one cluster, from a bare node to a reconciling Flux."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pulumi
import pulumi_kubernetes

from provision import config
from provision.provider import settings
from stacks import repository_facts, resources
from stacks.components import flux, gpu, node, secrets


@dataclass(frozen=True, kw_only=True)
class Rotations:
    """Which credentials are to be replaced: any text that was not used before asks for it.

    It is a wish of one run: without it the credential that is there stays.
    """

    deploy_key: str = ""
    prune_deploy_keys: tuple[str, ...] = ()
    """Fingerprints of deploy keys that this stack did not make, to be removed."""
    sealing_key: str = ""
    k3s_token: str = ""
    clients: str = ""


def make_program(
    cfg: config.Config,
    decided: repository_facts.Decisions,
    *,
    rotations: Rotations = Rotations(),
    migrate_datastore: bool = False,
) -> Callable[[], None]:
    """Return the Pulumi program of `cfg`, given what the repository decides.

    `migrate_datastore` asks for the move of k3s' datastore from SQLite to etcd.
    """

    def program() -> None:
        elysium = resources.Provider("elysium", pulumi.Output.secret(settings.dump(cfg)))
        top = pulumi.ResourceOptions(providers=[elysium])
        server = node.Node(
            cfg.server.name,
            node.NodeArgs(
                config=cfg,
                token_rotation=rotations.k3s_token,
                client_rotation=rotations.clients,
                migrate_datastore=migrate_datastore,
            ),
            top,
        )
        kubernetes = pulumi_kubernetes.Provider(
            "kubernetes",
            kubeconfig=pulumi.Output.secret(server.kubeconfig),
            cluster_identifier=cfg.cluster,
            enable_server_side_apply=True,
            enable_secret_mutable=True,
            enable_config_map_mutable=True,
            upsert_existing_objects=True,
            skip_update_unreachable=True,
        )
        in_cluster = pulumi.ResourceOptions(providers=[elysium, kubernetes])
        after: list[pulumi.Resource] = []
        if cfg.gpu is not None and not decided.flux_brings_gpu_plugin:
            plugin = gpu.GpuPlugin(
                "gpu",
                gpu.GpuPluginArgs(
                    image=cfg.gpu.plugin_image,
                    shared_dev_num=cfg.gpu.shared_dev_num,
                    node=server.k3s,
                ),
                in_cluster,
            )
            after.append(plugin)
        sealing: secrets.Sealing | None = None
        if cfg.sealing.enabled:
            sealing = secrets.Sealing(
                "sealing",
                secrets.SealingArgs(
                    kubeconfig=server.kubeconfig,
                    github=cfg.github,
                    flux=cfg.flux,
                    path=cfg.flux_path,
                    sealing=cfg.sealing,
                    namespace=decided.sealing_namespace,
                    certificate=decided.sealing_certificate or cfg.sealing.certificate,
                    rotation=rotations.sealing_key,
                ),
                in_cluster,
            )
        cold_start: secrets.ColdStart | None = None
        if decided.seeds:
            cold_start = secrets.ColdStart(
                "cold-start",
                secrets.ColdStartArgs(
                    kubeconfig=server.kubeconfig,
                    seeds=decided.seeds,
                    release=cfg.sealing.version,
                    node=server.k3s,
                    after=[sealing.key] if sealing else [],
                ),
                in_cluster,
            )
        gitops = flux.Flux(
            "flux",
            flux.FluxArgs(
                cluster=cfg.cluster,
                kubeconfig=server.kubeconfig,
                github=cfg.github,
                flux=cfg.flux,
                path=cfg.flux_path,
                node=server.k3s,
                rotation=rotations.deploy_key,
                stack_id=cfg.stack.id,
                prune=rotations.prune_deploy_keys,
                before_controllers=[sealing.key] if sealing else [],
                before_sync=cold_start.seeds if cold_start else [],
            ),
            in_cluster,
        )
        _export(cfg, server, gitops)
        if sealing is not None:
            pulumi.export("sealingCertificate", sealing.key.certificate)
            pulumi.export("sealingFingerprints", sealing.key.fingerprints)
            pulumi.export("sealingKeys", pulumi.Output.secret(sealing.key.keys))
        if cfg.gpu is not None and server.gpu is not None:
            after = after or [gitops.sync]
            capacity = gpu.capacity(
                "gpu-capacity",
                gpu.GpuCapacityArgs(
                    kubeconfig=server.kubeconfig,
                    node_name=server.name,
                    resource_name=server.gpu.resourceName,
                    timeout=cfg.gpu.timeout,
                ),
                pulumi.ResourceOptions(provider=elysium, deleted_with=server.k3s, depends_on=after),
            )
            pulumi.export("gpuAllocatable", capacity.allocatable)

    return program


def make_server(cfg: config.Config) -> Callable[[], None]:
    """Return the part of the program that is k3s alone: for a run that is limited to it.

    Run without such a limit, it would delete everything else.
    """

    def program() -> None:
        elysium = resources.Provider("elysium", pulumi.Output.secret(settings.dump(cfg)))
        top = pulumi.ResourceOptions(providers=[elysium])
        server = node.Node(cfg.server.name, node.NodeArgs(config=cfg), top)
        pulumi.export("nodeName", server.name)
        pulumi.export("kubeconfig", pulumi.Output.secret(server.kubeconfig))

    return program


def _export(cfg: config.Config, server: node.Node, gitops: flux.Flux) -> None:
    pulumi.export("cluster", cfg.cluster)
    pulumi.export("nodeName", server.name)
    pulumi.export("k3sVersion", server.k3s.version)
    pulumi.export("kubeconfig", pulumi.Output.secret(server.kubeconfig))
    if server.gpu is not None:
        pulumi.export("gpuResource", server.gpu.resourceName)
    if server.media is not None:
        pulumi.export("mediaMount", server.media.mountPoint)
        pulumi.export("mediaUnit", server.media.unit)
    if gitops.deploy_key is not None:
        pulumi.export("deployKeyTitle", gitops.deploy_key.title)
        pulumi.export("deployKeyFingerprint", gitops.deploy_key.fingerprint)
    pulumi.export("fluxRevision", gitops.sync.revision)
    pulumi.export("kustomizations", gitops.sync.kustomizations)

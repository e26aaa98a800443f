"""Flux: its controllers, its access to the repository, and the sync."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi

from provision import config
from stacks import resources


@dataclass(frozen=True, kw_only=True)
class FluxArgs:
    """Which repository, and what of Flux."""

    cluster: str
    kubeconfig: pulumi.Input[str]
    github: config.GitHub
    flux: config.Flux
    path: str
    node: pulumi.Resource
    """What everything in the cluster goes with."""
    rotation: str = ""
    """Asks for a new deploy key, if it was not used before."""
    stack_id: str = ""
    """Tells this stack's deploy keys from those of another stack of the same name."""
    prune: Sequence[str] = ()
    """Fingerprints of other stacks' deploy keys to remove."""
    before_controllers: Sequence[pulumi.Resource] = ()
    """What must be there before any of Flux' controllers."""
    before_sync: Sequence[pulumi.Resource] = ()
    """What must be there before Flux applies anything."""


class Flux(pulumi.ComponentResource):
    """From an empty cluster to one that follows the repository."""

    deploy_key: resources.GitAccess | None
    """None where Flux logs in over HTTPS."""
    components: resources.Components
    sync: resources.Sync

    def __init__(
        self, name: str, args: FluxArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("elysium:components:Flux", name, None, opts)
        child = pulumi.ResourceOptions(parent=self, deleted_with=args.node)
        flux, github = args.flux, args.github
        self.components = resources.Components(
            f"{name}-components",
            {
                "kubeconfig": args.kubeconfig,
                "namespace": flux.namespace,
                "path": args.path,
                "branch": github.branch,
                "version": flux.version,
                "components": list(flux.all_components),
                "commit": flux.commit,
                **_other_names(flux, flux.namespace),
                "manifests": flux.manifests,
                "message": f"Add Flux {flux.version} component manifests",
            },
            pulumi.ResourceOptions.merge(
                child, pulumi.ResourceOptions(depends_on=list(args.before_controllers))
            ),
        )
        self.deploy_key = (
            _deploy_key(name, args, self, self.components) if flux.auth == "ssh" else None
        )
        access = self.deploy_key or _https_access(name, args, child, self.components)
        before_sync = [self.components, access, *args.before_sync]
        self.sync = resources.Sync(
            f"{name}-sync",
            {
                "kubeconfig": args.kubeconfig,
                "namespace": flux.namespace,
                "name": flux.source_name,
                "path": args.path,
                "branch": github.branch,
                "gitUrl": github.git_url if flux.auth == "ssh" else github.https_url,
                **({"provider": "github"} if flux.auth == "app" else {}),
                "secretName": flux.secret_name,
                "interval": flux.interval,
                "commit": flux.commit,
                "timeout": flux.timeout,
                **_other_names(flux, flux.source_name),
            },
            pulumi.ResourceOptions.merge(
                child,
                pulumi.ResourceOptions(depends_on=before_sync),
            ),
        )
        self.register_outputs({"revision": self.sync.revision, "deployKey": access.fingerprint})


def _deploy_key(
    name: str, args: FluxArgs, parent: pulumi.Resource, components: pulumi.Resource
) -> resources.GitAccess:
    flux, github = args.flux, args.github
    # Not deleted with the node: the key is on GitHub, and must go from there.
    return resources.GitAccess(
        f"{name}-access",
        {
            "kubeconfig": args.kubeconfig,
            "cluster": args.cluster,
            "namespace": flux.namespace,
            "secretName": flux.secret_name,
            "gitUrl": github.git_url,
            "branch": github.branch,
            "readWrite": flux.key_is_read_write,
            "algorithm": flux.key_algorithm,
            "hostKeys": list(github.git_host_keys),
            "rotation": args.rotation,
            "stackId": args.stack_id,
            "prune": list(args.prune),
        },
        pulumi.ResourceOptions(parent=parent, depends_on=[components]),
    )


def _https_access(
    name: str, args: FluxArgs, child: pulumi.ResourceOptions, components: pulumi.Resource
) -> resources.HttpsAccess:
    flux = args.flux
    return resources.HttpsAccess(
        f"{name}-login",
        {
            "kubeconfig": args.kubeconfig,
            "namespace": flux.namespace,
            "secretName": flux.secret_name,
            "gitUrl": args.github.https_url,
            "branch": args.github.branch,
            "auth": flux.auth,
            "readWrite": flux.key_is_read_write,
        },
        pulumi.ResourceOptions.merge(child, pulumi.ResourceOptions(depends_on=[components])),
    )


def _other_names(flux: config.Flux, default: str) -> dict[str, str]:
    """Return the sync objects' names that are not `default`, as inputs.

    The others are left out: an input that appears would change every stack there is.
    """
    names = {"sourceName": flux.source_name, "rootName": flux.root_name}
    return {key: name for key, name in names.items() if name != default}

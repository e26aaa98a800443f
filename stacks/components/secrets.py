"""What opens the repository's SealedSecrets."""

from __future__ import annotations

from dataclasses import dataclass

import pulumi

from provision import config
from stacks import resources


@dataclass(frozen=True, kw_only=True)
class SealingArgs:
    """Where the keys belong. `namespace` is the controller's."""

    kubeconfig: pulumi.Input[str]
    github: config.GitHub
    flux: config.Flux
    path: str
    sealing: config.Sealing
    namespace: str
    certificate: str


class Sealing(pulumi.ComponentResource):
    """The sealing keys, there before any controller is."""

    key: resources.SealingKey

    def __init__(
        self, name: str, args: SealingArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("elysium:components:Sealing", name, None, opts)
        given = args.sealing.keys
        # Not deleted with the node: the keys outlive it, in the state.
        self.key = resources.SealingKey(
            f"{name}-key",
            {
                "kubeconfig": args.kubeconfig,
                "namespace": args.namespace,
                "branch": args.github.branch,
                "path": args.path,
                "commit": args.flux.commit,
                "certificatePath": args.certificate,
                "keys": pulumi.Output.secret(given.reveal() if given else ""),
            },
            pulumi.ResourceOptions(parent=self),
        )
        self.register_outputs({"fingerprints": self.key.fingerprints})

"""A cluster to try in a sandbox: its repository, and what `elysium init` is told.

The demonstration and the end-to-end tests do the same with it, as a user would:
`init_arguments`, then ``config set`` for each of `settings`, then ``up``.
"""

from __future__ import annotations

from provision import errors
from provision.provider.flux import scaffold
from provision.sandbox import model
from provision.sandbox.forge import client

CLUSTER = "kyrion"


def forge_of(sandbox: model.Sandbox) -> client.Forge:
    """Return the control client of the sandbox's forge.

    Raises:
        errors.ElysiumError: when it is not running.
    """
    info = client.read_info(sandbox.forge.root) if sandbox.forge else None
    if info is None:
        raise errors.ElysiumError(
            f"the forge of sandbox {sandbox.name} is not running",
            hint=f"elysium sandbox up --name {sandbox.name}",
        )
    return client.Forge(info)


def seed_repository(sandbox: model.Sandbox, cluster: str = CLUSTER) -> bool:
    """Put a small GitOps repository on the forge, unless one is there; say whether it did."""
    forge = forge_of(sandbox)
    if forge.head():
        return False
    forge.seed_repository(repository_files(sandbox, cluster))
    return True


def repository_files(sandbox: model.Sandbox, cluster: str = CLUSTER) -> dict[str, str]:
    """Return path to content of that repository; tags are looked for in the sandbox's registry."""
    files = scaffold.render(cluster, flux_in_git=True)
    if sandbox.registry is None:
        return files
    own = f"image: {sandbox.registry.address}/"
    return {path: text.replace("image: docker.io/", own) for path, text in files.items()}


def init_arguments(sandbox: model.Sandbox, cluster: str = CLUSTER) -> list[str]:
    """Return the arguments of ``elysium`` that write the stack's configuration."""
    forge, node = whole(sandbox)[0], sandbox.node
    return [
        *("init", "--yes", "--cluster", cluster),
        *("--host", node.host, "--user", node.user),
        *("--identity-file", str(node.identity_file), "--host-key", node.host_key),
        *("--github", f"{forge.owner}/{forge.repository}", "--gpu"),
    ]


def settings(sandbox: model.Sandbox) -> dict[str, str]:
    """Return what ``elysium config set`` is told, by key. No secret is in it."""
    forge, azure, artifacts = whole(sandbox)
    releases = {"artifacts.pins": str(artifacts.pins)}
    if artifacts.mirror is not None:
        releases["artifacts.mirror"] = str(artifacts.mirror)
    if sandbox.real_k3s:
        releases["k3s.airgapImages"] = "true"
    if sandbox.outward:
        inside = "127.0.0.0/8,10.0.0.0/8,.svc,.cluster.local"
        releases |= {"k3s.proxy.https": sandbox.outward, "k3s.proxy.noProxy": inside}
    proof = {"github.caFile": str(forge.ca_file)} if forge.ca_file else {"github.allowHttp": "true"}
    return (
        releases
        | proof
        | {
            "github.baseUrl": forge.api,
            "github.sshHost": forge.ssh_host,
            "github.sshPort": str(forge.ssh_port),
            "github.tokenFile": str(forge.token_file),
            "media.remote.type": "azureblob",
            "media.remote.account": azure.account,
            "media.remote.endpoint": azure.endpoint,
            "media.path": azure.container,
        }
    )


def whole(sandbox: model.Sandbox) -> tuple[model.Forge, model.Azure, model.Artifacts]:
    """Return the forge, the object store and the releases of a whole sandbox.

    Raises:
        errors.ElysiumError: when it is a node alone.
    """
    if sandbox.forge is None or sandbox.azure is None or sandbox.artifacts is None:
        raise errors.ElysiumError(
            f"sandbox {sandbox.name} is a node alone",
            hint=f"elysium sandbox up --name {sandbox.name} --fresh",
        )
    return sandbox.forge, sandbox.azure, sandbox.artifacts


def media_key(sandbox: model.Sandbox) -> str:
    """Return the key of the media library's account, in clear, for a command's standard input."""
    return whole(sandbox)[1].key().reveal()

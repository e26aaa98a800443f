"""A restored datastore turned towards the sandbox, before anything in it runs.

A datastore brings Flux' objects as they were: the real repository's address,
and the key that may fetch it, perhaps push. In a drill k3s is therefore first
started without its agent (``--disable-agent``): an API, and no pod, so no
controller. Through it the address becomes that of the sandbox's forge, and the
key is deleted. Then it is stopped, and the restore goes on.

Facts: k3s' documentation (cli/server, ``--disable-agent``); Flux' GitRepository
(``spec.url``, ``spec.secretRef``), which automations push through too.
"""

from __future__ import annotations

import contextlib
from collections.abc import Generator, Mapping
from typing import TYPE_CHECKING, Any, Final

from provision import errors, giturls
from provision.host import scripts
from provision.kube.client import KubeClient
from provision.progress import Progress
from provision.provider.k3s import files as k3s_files
from provision.provider.k3s import service as k3s_service
from provision.recovery.bundle import parts
from provision.recovery.restore import etcd_snapshot
from provision.recovery.restore import steps as restore_steps
from stacks.components import node as components

if TYPE_CHECKING:
    from provision.host.session import NodeSession
    from provision.operations.stack import Stack

_UNIT: Final = "elysium-k3s-alone.service"
_LONG: Final = 300
_SOURCE: Final = "source.toolkit.fluxcd.io/v1"
_GIT: Final = "GitRepository"


def turn(work: restore_steps.Work, real: tuple[str, ...]) -> None:
    """Point the datastore on the node at the stack's repository instead of at `real`.

    `real` are the addresses of the repository that was backed up. May be run
    again at any point. Raises `errors.ElysiumError`, and
    `errors.NotConvergedError` when an address of `real` is left.
    """
    stack = work.stack
    encrypt = any(
        info.source.endswith("/encryption-config.json")
        for info in work.bundle.manifest.of_kind(parts.AUTHORITY_KIND)
    )
    etcd_snapshot.install(stack, encrypt=encrypt, progress=work.progress)
    with _alone(stack, work.progress) as kube:
        work.progress("turning the datastore towards the sandbox")
        point(kube, real, stack.config.github.git_url)


def point(kube: KubeClient, real: tuple[str, ...], ours: str) -> None:
    """Rewrite every GitRepository of an address in `real` to `ours`, without its key."""
    before = {giturls.parse(each).repository for each in real}
    for obj in kube.list(_SOURCE, _GIT):
        spec: Mapping[str, Any] = obj.get("spec") or {}
        if giturls.parse(str(spec.get("url") or "")).repository not in before:
            continue
        metadata = obj["metadata"]
        name, namespace = str(metadata["name"]), str(metadata["namespace"])
        secret = (spec.get("secretRef") or {}).get("name")
        if secret:
            kube.delete("v1", "Secret", str(secret), namespace)
        change = {"url": ours, **({"provider": "generic"} if spec.get("provider") else {})}
        kube.patch(_SOURCE, _GIT, name, namespace, {"spec": change})
    left = [
        f"{_GIT} {each['metadata']['namespace']}/{each['metadata']['name']}"
        for each in kube.list(_SOURCE, _GIT)
        if giturls.parse(str((each.get("spec") or {}).get("url") or "")).repository in before
    ]
    if left:
        raise errors.NotConvergedError(
            "the restored datastore still names the real repository", remaining=tuple(left)
        )


@contextlib.contextmanager
def _alone(stack: Stack, progress: Progress) -> Generator[KubeClient]:
    """Run k3s without its agent for a moment; give its API."""
    node = stack.live.node(stack.config.server.name)
    inputs = components.k3s_inputs(stack.config)
    at = k3s_files.places(inputs)
    _stop(node)
    progress("starting k3s without anything that runs in it")
    script = start_script(at.kubeconfig, etcd_snapshot.program(node))
    node.run(script, timeout=_LONG + 60, what="starting k3s without its agent")
    try:
        text = node.run(
            f"cat -- {scripts.quote([at.kubeconfig])}\n",
            timeout=60,
            what="reading the kubeconfig",
            reads_only=True,
        ).text
        opened = k3s_service.kubeconfig(
            text, cluster=stack.config.cluster, address=str(inputs["address"])
        )
        with KubeClient.from_kubeconfig(opened, tunnel=stack.live.tunnels) as kube:
            yield kube
    finally:
        _stop(node)


def start_script(kubeconfig: str, binary: str) -> str:
    """Return the script that starts k3s alone and returns when its API serves Flux' objects.

    `binary` is the path of k3s on the node.
    """
    command = scripts.quote([binary, "server", "--disable-agent"])
    get = scripts.quote([binary, "kubectl", "--kubeconfig", kubeconfig, "get"])
    return (
        "set -eu\n"
        f"systemd-run --quiet --collect --unit={_UNIT} -p Type=notify -p KillMode=mixed "
        f"-p TimeoutStartSec={_LONG} -p RuntimeMaxSec={_LONG} -- {command} || {{\n"
        f"journalctl -q --no-pager -o cat -n 20 -u {_UNIT} >&2\nexit 1\n}}\n"
        "n=0\n"
        f"until {get} gitrepositories.source.toolkit.fluxcd.io -A >/dev/null 2>&1; do\n"
        f'n=$((n + 1)); [ "$n" -le {_LONG} ] || {{\n'
        "echo 'there is no Flux in the datastore' >&2; exit 1; }\nsleep 0.5\ndone\n"
    )


def _stop(node: NodeSession) -> None:
    node.run(
        f"systemctl stop {_UNIT} 2>/dev/null || [ $? = 5 ]\n"
        f"systemctl reset-failed {_UNIT} 2>/dev/null || true\n",
        timeout=180,
        what="stopping k3s",
    )
    etcd_snapshot.halt(node)

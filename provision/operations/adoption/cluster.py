"""What was set up by hand in the cluster besides Flux: sealing keys."""

from __future__ import annotations

from provision import errors
from provision.operations.adoption.model import Part, Setting
from provision.operations.stack import Stack
from provision.provider.sealing import cluster as sealing_cluster


def sealing(stack: Stack, kubeconfig: str) -> Part:
    """Return the sealing keys. A cluster without any is not given one."""
    found = sealing_cluster.key_secrets(stack.live.kube(kubeconfig))
    if not found:
        return Part(
            title="sealing keys",
            facts=(("keys", "none: no key will be made"),),
            settings=(Setting(key="sealing.enabled", value=False),),
        )
    namespaces = sorted({str(one["metadata"].get("namespace")) for one in found})
    settings = [Setting(key="sealing.enabled", value=True)]
    problems: list[errors.Problem] = []
    if len(namespaces) > 1:
        problems.append(
            errors.Problem(
                message=f"there are sealing keys in {' and '.join(namespaces)}",
                key="sealing.namespace",
                hint="remove the label of those that no controller reads",
            )
        )
    else:
        settings.append(Setting(key="sealing.namespace", value=namespaces[0]))
    return Part(
        title="sealing keys",
        facts=(("keys", f"{len(found)} in namespace {', '.join(namespaces)}"),),
        settings=tuple(settings),
        problems=tuple(problems),
    )

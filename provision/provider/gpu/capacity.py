"""``elysium:node:GpuCapacity``: the cluster can give the GPU to a pod.

A device plugin whose pod runs proves nothing; what counts is the node's
``.status.allocatable`` for the resource it registers with the kubelet.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from provision import errors
from provision.change import Change
from provision.provider.context import Context
from provision.provider.resource import UNKNOWN, Observed, Resource, Values

if TYPE_CHECKING:
    from provision.kube.client import KubeClient
    from provision.kube.readiness import Readiness

_TIMEOUT = 300
_IMAGES = ("intel-gpu-plugin", "intel/intel-gpu-plugin")
_LINES = 5


@dataclass(frozen=True, kw_only=True)
class Facts:
    """How many pods can be given the GPU; `node_there`: the API knows the node."""

    node_there: bool
    allocatable: int


def count(node: Mapping[str, Any] | None, resource_name: str) -> int:
    """Return the allocatable number of `resource_name` of a Node object, 0 where there is none."""
    status = (node or {}).get("status") or {}
    try:
        return int((status.get("allocatable") or {}).get(resource_name) or 0)
    except ValueError:
        return 0  # extended resources are whole numbers; anything else is none


class GpuCapacity(Resource[Facts]):
    """The GPU as one node of the cluster offers it. `timeout` is in seconds."""

    type = "elysium:node:GpuCapacity"
    secret_inputs = frozenset({"kubeconfig"})

    def check(self, inputs: Values) -> tuple[dict[str, Any], list[errors.Problem]]:
        """Fill in the timeout."""
        checked = {"timeout": _TIMEOUT} | dict(inputs)
        name = checked.get("resourceName")
        problems: list[errors.Problem] = []
        if isinstance(name, str) and "/" not in name:
            message = f"{name!r} is not the name of an extended resource"
            hint = "such as gpu.intel.com/i915"
            problems.append(errors.Problem(message=message, key="resourceName", hint=hint))
        return checked, problems

    def identity(self, inputs: Values) -> str:
        """Return node and resource."""
        return f"{inputs['nodeName']}:{inputs['resourceName']}"

    def observe(self, ctx: Context, inputs: Values, state: Values) -> Observed[Facts]:
        """Read the node's status from the API."""
        node = ctx.kube(inputs["kubeconfig"]).get("v1", "Node", inputs["nodeName"])
        number = count(node, inputs["resourceName"])
        facts = Facts(node_there=node is not None, allocatable=number)
        return Observed(exists=facts.node_there, facts=facts)

    def plan(self, facts: Facts, inputs: Values, state: Values) -> tuple[Change, ...]:
        """Wait where there is none."""
        if facts.allocatable > 0:
            return ()
        return (
            Change(
                property="allocatable",
                action="run",
                summary=f"wait until node {inputs['nodeName']} offers {inputs['resourceName']}",
            ),
        )

    def apply(
        self, ctx: Context, inputs: Values, facts: Facts, changes: tuple[Change, ...], state: Values
    ) -> dict[str, Any]:
        """Wait. Raises `errors.WaitError` that says how the device plugin's pods are."""
        del facts, changes, state
        from provision.kube import wait

        kube = ctx.kube(inputs["kubeconfig"])
        node, name = str(inputs["nodeName"]), str(inputs["resourceName"])

        def judge(obj: Mapping[str, Any]) -> Readiness:
            number = count(obj, name)
            return wait.Readiness(ready=number > 0, reason=f"{number} {name} allocatable")

        try:
            wait.wait_ready(
                kube,
                [wait.Ref(api_version="v1", kind="Node", name=node)],
                timeout=float(inputs["timeout"]),
                progress=ctx.progress,
                judge=judge,
            )
        except errors.WaitError as error:
            raise errors.WaitError(
                f"node {node} did not offer {name} within {inputs['timeout']} s",
                what=f"{name} of node {node}",
                last_seen="\n".join((*_plugin_pods(kube, node), error.last_seen)),
                hint="look at the device plugin's pods above, and at what IntelGpu says of "
                "the driver; running the same command again goes on waiting",
            ) from error
        return {}

    def outputs(self, facts: Facts, inputs: Values, state: Values) -> dict[str, Any]:
        """Return the number."""
        return {"allocatable": facts.allocatable}

    def unknown_outputs(self, inputs: Values) -> dict[str, Any]:
        """The number shows only afterwards."""
        return {"allocatable": UNKNOWN}

    def delete(self, ctx: Context, inputs: Values, state: Values) -> None:
        """Leave the cluster alone: nothing was brought."""
        del ctx, inputs, state


def _plugin_pods(kube: KubeClient, node: str) -> list[str]:
    """Return a few lines on every pod of Intel's device plugin, whoever brought it."""
    try:
        pods = kube.list("v1", "Pod")
    except errors.KubeError as error:
        return [f"the pods cannot be listed: {error.summary}"]
    lines: list[str] = []
    for pod in pods:
        spec, metadata = pod.get("spec") or {}, pod["metadata"]
        images = [str(one.get("image", "")) for one in spec.get("containers") or ()]
        if not any(part in image for image in images for part in _IMAGES):
            continue
        if spec.get("nodeName") not in (None, "", node):
            continue
        namespace, name = metadata.get("namespace", ""), metadata["name"]
        lines.append(f"Pod {namespace}/{name}: {_state(pod.get('status') or {})}")
        lines += [f"    {event}" for event in kube.events(namespace, "Pod", name)[-_LINES:]]
    return lines or ["there is no pod of an Intel GPU device plugin for this node"]


def _state(status: Mapping[str, Any]) -> str:
    """Return a pod's phase, and what its containers wait for."""
    waiting = [
        f"{reason.get('reason', '')} {reason.get('message', '')}".strip()
        for one in status.get("containerStatuses") or ()
        if (reason := (one.get("state") or {}).get("waiting"))
    ]
    return ", ".join((str(status.get("phase") or "no phase yet"), *waiting))

"""Flux' objects in the cluster: which there are, and asking them to act now.

Reads are plain; the only write is the annotation that Flux documents for a
reconciliation on request (``reconcile.fluxcd.io/requestedAt``, answered in
``.status.lastHandledReconcileAt``).
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

from provision import progress
from provision.kube import objects, wait
from provision.kube.client import KubeClient

SOURCE = "source.toolkit.fluxcd.io/v1"
KUSTOMIZE = "kustomize.toolkit.fluxcd.io/v1"
IMAGE = ("image.toolkit.fluxcd.io/v1", "image.toolkit.fluxcd.io/v1beta2")
REQUESTED_AT = "reconcile.fluxcd.io/requestedAt"

Ref = wait.Ref
Object = Mapping[str, Any]

_GRACE = 30.0
"""Seconds that a requested reconciliation may fail before it counts: networks stutter."""


def ensure_namespace(kube: KubeClient, name: str, *, field_manager: str) -> None:
    """Create the namespace if it is not there."""
    if kube.get("v1", "Namespace", name) is not None:
        return
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
    objects.create_if_absent(kube, namespace, manager=field_manager)


def automations(kube: KubeClient) -> list[dict[str, Any]]:
    """Return the ImageUpdateAutomations of the cluster, in whichever version is served."""
    for version in IMAGE:
        found = kube.list(version, "ImageUpdateAutomation")
        if found:
            return found
    return []


def users_of_secret(kube: KubeClient, namespace: str, secret: str, *, pushes: bool) -> list[Ref]:
    """Return what must work after the Secret changed.

    The GitRepositories that use it and, when the key `pushes`, the
    ImageUpdateAutomations of those, in any namespace. Sources over HTTPS do not use
    the key, and may fail with an expired token. Suspended ones are left out, and
    automations that fail now or never acted: a new key mends nothing there.
    """
    sources = [
        source
        for source in kube.list(SOURCE, "GitRepository", namespace)
        if (source["spec"].get("secretRef") or {}).get("name") == secret
        and not str(source["spec"].get("url") or "").startswith(("http://", "https://"))
        and not source["spec"].get("suspend")
    ]
    refs = [Ref.of(source) for source in sources]
    if pushes and refs:
        names = {ref.name for ref in refs}
        refs += [
            Ref.of(automation)
            for automation in automations(kube)
            if _source_of(automation) in {(namespace, name) for name in names}
            and not automation["spec"].get("suspend")
            and wait.condition(automation, "Ready").get("status") in ("True", "Unknown")
        ]
    return refs


def _source_of(automation: Object) -> tuple[str, str]:
    """Return namespace and name of the GitRepository that an automation works on."""
    named = automation["spec"].get("sourceRef") or {}
    namespace = named.get("namespace") or automation["metadata"].get("namespace")
    return str(namespace or ""), str(named.get("name") or "")


def in_levels(refs: Sequence[Ref]) -> list[list[Ref]]:
    """Return sources first, then what uses them."""
    sources = [ref for ref in refs if ref.kind == "GitRepository"]
    others = [ref for ref in refs if ref.kind != "GitRepository"]
    return [level for level in (sources, others) if level]


def request(kube: KubeClient, ref: Ref, stamp: str) -> None:
    """Ask for a reconciliation now. `stamp` is any text that was not used before."""
    patch = {"metadata": {"annotations": {REQUESTED_AT: stamp}}}
    kube.patch(ref.api_version, ref.kind, ref.name, ref.namespace, patch)


def reconcile_now(
    kube: KubeClient,
    refs: Sequence[Ref],
    stamp: str,
    *,
    timeout: float,
    progress: progress.Progress,
) -> None:
    """Have every object of `refs` reconciled and wait until each succeeded.

    Raises `errors.WaitError` when one goes on failing, or does not act within
    `timeout` seconds.
    """
    for ref in refs:
        request(kube, ref, stamp)
    failing: dict[str, float] = {}

    def judge(obj: Object) -> wait.Readiness:
        name = f"{obj['kind']}/{obj['metadata']['name']}"
        if (obj.get("status") or {}).get("lastHandledReconcileAt") != stamp:
            return wait.Readiness(ready=False, reason="its controller has not acted yet")
        found = wait.readiness(obj)
        if wait.condition(obj, "Ready").get("status") != "False":
            failing.pop(name, None)
            return found
        since = failing.setdefault(name, time.monotonic())
        if time.monotonic() - since > _GRACE:
            return wait.Readiness(ready=False, failed=True, reason=found.reason)
        return found

    wait.wait_ready(kube, refs, timeout=timeout, progress=progress, judge=judge)

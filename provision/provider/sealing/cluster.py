"""Sealing keys as a cluster has them, and the controller that reads them when it starts."""

from __future__ import annotations

import base64
import secrets
import time
from collections.abc import Mapping
from typing import Any

from provision import errors, progress
from provision.gitops.sealing import keyring, sealed
from provision.gitops.sealing import keys as sealing_keys
from provision.kube import failures, objects, wait
from provision.kube.client import KubeClient

FIELD_MANAGER = "elysium"
PROBE = "elysium-sealing-probe"
"""The SealedSecret that proves a key: it is there for a moment only."""
_RESTART_TIMEOUT = 180.0
_PROOF_TIMEOUT = 120.0


def key_secrets(kube: KubeClient) -> list[dict[str, Any]]:
    """Return every Secret of the cluster that is labelled as a sealing key."""
    return kube.list("v1", "Secret", label_selector=sealing_keys.KEY_LABEL)


def install(kube: KubeClient, key: sealing_keys.SealingKey, namespace: str) -> None:
    """Create the Secret of `key`; one of that name is left as it is."""
    obj = sealing_keys.key_secret(key, namespace=namespace, name=keyring.secret_name(key))
    objects.create_if_absent(kube, obj, manager=FIELD_MANAGER)


def prove(
    kube: KubeClient,
    key: sealing_keys.SealingKey,
    namespace: str,
    *,
    progress: progress.Progress = progress.silent,
) -> bool:
    """Have the controller open something that only `key` opens; return whether there was one.

    Raises `errors.WaitError` when it does not.
    """
    if not _controllers(kube, namespace):
        return False
    progress(f"having the controller open what is sealed for {key.fingerprint}")
    value = base64.b64encode(secrets.token_bytes(16)).decode()
    plain = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": PROBE, "namespace": namespace},
        "data": {"probe": value},
    }
    probe = sealed.seal(plain, key.certificate_pem, scope=sealing_keys.Scope.STRICT)

    def judge(obj: Mapping[str, Any]) -> wait.Readiness:
        # One that an interrupted run left behind holds another value.
        opened = (obj.get("data") or {}).get("probe") == value
        return wait.Readiness(ready=opened, reason="" if opened else "it is of an earlier run")

    secret = wait.Ref(api_version="v1", kind="Secret", name=PROBE, namespace=namespace)
    try:
        kube.apply(probe, field_manager=FIELD_MANAGER, force=True)
        wait.wait_ready(kube, [secret], timeout=_PROOF_TIMEOUT, judge=judge)
    except errors.WaitError as error:
        error.hint = (
            f"look at the controller in {namespace}; the older keys are still there, and"
            " running the same command again goes on from here"
        )
        raise
    finally:
        remove_probe(kube, namespace)
    return True


def remove_probe(kube: KubeClient, namespace: str) -> None:
    """Take the proof away; its Secret goes with it. Absent is fine."""
    kube.delete(sealed.API_VERSION, "SealedSecret", PROBE, namespace)


def restart_controller(
    kube: KubeClient, namespace: str, *, progress: progress.Progress = progress.silent
) -> None:
    """Have a controller that runs read its keys again.

    Its pods are deleted, so that nothing of what Helm wrote changes. Waits
    until its Deployment is available again; raises `errors.WaitError` when
    that does not come.
    """
    for deployment in _controllers(kube, namespace):
        progress(f"restarting {deployment['metadata']['name']}, so that it reads its keys")
        _restart(kube, deployment, namespace, progress)


def _controllers(kube: KubeClient, namespace: str) -> list[dict[str, Any]]:
    return [one for one in kube.list("apps/v1", "Deployment", namespace) if _unseals(one)]


def _restart(
    kube: KubeClient,
    deployment: Mapping[str, Any],
    namespace: str,
    progress: progress.Progress,
) -> None:
    labels: Mapping[str, str] = deployment["spec"]["selector"].get("matchLabels") or {}
    selector = ",".join(f"{key}={value}" for key, value in sorted(labels.items()))
    old = kube.list("v1", "Pod", namespace, label_selector=selector)
    ids = {pod["metadata"]["uid"] for pod in old}
    for pod in old:
        delete_pod(kube, pod["metadata"]["name"], namespace)

    def judge(obj: Mapping[str, Any]) -> wait.Readiness:
        pods = kube.list("v1", "Pod", namespace, label_selector=selector)
        if any(pod["metadata"]["uid"] in ids for pod in pods):
            return wait.Readiness(ready=False, reason="its old pod is not gone yet")
        return wait.readiness(obj)

    wait.wait_ready(
        kube, [wait.Ref.of(deployment)], timeout=_RESTART_TIMEOUT, progress=progress, judge=judge
    )


def delete_pod(kube: KubeClient, name: str, namespace: str) -> None:
    """Delete a pod; again where an answer got lost, since no other pod ever gets its name.

    Raises `errors.KubeError` for a refusal, and when no answer comes three times.
    """
    for pause in (1, 2, None):
        try:
            kube.delete("v1", "Pod", name, namespace)
        except errors.KubeError as error:
            if pause is None or not failures.transient(error):
                raise
            time.sleep(pause)
        else:
            return


def _unseals(deployment: Mapping[str, Any]) -> bool:
    pod = ((deployment.get("spec") or {}).get("template") or {}).get("spec") or {}
    images = [str(one.get("image") or "") for one in pod.get("containers") or ()]
    return any("sealed-secrets" in image for image in images)

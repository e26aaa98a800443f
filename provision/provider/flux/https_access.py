"""What a Secret holds for access over HTTPS, such as a personal access token, and who uses it.

`flux bootstrap --token-auth` leaves the user's token in the Secret. Once Flux fetches over SSH,
nothing needs it there, and everyone who may read Secrets in the cluster has it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from provision.gitops import documents
from provision.kube import wait
from provision.kube.client import KubeClient
from provision.provider.context import Context
from provision.provider.flux import install, objects
from provision.provider.resource import Values

FIELDS: Final = (
    "username",
    "password",
    "bearerToken",
    "githubAppID",
    "githubAppInstallationID",
    "githubAppInstallationOwner",
    "githubAppPrivateKey",
    "githubAppBaseURL",
    "caFile",
    "ca.crt",
    "certFile",
    "tls.crt",
    "keyFile",
    "tls.key",
)
"""The fields that a GitRepository reads for an HTTPS address, and for none over SSH."""
_CREDENTIALS: Final = frozenset(
    ("password", "bearerToken", "githubAppPrivateKey", "keyFile", "tls.key")
)
_LAST_APPLIED: Final = "kubectl.kubernetes.io/last-applied-configuration"
_APPLIER: Final = "kustomize.toolkit.fluxcd.io"
_KINDS: Final = (
    ("source.toolkit.fluxcd.io", ("v1", "v1beta2"), "GitRepository"),
    ("source.toolkit.fluxcd.io", ("v1", "v1beta2"), "HelmRepository"),
    ("source.toolkit.fluxcd.io", ("v1", "v1beta2"), "OCIRepository"),
    ("source.toolkit.fluxcd.io", ("v1", "v1beta2"), "Bucket"),
    ("kustomize.toolkit.fluxcd.io", ("v1",), "Kustomization"),
    ("helm.toolkit.fluxcd.io", ("v2", "v2beta2", "v2beta1"), "HelmRelease"),
    ("image.toolkit.fluxcd.io", ("v1", "v1beta2"), "ImageRepository"),
    ("image.toolkit.fluxcd.io", ("v1", "v1beta2"), "ImageUpdateAutomation"),
    ("notification.toolkit.fluxcd.io", ("v1beta3", "v1beta2"), "Provider"),
    ("notification.toolkit.fluxcd.io", ("v1", "v1beta2"), "Receiver"),
    ("fluxcd.controlplane.io", ("v1",), "FluxInstance"),
    ("fluxcd.controlplane.io", ("v1",), "ResourceSetInputProvider"),
    ("", ("v1",), "Pod"),
    ("apps", ("v1",), "Deployment"),
    ("apps", ("v1",), "StatefulSet"),
    ("apps", ("v1",), "DaemonSet"),
    ("batch", ("v1",), "Job"),
    ("batch", ("v1",), "CronJob"),
)


def look(kube: KubeClient, inputs: Values) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return what the Secret holds for HTTPS, and who may need it."""
    secret = kube.get("v1", "Secret", inputs["secretName"], inputs["namespace"])
    found = held(secret)
    if secret is None or not found:
        return (), ()
    # Without commits, the source stays as another one made it.
    switched = "" if inputs["commit"] == "none" else inputs["name"]
    return found, users(kube, secret, switched=switched)


def remove(ctx: Context, kube: KubeClient, inputs: Values) -> None:
    """Remove the token from the Secret, when the source is Ready over SSH and nobody else uses it.

    Otherwise it stays; the plan after this says why.
    """
    name, namespace = inputs["secretName"], inputs["namespace"]
    source = kube.get(objects.SOURCE, "GitRepository", inputs["name"], namespace)
    secret = kube.get("v1", "Secret", name, namespace)
    url = str(install.value_at(source, "spec", "url") or "")
    proven = source is not None and url.startswith("ssh://") and wait.readiness(source).ready
    if secret is None or not proven or users(kube, secret, switched=""):
        return
    fields = " and ".join(held(secret))
    ctx.progress(f"removing {fields} from the Secret {namespace}/{name}")
    kube.patch("v1", "Secret", name, namespace, removal(secret))
    ctx.warn(
        f"the Secret {namespace}/{name} no longer holds {fields}: revoke that token at GitHub"
        " (Settings, Developer settings). GitHub removes the deploy keys that were made with it: if"
        " elysium uses the same token, give it another one and run elysium rotate deploy-key first"
    )


def held(secret: Mapping[str, Any] | None) -> tuple[str, ...]:
    """Return the names of the fields in `secret` that are for HTTPS, if a credential is among them.

    Certificates of an authority alone are public, and stay.
    """
    data: Mapping[str, Any] = (secret or {}).get("data") or {}
    found = tuple(name for name in FIELDS if name in data)
    return found if _CREDENTIALS.intersection(found) else ()


def users(kube: KubeClient, secret: Mapping[str, Any], *, switched: str) -> tuple[str, ...]:
    """Return the objects that may need what `secret` holds for HTTPS, as people call them.

    These are all objects that name the Secret, except GitRepositories over SSH and the
    GitRepository `switched`, which is about to fetch over SSH; and who writes the Secret, since it
    would write the fields again. Changes nothing.
    """
    metadata: Mapping[str, Any] = secret["metadata"]
    namespace, name = str(metadata.get("namespace") or ""), str(metadata["name"])
    found = list(_writers(metadata))
    for group, versions, kind in _KINDS:
        for obj in _listed(kube, group, versions, kind, namespace):
            if _owned(obj) or not _names_secret(_spec(obj, kind, switched), name):
                continue
            found.append(documents.ref({"kind": kind, **obj}))
    return tuple(dict.fromkeys(found))


def removal(secret: Mapping[str, Any]) -> dict[str, Any]:
    """Return the merge patch that removes what `held` names, and kubectl's copy of it."""
    patch: dict[str, Any] = {"data": dict.fromkeys(held(secret))}
    if _LAST_APPLIED in (secret["metadata"].get("annotations") or {}):
        patch["metadata"] = {"annotations": {_LAST_APPLIED: None}}
    return patch


def without(secret: Mapping[str, Any]) -> dict[str, Any]:
    """Return `secret` without the fields for HTTPS."""
    data: Mapping[str, Any] = secret.get("data") or {}
    return {**secret, "data": {name: data[name] for name in data if name not in FIELDS}}


def _spec(obj: Mapping[str, Any], kind: str, switched: str) -> Mapping[str, Any]:
    spec: Mapping[str, Any] = obj.get("spec") or {}
    if kind == "GitRepository" and (
        obj["metadata"]["name"] == switched or str(spec.get("url") or "").startswith("ssh://")
    ):
        return {key: value for key, value in spec.items() if key != "secretRef"}
    return spec


def _writers(metadata: Mapping[str, Any]) -> Iterator[str]:
    """Yield who writes a Secret: a Kustomization, or what owns it (a SealedSecret)."""
    labels: Mapping[str, Any] = metadata.get("labels") or {}
    if labels.get(f"{_APPLIER}/name"):
        yield f"Kustomization {labels.get(f'{_APPLIER}/namespace')}/{labels[f'{_APPLIER}/name']}"
    for owner in metadata.get("ownerReferences") or ():
        yield f"{owner.get('kind')} {metadata.get('namespace')}/{owner.get('name')}"


def _owned(obj: Mapping[str, Any]) -> bool:
    """Return whether a workload belongs to another one, which is listed itself."""
    owners = obj["metadata"].get("ownerReferences") or ()
    return any(
        owner.get("controller") and owner.get("kind") not in ("Node", None) for owner in owners
    )


def _listed(
    kube: KubeClient, group: str, versions: tuple[str, ...], kind: str, namespace: str
) -> list[dict[str, Any]]:
    for version in versions:
        if found := kube.list(f"{group}/{version}".lstrip("/"), kind, namespace):
            return found
    return []


def _names_secret(value: Any, name: str) -> bool:
    """Return whether a reference to the Secret `name` is anywhere in `value`."""
    if isinstance(value, list):
        return any(_names_secret(item, name) for item in value)
    if not isinstance(value, Mapping):
        return False
    if value.get("kind") == "Secret" and value.get("name") == name:
        return True
    for key, item in value.items():
        lower = str(key).lower()
        if lower in ("secretname", "pullsecret") and item == name:
            return True
        refers = lower.endswith(("secretref", "secretkeyref")) or lower == "secret"
        if refers and isinstance(item, Mapping) and item.get("name") == name:
            return True
        if _names_secret(item, name):
            return True
    return False

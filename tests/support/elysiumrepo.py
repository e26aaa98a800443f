"""A GitOps repository of the Elysium shape, with the three deadlocks of a cold start."""

from __future__ import annotations

import json
from collections.abc import Mapping

import yaml

from provision.gitops.sealing import keys as sealing_keys
from provision.gitops.sealing import sealed

KUSTOMIZATION = """\
apiVersion: kustomize.toolkit.fluxcd.io/v1
kind: Kustomization
metadata:
  name: {name}
  namespace: flux-system
spec:
  interval: 1h
  path: {path}
  prune: true
  wait: {wait}
  sourceRef:
    kind: GitRepository
    name: flux-system
{more}"""

SUBSTITUTE = """\
  postBuild:
    substituteFrom:
      - kind: Secret
        name: cluster-secret-vars
      - kind: ConfigMap
        name: cluster-vars
        optional: true
"""


def namespace(name: str) -> str:
    return f"apiVersion: v1\nkind: Namespace\nmetadata:\n  name: {name}\n"


def depends(*names: str) -> str:
    return "  dependsOn:\n" + "".join(f"    - name: {name}\n" for name in names)


def kustomization(name: str, path: str, *, wait: bool = True, more: str = "") -> str:
    return KUSTOMIZATION.format(name=name, path=path, wait=str(wait).lower(), more=more)


def helm_release(
    name: str,
    namespace: str,
    chart: str,
    *,
    target: str = "",
    values_from: str = "",
    values: Mapping[str, object] | None = None,
    url: str = "https://charts.example.org/stable",
) -> str:
    """Return a HelmRelease and, after it, the HelmRepository that its chart comes from."""
    made = {
        "apiVersion": "helm.toolkit.fluxcd.io/v2",
        "kind": "HelmRelease",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {
            "interval": "1h",
            "chart": {
                "spec": {
                    "chart": chart,
                    "sourceRef": {
                        "kind": "HelmRepository",
                        "name": chart,
                        "namespace": "flux-system",
                    },
                }
            },
            "install": {"createNamespace": bool(target)},
        },
    }
    if target:
        made["spec"]["targetNamespace"] = target
    if values_from:
        made["spec"]["valuesFrom"] = [{"kind": "Secret", "name": values_from}]
    if values:
        made["spec"]["values"] = dict(values)
    source = {
        "apiVersion": "source.toolkit.fluxcd.io/v1",
        "kind": "HelmRepository",
        "metadata": {"name": chart, "namespace": "flux-system"},
        "spec": {
            "interval": "1h",
            "type": "oci" if url.startswith("oci://") else "default",
            "url": url,
        },
    }
    return yaml.safe_dump_all([made, source], sort_keys=False)


def resources(*names: str) -> str:
    return "resources:\n" + "".join(f"  - {name}\n" for name in names)


def secret(name: str, namespace: str, **data: str) -> dict:
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name, "namespace": namespace},
        "stringData": data,
    }


def sealed_secret(key: sealing_keys.SealingKey, name: str, namespace: str, **data: str) -> str:
    made = sealed.seal(secret(name, namespace, **data), key.certificate_pem)
    return yaml.safe_dump(made, sort_keys=False)


def deadlocked(key: sealing_keys.SealingKey, *, root: bool = True) -> dict[str, str]:
    """Return path to content. `root`: whether the cluster folder has a kustomization.yaml."""
    cluster = "clusters/kyrion"
    files = {
        "README.md": "# home\n",
        ".sourceignore": "docs/\n",
        "docs/broken.yaml": "not: [kubernetes",
        f"{cluster}/infrastructure.yaml": kustomization(
            "infra-controllers", "./infrastructure/controllers", more=SUBSTITUTE
        )
        + "---\n"
        + kustomization(
            "infra-configs",
            "./infrastructure/configs",
            more=depends("infra-controllers") + SUBSTITUTE,
        ),
        f"{cluster}/apps.yaml": kustomization(
            "apps", "./apps/kyrion", wait=False, more=depends("infra-configs") + SUBSTITUTE
        ),
        f"{cluster}/config-map.yaml": yaml.safe_dump(
            {
                "apiVersion": "v1",
                "kind": "ConfigMap",
                "metadata": {"name": "cluster-vars", "namespace": "flux-system"},
                "data": {"TZ": "Europe/Berlin"},
            }
        ),
        f"{cluster}/sealed-secrets.yaml": sealed_secret(
            key, "cluster-secret-vars", "flux-system", DOMAIN="example.org", TOKEN="canary-token"
        ),
        "infrastructure/controllers/kustomization.yaml": resources(
            "sealed-secrets.yaml", "tailscale.yaml", "tsidp-auth.yaml"
        ),
        "infrastructure/controllers/sealed-secrets.yaml": helm_release(
            "sealed-secrets", "flux-system", "sealed-secrets"
        ),
        "infrastructure/controllers/tailscale.yaml": helm_release(
            *("tailscale", "flux-system", "tailscale-operator"),
            target="tailscale",
            url="oci://registry.example.org/charts",
        ),
        "infrastructure/controllers/tsidp-auth.yaml": sealed_secret(
            key, "tsidp-auth", "tailscale", auth="canary-auth"
        ),
        "infrastructure/configs/kustomization.yaml": resources("settings.yaml"),
        "infrastructure/configs/settings.yaml": (
            "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: settings\n"
            "  namespace: tailscale\ndata:\n  host: ts.${DOMAIN}\n"
        ),
        "apps/base/web/kustomization.yaml": resources("web.yaml"),
        "apps/base/web/web.yaml": (
            "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: web\n"
            "data:\n  zone: ${TZ}\n  host: web.${DOMAIN:=nowhere}\n  shell: $${HOME}\n"
        ),
        "apps/kyrion/kustomization.yaml": resources("namespace.yaml", "../base/web")
        + "namespace: arkham\n",
        "apps/kyrion/namespace.yaml": namespace("arkham"),
    }
    if root:
        files[f"{cluster}/kustomization.yaml"] = resources(
            "apps.yaml", "config-map.yaml", "infrastructure.yaml", "sealed-secrets.yaml"
        )
    return files


def as_json(values: Mapping[str, object]) -> str:
    return json.dumps(values)

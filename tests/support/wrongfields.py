"""Objects of Flux that the API server refuses because of one field, and objects that it takes."""

from __future__ import annotations

import json
from typing import Any

from tests.support.gitopsdocs import SOURCE, obj

KUSTOMIZE = "kustomize.toolkit.fluxcd.io/v1:Kustomization"
NOTIFICATION = "notification.toolkit.fluxcd.io"
IMAGE = "image.toolkit.fluxcd.io/v1"
HELM = "helm.toolkit.fluxcd.io/v2:HelmRelease"


def key_of(name: str) -> str:
    """Return the field that the object `name` of `FLUX` or of another such table is refused for."""
    return name.partition(" ")[2]


def kustomization(**spec: Any) -> str:
    """Return a Flux Kustomization; a field that is None is left out."""
    source = {"kind": "GitRepository", "name": "flux-system"}
    whole = {"interval": "1h", "prune": True, "path": "./a", "sourceRef": source, **spec}
    return obj(KUSTOMIZE, "a", "default", spec={k: v for k, v in whole.items() if v is not None})


def release(**spec: Any) -> str:
    """Return a HelmRelease; a field that is None is left out."""
    source = {"kind": "HelmRepository", "name": "r"}
    whole = {"interval": "1h", "chart": {"spec": {"chart": "x", "sourceRef": source}}, **spec}
    return obj(HELM, "a", "default", spec={k: v for k, v in whole.items() if v is not None})


def source(kind: str, **spec: Any) -> str:
    """Return a source of Flux; a field that is None is left out."""
    whole = {"interval": "1h", **spec}
    return obj(
        f"{SOURCE}:{kind}", "a", "default", spec={k: v for k, v in whole.items() if v is not None}
    )


def beside(text: str, **more: Any) -> str:
    """Return the object `text` with the fields `more` beside `spec`."""
    return json.dumps(json.loads(text) | more)


def _flux(version: str, **spec: Any) -> str:
    return obj(version, "a", "default", spec={k: v for k, v in spec.items() if v is not None})


def alert(**spec: Any) -> str:
    """Return an Alert; a field that is None is left out."""
    sources = [{"kind": "Kustomization", "name": "*"}]
    whole = {"providerRef": {"name": "chat"}, "eventSources": sources, **spec}
    return _flux(f"{NOTIFICATION}/v1beta3:Alert", **whole)


def provider(**spec: Any) -> str:
    """Return a Provider; a field that is None is left out."""
    return _flux(f"{NOTIFICATION}/v1beta3:Provider", **{"type": "slack", **spec})


def receiver(**spec: Any) -> str:
    """Return a Receiver; a field that is None is left out."""
    resources = [{"kind": "GitRepository", "name": "flux-system"}]
    whole = {"type": "github", "resources": resources, "secretRef": {"name": "hook"}, **spec}
    return _flux(f"{NOTIFICATION}/v1:Receiver", **whole)


def image(**spec: Any) -> str:
    """Return an ImageRepository; a field that is None is left out."""
    whole = {"image": "ghcr.io/me/app", "interval": "5m", **spec}
    return _flux(f"{IMAGE}:ImageRepository", **whole)


def policy(**spec: Any) -> str:
    """Return an ImagePolicy; a field that is None is left out."""
    chosen = {"semver": {"range": ">=1.0.0"}}
    whole = {"imageRepositoryRef": {"name": "app"}, "policy": chosen, **spec}
    return _flux(f"{IMAGE}:ImagePolicy", **whole)


def automation(**spec: Any) -> str:
    """Return an ImageUpdateAutomation; a field that is None is left out."""
    commit = {"author": {"email": "flux@example.org", "name": "flux"}}
    source = {"kind": "GitRepository", "name": "flux-system"}
    whole = {"interval": "5m", "sourceRef": source, "git": {"commit": commit}, **spec}
    return _flux(f"{IMAGE}:ImageUpdateAutomation", **whole)


def generator(**spec: Any) -> str:
    """Return an ArtifactGenerator; a field that is None is left out."""
    source = {"alias": "repo", "kind": "GitRepository", "name": "flux-system"}
    copy = {"from": "@repo/apps/**", "to": "@artifact/"}
    whole = {"sources": [source], "artifacts": [{"name": "apps", "copy": [copy]}], **spec}
    return _flux("source.extensions.fluxcd.io/v1beta1:ArtifactGenerator", **whole)


FLUX = {
    "interval spec.interval": kustomization(interval="1d"),
    "missing spec.interval": kustomization(interval=None),
    "prune spec.prune": kustomization(prune=None),
    "text spec.prune": kustomization(prune="true"),
    "source spec.sourceRef": kustomization(sourceRef=None),
    "kind spec.sourceRef.kind": kustomization(sourceRef={"kind": "HelmRepository", "name": "r"}),
    "field spec.dependson": kustomization(dependson=[{"name": "x"}]),
    "deep spec.postBuild.substituteForm": kustomization(postBuild={"substituteForm": []}),
    "from spec.postBuild.substituteFrom[0].kind": kustomization(
        postBuild={"substituteFrom": [{"kind": "Configmap", "name": "x"}]}
    ),
    "list spec.dependsOn": kustomization(dependsOn={"name": "x"}),
    "health spec.healthChecks[0].name": kustomization(healthChecks=[{"kind": "Deployment"}]),
    "timeout spec.timeout": kustomization(timeout=5),
    "release spec.interval": release(interval="10"),
    "both spec": release(chartRef={"kind": "OCIRepository", "name": "x"}),
    "neither spec": release(chart=None),
    "chart spec.chart.spec.sourceRef.kind": release(
        chart={"spec": {"chart": "x", "sourceRef": {"kind": "OCIRepository", "name": "x"}}}
    ),
    "crds spec.install.crds": release(install={"crds": "skip"}),
    "retries spec.upgrade.remediation.retries": release(upgrade={"remediation": {"retries": "3"}}),
    "path spec.valuesFrom[0].targetPath": release(
        valuesFrom=[{"kind": "Secret", "name": "x", "targetPath": "a b"}]
    ),
    "git spec.url": source("GitRepository", url="git@github.com:me/home.git"),
    "oci spec.url": source("OCIRepository", url="https://ghcr.io/me/x"),
    "url spec.url": source("HelmRepository"),
    "short spec.timeout": source("GitRepository", url="https://x.example/y", timeout="1h"),
    "bucket spec.bucketName": source("Bucket", endpoint="minio.example"),
    "beside dependsOn": beside(kustomization(), dependsOn=[{"name": "x"}]),
    "decrypts spec.decryption.provider": kustomization(decryption={"provider": "age"}),
    "alert spec.providerRef": alert(providerRef=None),
    "events spec.eventSources": alert(eventSources=None),
    "severity spec.eventSeverity": alert(eventSeverity="warning"),
    "sources spec.eventSources[0].kind": alert(eventSources=[{"kind": "Deployment", "name": "*"}]),
    "nameless spec.eventSources[0].name": alert(eventSources=[{"kind": "HelmRelease"}]),
    "misspelt spec.exclusionlist": alert(exclusionlist=["waiting"]),
    "webhook spec.type": provider(type="telegramm"),
    "untyped spec.type": provider(type=None),
    "where spec.adress": provider(adress="https://hooks.example"),
    "secret spec.secretRef.name": provider(secretRef={}),
    "quoted spec.suspend": provider(suspend="false"),
    "status spec": provider(commitStatusExpr="'x'"),
    "hook spec.resources": receiver(resources=None),
    "pod spec.resources[0].kind": receiver(resources=[{"kind": "Pod", "name": "x"}]),
    "push spec.events[0]": receiver(events=[True]),
    "unproved spec": receiver(secretRef=None),
    "image spec.image": image(image=None),
    "day spec.interval": image(interval="1d"),
    "cloud spec.provider": image(provider="google"),
    "range spec.policy.semver.range": policy(policy={"semver": {"range": 1.5}}),
    "order spec.policy.alphabetical.order": policy(policy={"alphabetical": {"order": "ascending"}}),
    "tags spec.filterTags.regex": policy(filterTags={"regex": ".*"}),
    "reflect spec": policy(digestReflectionPolicy="Always"),
    "author spec.git.commit.author.email": automation(git={"commit": {"author": {"name": "x"}}}),
    "checkout spec.git.checkout.branch": automation(
        git={
            "checkout": {"branch": "main", "ref": {"branch": "main"}},
            "commit": {"author": {"email": "a@example.org"}},
        }
    ),
    "update spec.update.strategy": automation(update={"strategy": "setters"}),
    "refspec spec.git.push.refspec": automation(
        git={"commit": {"author": {"email": "x"}}, "push": {"refspec": "+main:main"}}
    ),
    "repository spec.sourceRef.kind": automation(
        sourceRef={"kind": "OCIRepository", "name": "flux-system"}
    ),
    "alias spec.artifacts[0].copy[0].from": generator(
        artifacts=[{"name": "apps", "copy": [{"from": "apps/**", "to": "@artifact/"}]}]
    ),
    "target spec.artifacts[0].copy[0].to": generator(
        artifacts=[{"name": "apps", "copy": [{"from": "@repo/apps/**", "to": "./"}]}]
    ),
    "cut spec.sources[0].alias": generator(
        sources=[{"kind": "GitRepository", "name": "flux-system"}]
    ),
}
RIGHT = (
    kustomization(
        wait=True,
        timeout="1h30m",
        dependsOn=[{"name": "x", "namespace": "y", "readyExpr": "true"}],
        decryption={"provider": "sops", "secretRef": {"name": "sops-age"}},
        postBuild={"substitute": {"A": "1"}, "substituteFrom": [{"kind": "Secret", "name": "x"}]},
        patches=[{"patch": "[]", "target": {"kind": "Deployment"}}],
        commonMetadata={"labels": {"a": "b"}},
    ),
    release(
        values={"anything": [1, True, {"a": None}]},
        valuesFrom=[
            {"kind": "ConfigMap", "name": "x", "optional": True},
            {"kind": "Secret", "name": "x", "valuesKey": "a.b", "targetPath": "a.b[0].c\\.d/e"},
        ],
        install={"crds": "CreateReplace", "remediation": {"retries": 3}},
        upgrade={"crds": "CreateReplace", "cleanupOnFail": True},
        driftDetection={"mode": "enabled", "ignore": [{"paths": ["/spec"]}]},
    ),
    release(chart=None, chartRef={"kind": "OCIRepository", "name": "x"}),
    source("GitRepository", url="ssh://git@github.com/me/home", ref={"branch": "main"}),
    source("HelmRepository", url="oci://ghcr.io/me/charts", type="oci", interval=None),
    beside(kustomization(), status={"observedGeneration": 1}),
    alert(eventSeverity="error", exclusionList=["waiting"], summary="home", suspend=False),
    alert(eventSources=[{"kind": "GitRepository", "name": "*", "matchLabels": {"a": "b"}}]),
    provider(type="github", address="https://github.com/me/home", commitStatusExpr="'x'"),
    provider(secretRef={"name": "hook"}, channel="general", timeout="20s", interval="1h"),
    receiver(events=["ping", "push"], interval="30m", resourceFilter="true"),
    receiver(
        type="generic-oidc",
        secretRef=None,
        oidcProviders=[
            {
                "issuerURL": "https://x.example",
                "validations": [{"expression": "true", "message": "x"}],
            }
        ],
    ),
    image(secretRef={"name": "ghcr"}, exclusionList=["^latest$"], provider="aws", timeout="20s"),
    policy(filterTags={"pattern": "^main-(?P<n>.*)$", "extract": "$n"}, policy={"numerical": {}}),
    policy(digestReflectionPolicy="Always", interval="10m"),
    automation(
        update={"path": "./apps", "strategy": "Setters"},
        policySelector={
            "matchLabels": {"a": "b"},
            "matchExpressions": [{"key": "a", "operator": "Exists"}],
        },
    ),
    automation(
        git={
            "checkout": {"ref": {"branch": "main"}},
            "commit": {"author": {"email": "x"}, "messageTemplate": "{{ .X }}"},
            "push": {"branch": "next", "options": {"a": "b"}},
        }
    ),
    automation(sourceRef={"name": "flux-system"}, git=None),
    generator(
        pathPattern="@repo/apps/{app}",
        artifacts=[
            {
                "name": "{app}",
                "copy": [{"from": "@repo/{app}/**", "to": "@artifact/", "exclude": ["x"]}],
            }
        ],
    ),
)

"""Objects that the API server refuses because of one field, and some that it takes."""

from __future__ import annotations

import json
from typing import Any

from tests.support.gitopsdocs import SOURCE, obj

KUSTOMIZE = "kustomize.toolkit.fluxcd.io/v1:Kustomization"
NOTIFICATION = "notification.toolkit.fluxcd.io"
IMAGE = "image.toolkit.fluxcd.io/v1"
HELM = "helm.toolkit.fluxcd.io/v2:HelmRelease"


def key_of(name: str) -> str:
    """Return the field that the object `name` of `KUBERNETES` or `FLUX` is refused for."""
    return name.partition(" ")[2]


def workload(kind: str = "apps/v1:Deployment", **container: Any) -> str:
    """Return a Deployment, or another workload, with one container."""
    labels = {"app": "a"}
    spec = {
        "selector": {"matchLabels": labels},
        "template": {
            "metadata": {"labels": labels},
            "spec": {"containers": [{"name": "c", "image": "i", **container}]},
        },
    }
    return obj(kind, "a", "default", spec=spec)


def pod(**spec: Any) -> str:
    """Return a Pod."""
    return obj("v1:Pod", "a", "default", spec={"containers": [{"name": "c", "image": "i"}], **spec})


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


KUBERNETES = {
    "env spec.template.spec.containers[0].env[0].value": workload(env=[{"name": "A", "value": 1}]),
    "bool spec.template.spec.containers[0].env[0].value": workload(
        env=[{"name": "A", "value": True}]
    ),
    "args spec.template.spec.containers[0].args[1]": workload(args=["--port", 8080]),
    "port spec.template.spec.containers[0].ports[0].containerPort": workload(
        ports=[{"containerPort": "80"}]
    ),
    "probe spec.template.spec.containers[0].livenessProbe.periodSeconds": workload(
        livenessProbe={"tcpSocket": {"port": 80}, "periodSeconds": "10"}
    ),
    "privileged spec.template.spec.containers[0].securityContext.privileged": workload(
        securityContext={"privileged": "true"}
    ),
    "stateful spec.template.spec.containers[0].env[0].value": workload(
        "apps/v1:StatefulSet", env=[{"name": "A", "value": 1.5}]
    ),
    "replicas spec.replicas": workload().replace('"selector"', '"replicas": "2", "selector"', 1),
    "selector spec.nodeSelector.gpu": pod(nodeSelector={"gpu": True}),
    "host spec.hostNetwork": pod(hostNetwork="yes"),
    "user spec.securityContext.runAsUser": pod(securityContext={"runAsUser": "1000"}),
    "cron spec.jobTemplate.spec.template.spec.containers[0].command[0]": obj(
        "batch/v1:CronJob",
        "a",
        "default",
        spec={
            "schedule": "* * * * *",
            "jobTemplate": {
                "spec": {
                    "template": {
                        "spec": {
                            "restartPolicy": "Never",
                            "containers": [{"name": "c", "image": "i", "command": [1]}],
                        }
                    }
                }
            },
        },
    ),
    "service spec.ports[0].port": obj(
        "v1:Service", "a", "default", spec={"ports": [{"port": "80"}]}
    ),
    "chosen spec.selector.app": obj(
        "v1:Service", "a", "default", spec={"selector": {"app": 1}, "ports": [{"port": 80}]}
    ),
    "label metadata.labels.v": obj("v1:ConfigMap", "a", "default", metadata={"labels": {"v": 1}}),
    "mark metadata.annotations.v": obj(
        "v1:ConfigMap", "a", "default", metadata={"annotations": {"v": True}}
    ),
    "claim spec.storageClassName": obj(
        "v1:PersistentVolumeClaim",
        "a",
        "default",
        spec={
            "storageClassName": 1,
            "accessModes": ["ReadWriteOnce"],
            "resources": {"requests": {"storage": "1Gi"}},
        },
    ),
}
_CRON = obj(
    "batch/v1:CronJob",
    "a",
    "default",
    spec={
        "schedule": "* * * * *",
        "jobTemplate": {
            "spec": {
                "template": {
                    "spec": {"restartPolicy": "Never", "containers": [{"name": "c", "image": "i"}]}
                }
            }
        },
    },
)


def _config(name: str = "a", **data: Any) -> str:
    return obj("v1:ConfigMap", name, "default", data=data)


def _secret(type_: str = "Opaque", **data: Any) -> str:
    return obj("v1:Secret", "a", "default", type=type_, data=data)


def _deployment(spec: dict[str, Any] | None = None, **pod_spec: Any) -> str:
    made = json.loads(workload())
    made["spec"]["template"]["spec"] |= pod_spec
    return json.dumps(made | {"spec": made["spec"] | (spec or {})})


def _service(*ports: dict[str, Any], **spec: Any) -> str:
    return obj("v1:Service", "a", "default", spec={"ports": list(ports), **spec})


def _ingress(**path: Any) -> str:
    backend = {"service": {"name": "a", "port": {"number": 80}}}
    rule = {"host": "a.example", "http": {"paths": [{"path": "/", "backend": backend, **path}]}}
    return obj("networking.k8s.io/v1:Ingress", "a", "default", spec={"rules": [rule]})


def _claim(modes: list[str], **requests: Any) -> str:
    spec = {"accessModes": modes, "resources": {"requests": requests}}
    return obj("v1:PersistentVolumeClaim", "a", "default", spec=spec)


def _role(**rule: Any) -> str:
    whole = {"apiGroups": [""], "resources": ["pods"], "verbs": ["get"], **rule}
    return obj("rbac.authorization.k8s.io/v1:Role", "a", "default", rules=[whole])


_POD = "spec.template.spec"
_VOLUME = {"name": "v", "emptyDir": {}}
_HTTP = {"containerPort": 80, "name": "http"}
RULES = {
    f"env {_POD}.containers[0].env": workload(
        env=[{"name": "A", "value": "1"}, {"name": "A", "value": "2"}]
    ),
    f"ports {_POD}.containers[0].ports": workload(ports=[_HTTP, {"containerPort": 80}]),
    f"port {_POD}.containers[0].ports": workload(ports=[_HTTP, _HTTP | {"containerPort": 81}]),
    f"range {_POD}.containers[0].ports[0].containerPort": workload(
        ports=[{"containerPort": 70000}]
    ),
    f"volumes {_POD}.volumes": _deployment(volumes=[_VOLUME, _VOLUME]),
    f"mounts {_POD}.containers[0].volumeMounts": _deployment(
        volumes=[_VOLUME],
        containers=[
            {"name": "c", "image": "i", "volumeMounts": [{"name": "v", "mountPath": "/a"}] * 2}
        ],
    ),
    f"volume {_POD}.containers[0].volumeMounts[0].name": workload(
        volumeMounts=[{"name": "v", "mountPath": "/a"}]
    ),
    f"containers {_POD}.containers": _deployment(containers=[{"name": "c", "image": "i"}] * 2),
    f"none {_POD}.containers": _deployment(containers=[]),
    f"image {_POD}.containers[0].image": _deployment(containers=[{"name": "c"}]),
    f"name {_POD}.containers[0].name": _deployment(containers=[{"image": "i"}]),
    f"pull {_POD}.imagePullSecrets": _deployment(imagePullSecrets=[{"name": "x"}] * 2),
    f"policy {_POD}.containers[0].imagePullPolicy": workload(imagePullPolicy="always"),
    f"memory {_POD}.containers[0].resources.limits.memory": workload(
        resources={"limits": {"memory": "1GB"}}
    ),
    f"handler {_POD}.containers[0].livenessProbe": workload(livenessProbe={"periodSeconds": 5}),
    f"handlers {_POD}.containers[0].livenessProbe": workload(
        livenessProbe={"tcpSocket": {"port": 80}, "httpGet": {"port": 80}}
    ),
    f"both {_POD}.containers[0].env[0]": workload(
        env=[{"name": "A", "value": "1", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}]
    ),
    f"restart {_POD}.restartPolicy": _deployment(restartPolicy="Never"),
    "labels spec.selector.matchLabels.app": _deployment(
        {"selector": {"matchLabels": {"app": "b"}}}
    ),
    "required spec.selector": _deployment({"selector": None}),
    f"job {_POD}.restartPolicy": obj(
        "batch/v1:Job",
        "a",
        "default",
        spec={"template": {"spec": {"containers": [{"name": "c", "image": "i"}]}}},
    ),
    "schedule spec.schedule": _CRON.replace("* * * * *", "every day"),
    "pathless spec.rules[0].http.paths[0].pathType": _ingress(),
    "kind spec.type": _service({"port": 80}, type="Loadbalancer"),
    "absent spec.ports": obj("v1:Service", "a", "default", spec={"selector": {"a": "b"}}),
    "named spec.ports[1].name": _service({"name": "a", "port": 80}, {"port": 81}),
    "repeated spec.ports": _service({"name": "a", "port": 80}, {"name": "b", "port": 80}),
    "access spec.accessModes": _claim([], storage="1Gi"),
    "modes spec.accessModes[0]": _claim(["RWO"], storage="1Gi"),
    "storage spec.resources.requests.storage": _claim(["ReadWriteOnce"]),
    "amount spec.resources.requests.storage": _claim(["ReadWriteOnce"], storage="5 Gi"),
    "verbs rules[0].verbs": _role(verbs=[]),
    "field rules[0].resource": _role(resource=["pods"]),
    "budget spec": obj(
        "policy/v1:PodDisruptionBudget",
        "a",
        "default",
        spec={"minAvailable": 1, "maxUnavailable": 1, "selector": {"matchLabels": {"a": "b"}}},
    ),
    "twice binaryData.a": obj(
        "v1:ConfigMap", "a", "default", data={"a": "x"}, binaryData={"a": "eA=="}
    ),
    "user data": _secret("kubernetes.io/basic-auth", login="eA=="),
}
"""Objects that break a rule between their fields."""
NAMES = {
    "underscore metadata.name": _config("Bad_Name"),
    "capital metadata.name": _config("App"),
    "dash metadata.name": _config("app-"),
    "long metadata.name": _config("a" * 254),
    "service metadata.name": obj("v1:Service", "a.b", "default", spec={"ports": [{"port": 80}]}),
    "namespace metadata.name": obj("v1:Namespace", "my.space"),
    "role metadata.name": obj("rbac.authorization.k8s.io/v1:Role", "a/b", "default", rules=[]),
    "job metadata.name": obj(
        "batch/v1:CronJob", "a" * 53, "default", spec=json.loads(_CRON)["spec"]
    ),
    "value metadata.labels.a": obj(
        "v1:ConfigMap", "a", "default", metadata={"labels": {"a": "two words"}}
    ),
    "size metadata.labels.a": obj(
        "v1:ConfigMap", "a", "default", metadata={"labels": {"a": "x" * 64}}
    ),
    "key metadata.labels.a b": obj(
        "v1:ConfigMap", "a", "default", metadata={"labels": {"a b": "x"}}
    ),
    "domain metadata.annotations.a/b/c": obj(
        "v1:ConfigMap", "a", "default", metadata={"annotations": {"a/b/c": "x"}}
    ),
    "pod spec.template.metadata.labels.url": workload().replace(
        '"labels": {', '"labels": {"url": "https://x.example", ', 1
    ),
    "entry data.a/b": obj("v1:ConfigMap", "a", "default", data={"a/b": "x"}),
    "large data": obj("v1:ConfigMap", "a", "default", data={"a": "x" * (1 << 20), "b": "y"}),
    "encoded data.a": _secret(a="plain text!"),
    "binary binaryData.a": obj("v1:ConfigMap", "a", "default", binaryData={"a": "%%"}),
    "certificate data.tls.key": obj(
        "v1:Secret", "a", "default", type="kubernetes.io/tls", data={"tls.crt": "YQ=="}
    ),
    "pull data..dockerconfigjson": _secret("kubernetes.io/dockerconfigjson", config="e30="),
}
"""Objects that Kubernetes refuses for a name, a label or a key."""
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
    workload(
        env=[
            {"name": "A", "value": "1"},
            {"name": "B", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
        ]
    ),
    workload(
        ports=[{"containerPort": 80, "name": "http"}],
        livenessProbe={"httpGet": {"port": "http"}, "periodSeconds": 10},
        resources={"limits": {"cpu": 1, "memory": "1Gi"}},
    ),
    pod(hostNetwork=True, nodeSelector={"gpu": "true"}, securityContext={"runAsUser": 0}),
    obj("v1:Service", "a", "default", spec={"ports": [{"port": 80, "targetPort": "http"}]}),
    obj("v1:ConfigMap", "a", "default", metadata={"labels": None}),
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
    workload(ports=[_HTTP, _HTTP | {"protocol": "UDP", "name": "quic"}]),
    workload(resources={"limits": {"cpu": 0.5, "memory": "1e9"}, "requests": {"cpu": "250m"}}),
    workload(imagePullPolicy="", livenessProbe={"exec": {"command": ["true"]}}),
    _deployment(
        volumes=[_VOLUME],
        containers=[
            {"name": "c", "image": "i", "volumeMounts": [{"name": "v", "mountPath": "/a"}]},
            {"name": "d", "image": "i", "volumeMounts": [{"name": "v", "mountPath": "/a"}]},
        ],
    ),
    obj("v1:Service", "a", "default", spec={"clusterIP": "None", "selector": {"a": "b"}}),
    obj("v1:Service", "a", "default", spec={"type": "ExternalName", "externalName": "x.example"}),
    _ingress(pathType="Prefix"),
    _claim(["ReadWriteOnce"], storage="5Gi"),
    _CRON,
    _CRON.replace("* * * * *", "@daily"),
    _role(resourceNames=["x"]),
    _config("a.b-c.d", **{"a.b_c-D": "x", ".hidden": ""}),
    _secret(a="YQ==\n", b="", c="Y\nQ=="),
    _secret("example.org/anything", a="YQ=="),
    obj(
        "v1:Secret",
        "a",
        "default",
        type="kubernetes.io/tls",
        stringData={"tls.crt": "", "tls.key": ""},
    ),
    obj(
        "v1:ConfigMap",
        "a",
        "default",
        metadata={
            "labels": {"app.kubernetes.io/name": "a_b.C-1", "empty": "", "a": None},
            "annotations": {"example.org/url": "https://x.example/ä?b", "UPPER.example.org/x": ""},
        },
    ),
    obj("rbac.authorization.k8s.io/v1:ClusterRole", "system:any:Thing_1", rules=[]),
    obj("v1:ConfigMap", "a", "default", data={"a": "x" * (1 << 20)}),
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

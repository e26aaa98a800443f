"""Objects of Kubernetes' own kinds that the API server refuses because of one field."""

from __future__ import annotations

import json
from typing import Any

from tests.support.gitopsdocs import obj


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


def cron(**container: Any) -> str:
    """Return a CronJob with one container."""
    containers = [{"name": "c", "image": "i", **container}]
    template = {"spec": {"restartPolicy": "Never", "containers": containers}}
    job = {"spec": {"template": template}}
    return obj(
        "batch/v1:CronJob", "a", "default", spec={"schedule": "* * * * *", "jobTemplate": job}
    )


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
    "cron spec.jobTemplate.spec.template.spec.containers[0].command[0]": cron(command=[1]),
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
CRON = cron()


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
    "schedule spec.schedule": CRON.replace("* * * * *", "every day"),
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
        "batch/v1:CronJob", "a" * 53, "default", spec=json.loads(CRON)["spec"]
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
    CRON,
    CRON.replace("* * * * *", "@daily"),
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
)

"""The fields of Kubernetes' kinds whose type is often mistaken, and the look-up of all schemas.

From the Kubernetes API reference; Flux' kinds are in `fluxfields`. Values from a
substitution are what makes most mistakes: ``${PORT}`` becomes a number, and `env` takes texts.
Fields of Kubernetes that are not listed are not looked at.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Final

from provision.gitops.build import fluxfields, schema

_PARTS: Final = {
    "objects": fluxfields.OBJECTS,
    "secret": "secretRef\n  name!",
    "selector": "annotationSelector\ngroup\nkind\nlabelSelector\nname\nnamespace\nversion",
    "metadata": "commonMetadata\n  annotations texts\n  labels texts",
    "cluster": "kubeConfig\n  configMapRef\n    name!\n  secretRef\n    key\n    name!",
    "patches": "patches[]\n  patch!\n  target\n    @selector",
    "images": "images[]\n  digest\n  name!\n  newName\n  newTag",
    "needs": "dependsOn[]\n  name!\n  namespace\n  readyExpr",
    "exprs": "healthCheckExprs[]\n  apiVersion!\n  current!\n  failed\n  inProgress\n  kind",
    "ignores": "ignore[]\n  paths![]\n  target\n    @selector",
    "verify": """\
provider cosign|notation
secretRef
  name!
matchOIDCIdentity[]
  issuer!
  subject!
""",
    "action": """\
timeout duration
disableTakeOwnership bool
disableWait bool
disableWaitForJobs bool
disableHooks bool
disableOpenAPIValidation bool
disableSchemaValidation bool
createNamespace bool
skipCRDs bool
crds Skip|Create|CreateReplace
strategy
  name! RemediateOnFailure|RetryOnFailure
  retryInterval duration
remediation
  retries int
  ignoreTestFailures bool
  remediateLastFailure bool
  strategy rollback|uninstall
force bool
replace bool
recreate bool
preserveValues bool
cleanupOnFail bool
keepHistory bool
serverSideApply any
chartNameChangeStrategy InPlaceUpdate|Reinstall
deletionPropagation background|foreground|orphan
""",
    "security": """\
runAsUser int
runAsGroup int
fsGroup int
runAsNonRoot bool
privileged bool
readOnlyRootFilesystem bool
allowPrivilegeEscalation bool
…
""",
    "probe": """\
initialDelaySeconds int
periodSeconds int
timeoutSeconds int
failureThreshold int
successThreshold int
…
""",
    "container": """\
name!
image!
imagePullPolicy Always|IfNotPresent|Never|
resources
  limits amounts
  requests amounts
  …
command[]
args[]
env[]
  name
  value
  …
ports[]
  containerPort int
  hostPort int
  …
volumeMounts[]
  mountPath
  readOnly bool
  …
livenessProbe
  @probe
readinessProbe
  @probe
startupProbe
  @probe
securityContext
  @security
stdin bool
tty bool
…
""",
    "pod": """\
nodeSelector texts
hostNetwork bool
hostPID bool
automountServiceAccountToken bool
enableServiceLinks bool
terminationGracePeriodSeconds int
securityContext
  @security
containers[]
  @container
initContainers[]
  @container
…
""",
    "labels": "labels texts\nannotations texts\n…",
    "template": "metadata\n  @labels\nspec\n  @pod\n…",
    "matching": "matchLabels texts\n…",
}

_WORKLOAD: Final = "replicas int\nselector!\n  @matching\ntemplate!\n  @template\n…"
_JOB: Final = (
    "backoffLimit int\ncompletions int\nparallelism int\nactiveDeadlineSeconds int\n"
    "ttlSecondsAfterFinished int\nsuspend bool\ntemplate\n  @template\n…"
)
_MODES: Final = "ReadWriteOnce|ReadOnlyMany|ReadWriteMany|ReadWriteOncePod"
_KUBERNETES: Final[Mapping[str, str]] = {
    "v1 Pod": "@pod",
    "apps/v1 Deployment": _WORKLOAD,
    "apps/v1 StatefulSet": _WORKLOAD,
    "apps/v1 DaemonSet": _WORKLOAD,
    "apps/v1 ReplicaSet": _WORKLOAD,
    "batch/v1 Job": _JOB,
    "batch/v1 CronJob": "schedule\nsuspend bool\njobTemplate\n  spec\n    @job\n  …\n…",
    "v1 Service": (
        "selector texts\ntype ClusterIP|NodePort|LoadBalancer|ExternalName|\nexternalName\n"
        "loadBalancerIP\n"
        "ports[]\n  name\n  port! int\n  nodePort int\n  …\n…"
    ),
    "v1 PersistentVolumeClaim": f"storageClassName\nvolumeName\naccessModes[] {_MODES}\n"
    "resources\n  requests amounts\n  …\n…",
    "v1 PersistentVolume": f"storageClassName\naccessModes[] {_MODES}\ncapacity amounts\n…",
    "networking.k8s.io/v1 Ingress": (
        "ingressClassName\nrules[]\n  host\n  http\n    paths![]\n      path\n"
        "      pathType! Exact|Prefix|ImplementationSpecific\n      …\n    …\n  …\n"
        "tls[]\n  hosts[]\n  secretName\n…"
    ),
    "networking.k8s.io/v1 NetworkPolicy": "podSelector\n  @matching\npolicyTypes[]\n…",
    "autoscaling/v2 HorizontalPodAutoscaler": "minReplicas int\nmaxReplicas int\n…",
    "policy/v1 PodDisruptionBudget": "selector\n  @matching\n…",
}
"""The `spec` of Kubernetes' kinds, in a part of its fields."""


@functools.cache
def of(version: str, kind: str) -> schema.Field | None:
    """Return the schema of `spec` of `kind` in apiVersion `version`; None where none is known."""
    name = f"{version} {kind}"
    text = fluxfields.SPECS.get(name) or _KUBERNETES.get(name)
    return schema.parse(text, _parts()) if text else None


def is_flux(version: str, kind: str) -> bool:
    """Return whether the schema of `kind` lists all of its fields."""
    return f"{version} {kind}" in fluxfields.SPECS


@functools.cache
def metadata() -> schema.Field:
    """Return the schema of `metadata`."""
    return _parts()["labels"]


@functools.cache
def _parts() -> dict[str, schema.Field]:
    made: dict[str, schema.Field] = {}
    for name, text in (*_PARTS.items(), ("job", _JOB)):
        made[name] = schema.parse(text, made)
    return made

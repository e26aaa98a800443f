"""The fields of Flux' kinds, and those of Kubernetes' kinds whose type is often mistaken.

From the definitions of the pinned Flux and the Kubernetes API reference. Values from a
substitution are what makes most mistakes: ``${PORT}`` becomes a number, and `env` takes texts.
Fields of Kubernetes that are not listed are not looked at.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any, Final

from provision.gitops.build import schema

_PARTS: Final = {
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
name
image
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

_FLUX: Final[Mapping[str, str]] = {
    "kustomize.toolkit.fluxcd.io/v1 Kustomization": """\
interval! duration
prune! bool
sourceRef!
  apiVersion
  kind! OCIRepository|GitRepository|Bucket|ExternalArtifact
  name!
  namespace
path
@needs
@cluster
@metadata
@patches
@images
@exprs
@ignores
buildMetadata[] originAnnotations|transformerAnnotations
components[]
decryption
  provider! sops
  serviceAccountName
  @secret
deletionPolicy MirrorPrune|Delete|WaitForTermination|Orphan
force bool
healthChecks[]
  apiVersion
  kind!
  name!
  namespace
ignoreMissingComponents bool
namePrefix
nameSuffix
postBuild
  substitute any
  substituteFrom[]
    kind! Secret|ConfigMap
    name!
    optional bool
  substituteStrategy WithVariables|Always
retryInterval duration
serviceAccountName
suspend bool
targetNamespace
timeout duration
wait bool
""",
    "helm.toolkit.fluxcd.io/v2 HelmRelease": """\
interval! duration
chart
  metadata
    labels texts
    annotations texts
  spec!
    chart!
    version
    interval duration
    reconcileStrategy ChartVersion|Revision
    valuesFiles[]
    ignoreMissingValuesFiles bool
    sourceRef!
      apiVersion
      kind! HelmRepository|GitRepository|Bucket
      name!
      namespace
    verify
      provider cosign|notation
      @secret
chartRef
  apiVersion
  kind! OCIRepository|HelmChart|ExternalArtifact
  name!
  namespace
@needs
@cluster
@metadata
@exprs
releaseName
targetNamespace
storageNamespace
timeout duration
maxHistory int
serviceAccountName
persistentClient bool
suspend bool
driftDetection
  mode enabled|warn|disabled
  @ignores
install
  @action
upgrade
  @action
rollback
  @action
uninstall
  @action
test
  enable bool
  timeout duration
  ignoreFailures bool
  filters[]
    name!
    exclude bool
valuesFrom[]
  kind! Secret|ConfigMap
  name!
  valuesKey
  targetPath
  optional bool
  literal bool
values any
postRenderers[]
  kustomize
    @patches
    @images
postRenderStrategy nohooks|combined|separate
waitStrategy
  name! poller|legacy
""",
    "source.toolkit.fluxcd.io/v1 GitRepository": """\
interval! duration
url! scheme:http,https,ssh
ref
  branch
  commit
  name
  semver
  tag
ignore
include[]
  fromPath
  toPath
  repository!
    name!
provider generic|aws|azure|github
proxySecretRef
  name!
recurseSubmodules bool
@secret
serviceAccountName
sparseCheckout[]
suspend bool
timeout short
verify
  mode head|HEAD|Tag|TagAndHEAD
  secretRef!
    name!
""",
    "source.toolkit.fluxcd.io/v1 OCIRepository": """\
interval! duration
url! scheme:oci
ref
  digest
  semver
  semverFilter
  tag
certSecretRef
  name!
proxySecretRef
  name!
@secret
ignore
insecure bool
layerSelector
  mediaType
  operation extract|copy
provider generic|aws|azure|gcp
serviceAccountName
suspend bool
timeout short
verify
  @verify
  trustedRootSecretRef
    name!
""",
    "source.toolkit.fluxcd.io/v1 HelmRepository": """\
url! scheme:http,https,oci
interval duration
accessFrom any
certSecretRef
  name!
@secret
insecure bool
passCredentials bool
provider generic|aws|azure|gcp
suspend bool
timeout short
type default|oci
""",
    "source.toolkit.fluxcd.io/v1 Bucket": """\
bucketName!
endpoint!
interval! duration
certSecretRef
  name!
proxySecretRef
  name!
@secret
ignore
insecure bool
prefix
provider generic|aws|gcp|azure
region
serviceAccountName
sts any
suspend bool
timeout short
""",
    "source.toolkit.fluxcd.io/v1 HelmChart": """\
chart!
interval! duration
sourceRef!
  apiVersion
  kind! HelmRepository|GitRepository|Bucket
  name!
ignoreMissingValuesFiles bool
reconcileStrategy ChartVersion|Revision
suspend bool
valuesFiles[]
verify
  @verify
version
""",
}
"""The `spec` of Flux' kinds, in all its fields."""

_WORKLOAD: Final = "replicas int\nselector\n  @matching\ntemplate\n  @template\n…"
_JOB: Final = (
    "backoffLimit int\ncompletions int\nparallelism int\nactiveDeadlineSeconds int\n"
    "ttlSecondsAfterFinished int\nsuspend bool\ntemplate\n  @template\n…"
)
_KUBERNETES: Final[Mapping[str, str]] = {
    "v1 Pod": "@pod",
    "apps/v1 Deployment": _WORKLOAD,
    "apps/v1 StatefulSet": _WORKLOAD,
    "apps/v1 DaemonSet": _WORKLOAD,
    "apps/v1 ReplicaSet": _WORKLOAD,
    "batch/v1 Job": _JOB,
    "batch/v1 CronJob": "schedule\nsuspend bool\njobTemplate\n  spec\n    @job\n  …\n…",
    "v1 Service": (
        "selector texts\ntype\nexternalName\nloadBalancerIP\n"
        "ports[]\n  name\n  port int\n  nodePort int\n  …\n…"
    ),
    "v1 PersistentVolumeClaim": "storageClassName\nvolumeName\naccessModes[]\n…",
    "v1 PersistentVolume": "storageClassName\naccessModes[]\n…",
    "networking.k8s.io/v1 Ingress": (
        "ingressClassName\nrules[]\n  host\n  …\ntls[]\n  hosts[]\n  secretName\n…"
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
    text = _FLUX.get(name) or _KUBERNETES.get(name)
    return schema.parse(text, _parts()) if text else None


def is_flux(version: str, kind: str) -> bool:
    """Return whether the schema of `kind` lists all of its fields."""
    return f"{version} {kind}" in _FLUX


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


def contradiction(obj: Mapping[str, Any]) -> str:
    """Return which rule between the fields of the HelmRelease `obj` is broken, or an empty text."""
    spec = obj.get("spec")
    if not isinstance(spec, Mapping) or obj.get("kind") != "HelmRelease":
        return ""
    given = [name for name in ("chart", "chartRef") if spec.get(name) is not None]
    if len(given) == 1:
        return ""
    return "chart and chartRef exclude each other" if given else "chart or chartRef is required"

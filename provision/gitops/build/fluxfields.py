"""The fields of Flux' kinds and the rules between them, from the pinned Flux' definitions."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from provision.gitops.documents import mapping

OBJECTS: Final = """\
apiVersion
kind! Bucket|GitRepository|Kustomization|HelmRelease|HelmChart|HelmRepository|ImageRepository\
|ImagePolicy|ImageUpdateAutomation|OCIRepository|ArtifactGenerator|ExternalArtifact
matchLabels texts
name!
namespace
"""
"""A reference to objects of Flux, in an Alert or a Receiver."""
_STATUS: Final = "github|gitlab|gitea|bitbucketserver|bitbucket|azuredevops"
_PROVIDERS: Final = (
    f"{_STATUS}|slack|discord|msteams|rocket|generic|generic-hmac|giteapullrequestcomment"
    "|googlechat|googlepubsub|webex|sentry|azureeventhub|telegram|lark|matrix|opsgenie|alertmanager"
    "|grafana|githubdispatch|githubpullrequestcomment|gitlabmergerequestcomment|pagerduty|datadog"
    "|nats|zulip|otel"
)
_RECEIVERS: Final = (
    "generic|generic-hmac|generic-oidc|github|gitlab|bitbucket|harbor|dockerhub|quay|gcr|nexus|acr"
    "|cdevents"
)
SPECS: Final[Mapping[str, str]] = {
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
  valuesKey like:[\\-._a-zA-Z0-9]+
  targetPath like:([a-zA-Z0-9_\\-.\\\\/]|\\[[0-9]{1,5}\\])+
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
    "source.extensions.fluxcd.io/v1beta1 ArtifactGenerator": """\
artifacts![]
  copy![]
    exclude[]
    from! like:@[a-z0-9_-]+/.*
    strategy Overwrite|Merge|Extract
    to! like:@artifact/.*
  name!
  originRevision like:@[a-z0-9_-]+
  revision like:@[a-z0-9_-]+
@metadata
pathPattern like:@[a-z0-9_-]+/.*
sources![]
  alias! like:[a-z0-9]([a-z0-9_-]*[a-z0-9])?
  kind! Bucket|GitRepository|OCIRepository|HelmChart|ExternalArtifact
  name!
  namespace
""",
    "notification.toolkit.fluxcd.io/v1beta3 Alert": """\
providerRef!
  name!
eventSources![]
  @objects
eventMetadata texts
eventSeverity info|error
exclusionList[]
inclusionList[]
summary
suspend bool
""",
    "notification.toolkit.fluxcd.io/v1beta3 Provider": f"""\
type! {_PROVIDERS}
address
certSecretRef
  name!
channel
commitStatusExpr
interval duration
proxy scheme:http,https
proxySecretRef
  name!
@secret
serviceAccountName
suspend bool
timeout short
username
""",
    "notification.toolkit.fluxcd.io/v1 Receiver": f"""\
type! {_RECEIVERS}
resources![]
  @objects
  filter
events[]
interval duration
oidcProviders[]
  audience
  issuerURL! scheme:http,https
  validations![]
    expression!
    message!
  variables[]
    expression!
    name!
resourceFilter
@secret
suspend bool
""",
    "image.toolkit.fluxcd.io/v1 ImageRepository": """\
image!
interval! duration
accessFrom
  namespaceSelectors![]
    matchLabels texts
certSecretRef
  name!
exclusionList[]
insecure bool
provider generic|aws|azure|gcp
proxySecretRef
  name!
@secret
serviceAccountName
suspend bool
timeout short
""",
    "image.toolkit.fluxcd.io/v1 ImagePolicy": """\
imageRepositoryRef!
  name!
  namespace
policy!
  alphabetical
    order asc|desc
  numerical
    order asc|desc
  semver
    range!
digestReflectionPolicy Always|IfNotPresent|Never
filterTags
  extract
  pattern
interval duration
suspend bool
""",
    "image.toolkit.fluxcd.io/v1 ImageUpdateAutomation": """\
interval! duration
sourceRef!
  apiVersion
  kind GitRepository
  name!
  namespace
git
  checkout
    ref!
      branch
      commit
      name
      semver
      tag
  commit!
    author!
      email!
      name
    messageTemplate
    messageTemplateValues texts
    signingKey
      secretRef!
        name!
      type gpg|ssh
  push
    branch
    options texts
    refspec like:([^+:].*)?
policySelector
  matchExpressions[]
    key!
    operator!
    values[]
  matchLabels texts
suspend bool
update
  path
  strategy Setters
""",
}
"""The `spec` of Flux' kinds, in all its fields, by apiVersion and kind."""


def contradictions(obj: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield the rules between fields that `obj`, of a kind of Flux, breaks: its key, and the rule.

    `obj` is of a version that `SPECS` has.
    """
    spec = obj.get("spec")
    rule = _RULES.get(str(obj.get("kind")))
    if rule is not None and isinstance(spec, Mapping):
        yield from (("spec", broken) for broken in rule(mapping(spec)))


def _release(spec: Mapping[str, Any]) -> Iterator[str]:
    given = [name for name in ("chart", "chartRef") if spec.get(name) is not None]
    if len(given) != 1:
        yield "chart and chartRef exclude each other" if given else "chart or chartRef is required"


def _policy(spec: Mapping[str, Any]) -> Iterator[str]:
    is_always = spec.get("digestReflectionPolicy") == "Always"
    if is_always != (spec.get("interval") is not None):
        yield "interval and digestReflectionPolicy: Always need each other"


def _provider(spec: Mapping[str, Any]) -> Iterator[str]:
    if spec.get("commitStatusExpr") is not None and spec.get("type") not in _STATUS.split("|"):
        yield f"commitStatusExpr is only for the types {_STATUS.replace('|', ', ')}"


def _receiver(spec: Mapping[str, Any]) -> Iterator[str]:
    is_oidc = spec.get("type") == "generic-oidc"
    if is_oidc == (spec.get("secretRef") is not None):
        yield "a receiver of another type than generic-oidc has a secretRef, and only such a one"
    if is_oidc != bool(spec.get("oidcProviders")):
        yield "a receiver of type generic-oidc has oidcProviders, and only such a one"


_RULES: Final[Mapping[str, Callable[[Mapping[str, Any]], Iterator[str]]]] = {
    "HelmRelease": _release,
    "ImagePolicy": _policy,
    "Provider": _provider,
    "Receiver": _receiver,
}

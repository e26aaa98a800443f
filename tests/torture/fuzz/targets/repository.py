"""Files of a GitOps repository: YAML documents, templates, Git objects."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path
from typing import Any, Final

import yaml

from provision import config, safejson, safeyaml
from provision.fileio import names
from provision.github import answers, trees
from provision.gitops import documents, ignore, scalars, tree, yamltext
from provision.gitops.build import flux, layout, substitute
from provision.gitops.coldstart import analysis, decryption
from provision.gitops.sealing import gotemplate, plain, rewriting, sealed
from provision.gitops.sealing import keys as sealing_keys
from provision.provider.flux import manifests
from provision.secret import Secret
from tests.support import forged
from tests.torture.fuzz.target import CANARY, Target

_SECRET: Final = {
    "apiVersion": "v1",
    "kind": "Secret",
    "metadata": {"name": "a", "namespace": "b"},
    "stringData": {"k": CANARY, "n": "1"},
}
_SEALED: Final = sealed.seal(_SECRET, forged.KEY.certificate_pem)
_SEALED_TEXT: Final = documents.dump(_SEALED).encode()
_OBJECTS: Final = b"""\
apiVersion: v1
kind: ConfigMap
metadata:
  name: a  # why
  namespace: b
data: &d
  k: "x"
  t: |
    two
    lines
---
apiVersion: kustomize.toolkit.fluxcd.io/v1
kind: Kustomization
metadata: {name: apps, namespace: flux-system}
spec:
  interval: 10m
  path: ./apps
  prune: true
  dependsOn: [{name: base}]
  sourceRef: {kind: GitRepository, name: flux-system}
  postBuild:
    substitute: {a: "1"}
    substituteFrom: [{kind: Secret, name: s}]
  patches: [{target: {kind: Deployment}, patch: "[]"}]
---
apiVersion: helm.toolkit.fluxcd.io/v2
kind: HelmRelease
metadata: {name: r, namespace: b}
spec:
  chart: {spec: {chart: x, sourceRef: {kind: HelmRepository, name: h}}}
  values: {replicas: 1}
  valuesFrom: [{kind: Secret, name: v}]
---
apiVersion: v1
kind: List
items:
  - apiVersion: apps/v1
    kind: Deployment
    metadata: {name: d, namespace: b}
    spec:
      template:
        spec:
          containers: [{name: c, image: i, envFrom: [{secretRef: {name: s}}]}]
          volumes: [{name: v, secret: {secretName: x}}]
"""
_MORE_OBJECTS: Final = b"""\
apiVersion: helm.toolkit.fluxcd.io/v2
kind: HelmRelease
metadata: {name: r, namespace: b, labels: {a: b}}
spec:
  chartRef: {kind: OCIRepository, name: o, namespace: b}
  dependsOn: [{name: q, namespace: b}]
  valuesFrom: [{kind: ConfigMap, name: v, valuesKey: k, targetPath: a.b}]
  install: {crds: Skip}
---
apiVersion: source.toolkit.fluxcd.io/v1
kind: OCIRepository
metadata: {name: o, namespace: b}
spec: {url: oci://ghcr.io/x/y, interval: 5m, secretRef: {name: s}, ref: {tag: v1}}
---
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: things.example.com}
spec: {group: example.com, scope: Namespaced, names: {kind: Thing, plural: things}}
---
apiVersion: apps/v1
kind: DaemonSet
metadata: {name: d, namespace: b}
spec: {template: {spec: {containers: [{name: c, image: intel-gpu-plugin:1}]}}}
---
apiVersion: external-secrets.io/v1
kind: ExternalSecret
metadata: {name: e, namespace: b}
spec:
  secretStoreRef: {kind: ClusterSecretStore, name: st}
  target: {name: s, creationPolicy: Owner}
  data: [{secretKey: k, remoteRef: {key: x}}]
---
apiVersion: cert-manager.io/v1
kind: Certificate
metadata: {name: c, namespace: b}
spec: {secretName: t, issuerRef: {kind: ClusterIssuer, name: i}, dnsNames: [a.lan]}
---
apiVersion: v1
kind: ServiceAccount
metadata: {name: sa, namespace: b}
imagePullSecrets: [{name: p}]
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: i, namespace: b, annotations: {cert-manager.io/cluster-issuer: x}}
spec: {tls: [{secretName: z, hosts: [a]}], rules: [{host: a}]}
"""
_COMPONENTS: Final = b"""\
apiVersion: apps/v1
kind: Deployment
metadata:
  name: source-controller
  labels: {app.kubernetes.io/version: v2.7.0}
spec: {template: {spec: {containers: [{name: manager, args: [--x]}]}}}
"""
_KUSTOMIZATION: Final = b"""\
apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization
namespace: b
resources: [a.yaml]
configMapGenerator: [{name: g, literals: [a=b]}]
patches: [{path: a.yaml}]
"""


def _text(data: bytes) -> str:
    return data.decode(errors="replace")


def _read_documents(data: bytes, folder: Path) -> None:
    problems: list[Any] = []
    for doc in documents.read_text(_text(data), "a.yaml", problems):
        documents.ref(doc.obj)
        documents.dump(doc.obj)
        if flux.is_kustomization(doc.obj):
            flux.read(doc)
        layout.lacking(doc)


def _edit_documents(data: bytes, folder: Path) -> None:
    text = _text(data)
    yamltext.compose(text)
    if not isinstance(next(iter(documents.load_all(text)), None), dict):
        return  # there is no document to edit
    scalars.set_values(text, 0, {("data", "k"): "y", ("metadata", "labels", "z"): "1"})


def _reseal(data: bytes, folder: Path) -> None:
    problems: list[Any] = []
    text = _text(data)
    found = rewriting.find(text, "a.yaml", problems)
    for one in found:
        sealed.verify([one.doc], [forged.KEY])
    wanted = {
        one.place: sealed.reseal(one.obj, [forged.KEY], forged.KEY.certificate_pem) for one in found
    }
    rewriting.replaced(text, wanted, "a.yaml")


def _seal(data: bytes, folder: Path) -> None:
    problems: list[Any] = []
    for doc in plain.read(_text(data), "a.yaml", problems):
        sealed.seal(doc.obj, forged.KEY.certificate_pem)


def _walk(data: bytes, folder: Path) -> None:
    files = {"kustomization.yaml": _text(data), "a.yaml": "kind: X\n"}
    layout.walk(tree.Tree.of(files), ".")


def _analyse(data: bytes, folder: Path) -> None:
    """Analyse a repository; what needs a build by kubectl is left out: it takes a process."""
    analysis.analyse(tree.Tree.of({"a.yaml": _text(data)}), ".")


def _substitute(data: bytes, folder: Path) -> object:
    return substitute.evaluate(_text(data), {"a": "1", "b": CANARY}.get, strict=True)


def _ignore(data: bytes, folder: Path) -> object:
    files = {".sourceignore": _text(data), "a/b.yaml": "", "c.md": ""}
    return ignore.visible(files, "")


class _Server:
    """A code host that answers each call with `body`, and has `archive` as its archive."""

    cfg: Final = config.GitHub(owner="me", repository="homelab")

    def __init__(self, body: Any, archive: bytes = b"") -> None:
        self.body = body
        self.archive = archive

    def repository_path(self, *names: str) -> str:
        return "/".join(names)

    def request(self, operation: str, *_: Any, **__: Any) -> answers.Answer:
        source = answers.Source(operation=operation, address="https://x", status=200)
        return answers.Answer(headers={}, data=self.body, source=source)

    def download_archive(self, commit: str) -> bytes:
        return self.archive


def _read_tree(data: bytes, folder: Path) -> None:
    server: Any = _Server(safejson.loads(data))
    found = trees.Trees(server).snapshot("c0" * 20)
    [entry.reason for entry in found.entries.values()]


def _read_blob(data: bytes, folder: Path) -> None:
    server: Any = _Server(safejson.loads(data))
    trees.Trees(server).text("b0" * 20, "a.yaml")


def _read_archive(data: bytes, folder: Path) -> None:
    server: Any = _Server({"content": "eA==", "encoding": "base64"}, data)
    entries = {
        f"{n}.txt": trees.Entry(sha=trees.blob_sha(str(n)), mode="100644", size=1)
        for n in range(40)
    }
    snapshot = trees.Snapshot(commit="c0" * 20, entries=entries)
    trees.Trees(server)._read_archive(snapshot, list(entries))


def _archive() -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz", format=tarfile.PAX_FORMAT) as tar:
        for number in range(3):
            header = tarfile.TarInfo(f"me-homelab-c0/{number}.txt")
            header.size = 1
            tar.addfile(header, io.BytesIO(str(number).encode()))
    return out.getvalue()


TARGETS: Final = (
    Target(
        name="yaml",
        seeds=(_OBJECTS, b"a: &x [1, 0o7, 0x1F, 1_0, 1:30, .inf, ~, yes, 2020-01-01]\nb: *x\n"),
        read=lambda data, folder: safeyaml.load(_text(data)),
        documented=(yaml.YAMLError,),
        form="yaml",
    ),
    Target(
        name="json",
        seeds=(b'{"a": [1, 1.5, true, null, "x"]}',),
        read=lambda data, folder: safejson.loads(data),
        documented=(json.JSONDecodeError,),
        form="json",
    ),
    Target(name="documents", seeds=(_OBJECTS, _SEALED_TEXT), read=_read_documents, form="yaml"),
    Target(
        name="edited-documents",
        seeds=(_OBJECTS, b"data: {k: &a x, l: *a} # c\nmetadata:\n  name: z\n"),
        read=_edit_documents,
        documented=(yaml.YAMLError, scalars.CannotSetError),
        form="yaml",
    ),
    Target(
        name="sealed-secret",
        seeds=(_SEALED_TEXT,),
        read=_reseal,
        documented=(sealing_keys.SealingError,),
        form="yaml",
        inputs=30,
    ),
    Target(
        name="secret",
        seeds=(json.dumps(_SECRET).encode(), documents.dump(_SECRET).encode()),
        read=_seal,
        form="yaml",
    ),
    Target(name="kustomization", seeds=(_KUSTOMIZATION,), read=_walk, form="yaml"),
    Target(
        name="flux-components",
        seeds=(_COMPONENTS, b"# Flux Version: v2.7.0\n# Components: a,b\n" + _COMPONENTS),
        read=lambda data, folder: manifests.read_header(_text(data)),
        form="yaml",
    ),
    Target(
        name="substitution",
        seeds=(b"a: ${a} ${x:-y} ${b:=z} $${c} ${a/1/2} ${a:0:1} ${a^^} ${#a} ${a%%1*} ${b##x}",),
        read=_substitute,
        documented=(substitute.SubstitutionError,),
    ),
    Target(
        name="go-template",
        seeds=(
            b'{{ .user | b64enc | quote }}{{- if eq .a "x" }}y{{ else }}z{{ end -}}',
            b'{{ printf "%s:%d" (index . "a-b") 3 }}{{ default `x` .b | indent 4 }}{{/* c */}}',
            b'{{ repeat 3 "x" | trimSuffix "x" }}{{ replace "a" "b" .user | nindent 2 }}',
        ),
        read=lambda data, folder: gotemplate.render(_text(data), {"user": CANARY, "a-b": "1"}),
        documented=(gotemplate.TemplateError,),
    ),
    Target(
        name="ignore-file",
        seeds=(b"# c\n/*\n!/clusters/**\n*.md\n[a-z]?\\ x\n**/b/\n",),
        read=_ignore,
    ),
    Target(
        name="git-name",
        seeds=(b"clusters/a.yaml", b".git/config", b"a/../b", b"CON", b"a\xe2\x80\x8b.git"),
        read=lambda data, folder: (names.refusal(_text(data)), names.too_long(_text(data))),
    ),
    Target(
        name="git-tree",
        seeds=(
            b'{"truncated": false, "tree": [{"path": "a/b.yaml", "type": "blob", "size": 1,'
            b' "mode": "100644", "sha": "b0"}, {"path": "m", "type": "commit",'
            b' "mode": "160000", "sha": "c0"}]}',
        ),
        read=_read_tree,
        documented=(json.JSONDecodeError,),
        form="json",
    ),
    Target(
        name="git-blob",
        seeds=(b'{"content": "YTogYg==\\n", "encoding": "base64", "size": 4}',),
        read=_read_blob,
        documented=(json.JSONDecodeError,),
        form="json",
    ),
    Target(name="git-archive", seeds=(_archive(),), read=_read_archive),
    Target(
        name="sops-keys",
        seeds=(
            str(forged.LOCK).encode() + b"\n# a comment\n",
            b"-----BEGIN PGP PRIVATE KEY BLOCK-----\n\nlQVYBF\n=abcd\n"
            b"-----END PGP PRIVATE KEY BLOCK-----\n",
        ),
        read=lambda data, folder: decryption.read(Secret(_text(data))),
    ),
    Target(name="cold-start", seeds=(_OBJECTS, _MORE_OBJECTS), read=_analyse, form="yaml"),
)

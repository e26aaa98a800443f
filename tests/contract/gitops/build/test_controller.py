"""What we build and what a real kustomize-controller applies, object for object."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from provision.gitops import documents
from provision.gitops.build import discovery
from provision.gitops.coldstart import analysis as coldstart_analysis
from provision.gitops.sealing import keys as sealing_keys
from provision.gitops.tree import Tree
from provision.kube import wait
from tests.support import elysiumrepo, fluxcluster

pytestmark = pytest.mark.sandbox

CLUSTER = "clusters/kyrion"
SOURCE = "source.toolkit.fluxcd.io/v1"
FLUX = "v2.9.3"
"""The release of Flux that has the kustomize-controller which the sandbox builds."""


@pytest.fixture(scope="module")
def flux(tmp_path_factory) -> Iterator:
    with fluxcluster.running(tmp_path_factory.mktemp("flux")) as cluster:
        yield cluster


def config_map(name: str, namespace: str = "", **data: str) -> str:
    where = f"\n  namespace: {namespace}" if namespace else ""
    values = "".join(f"\n  {key}: {value}" for key, value in data.items())
    return f"apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {name}{where}\ndata:{values}\n"


WORDS = """\
apiVersion: v1
kind: ConfigMap
metadata:
  name: words
  namespace: corpus
data:
  plain: ${NAME}
  quoted: "${NAME}"
  number: "a${NUMBER}"
  default: ${MISSING:=fallback}
  dash: ${MISSING:-fallback}
  nested: ${MISSING:=pre-${NAME}-post}
  escaped: $${NAME}
  upper: ${NAME^^}
  assign: ${MISSING=fallback}
  empty: ${EMPTY:=fallback}x${EMPTY:-fallback}
  first: ${NAME^}
  firstlower: ${SHOUT,}
  beyond: ${NAME:9}y${NAME:2:99}
  within: ${MISSING:=${NAME^^}}
  secret: ${TOKEN}
  both: ${OVERRIDDEN}
  lower: ${SHOUT,,}
  length: a${#NAME}
  cut: ${NAME:1:3}
  tail: ${NAME:2}
  replace: ${PATHS/\\//-}
  replaceall: ${PATHS//a/b}
  prefix: ${PATHS#*/}
  prefixes: ${PATHS##*/}
  suffix: ${FILE%.*}
  suffixes: ${FILE%%.*}
  headtail: ${FILE/#bash/zsh}${FILE/%txt/md}
  shell: $NAME $(NAME) $ $
  lines: |
    first ${NAME}
    second "${SHOUT}" \\ $${HOME}
  long: aaaaaaaaaaaaaaaaaaaa bbbbbbbbbbbbbbbbbbbbbbbbbb cccccccccccccccc ${NAME} ddddddddddddddddd
  colon: "a: ${NAME} # no comment"
  yes: "yes"
  date: "2024-01-01"
  multiline: "${LINES}"
"""
SECRET = """\
apiVersion: v1
kind: Secret
metadata:
  name: secret-vars
  namespace: flux-system
data:
  TOKEN: Y2FuYXJ5
stringData:
  OVERRIDDEN: by-the-secret
"""
DISABLED = WORDS.replace(
    "  name: words\n",
    "  name: raw\n  annotations:\n    kustomize.toolkit.fluxcd.io/substitute: disabled\n",
)
DEPLOYMENT = """\
apiVersion: apps/v1
kind: Deployment
metadata:
  name: web
spec:
  replicas: ${NUMBER}
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
        - name: web
          image: example/web:1
          env:
            - {name: HOST, value: "${NAME}.local"}
"""


IGNORED = {
    "ignored/b.skip.yaml": config_map("ignored-b", "corpus", v="one"),
    "ignored/below/c.skip.yaml": config_map("ignored-c", "corpus", v="one"),
    "ignored/deep/d.yaml": config_map("ignored-d", "corpus", v="one"),
}
"""What source-controller would not put into the artifact, by the file in that folder."""


def corpus() -> dict[str, str]:
    """A folder for each feature."""
    return {
        "vars/cluster-vars.yaml": config_map(
            "cluster-vars",
            "flux-system",
            NAME="kyrion",
            NUMBER='"2"',
            WORD="w2",
            SHOUT="LOUD",
            PATHS="a/b/a",
            FILE="bash.string.txt",
            LINES='"one\\ntwo"',
            EMPTY='""',
            OVERRIDDEN="by-the-map",
        ),
        "vars/secret-vars.yaml": SECRET,
        # Substitution.
        "words/words.yaml": WORDS,
        "words/raw.yaml": DISABLED,
        # Generated over all files; a folder with a kustomization stands for itself.
        "generated/a.yaml": config_map("generated-a", "corpus", v="one"),
        "generated/deep/er/b.yml": config_map("generated-b", "corpus", v="${NAME}"),
        "generated/own/kustomization.yml": "resources: [c.yaml]\nnamePrefix: own-\n",
        "generated/own/c.yaml": config_map("generated-c", "corpus", v="one"),
        "generated/own/unlisted.yaml": config_map("unlisted", "corpus", v="one"),
        "generated/own/below/d.yaml": config_map("below", "corpus", v="one"),
        "generated/notes.txt": "nothing\n",
        "generated/empty.yaml": "# nothing\n---\n",
        # A namespace, patches, images and components of the Kustomization itself.
        "overlay/kustomization.yaml": "resources: [web.yaml, map.yaml]\n"
        "images: [{name: example/web, newTag: '2'}]\n",
        "overlay/web.yaml": DEPLOYMENT,
        "overlay/map.yaml": config_map("overlay", v="one"),
        "components/label/kustomization.yaml": "apiVersion: kustomize.config.k8s.io/v1alpha1\n"
        "kind: Component\nlabels: [{pairs: {part: yes-please}}]\n",
        # A base with generators and name references.
        "base/kustomization.yaml": "resources: [web.yaml]\n"
        "configMapGenerator:\n  - name: settings\n    files: [app.conf]\n"
        "    literals: ['host=${NAME}']\n",
        "base/app.conf": "port=80\nname=${NAME}\n",
        "base/web.yaml": DEPLOYMENT.replace("name: web\nspec", "name: based\nspec").replace(
            "          env:",
            "          envFrom: [{configMapRef: {name: settings}}]\n          env:",
        ),
        "over/base/kustomization.yaml": "resources: [../../base]\nnamespace: corpus\n"
        "patches:\n  - path: patch.yaml\n    target: {kind: Deployment}\n",
        "over/base/patch.yaml": "- {op: replace, path: /spec/replicas, value: 0}\n",
        # Only a generator.
        "only/kustomization.yaml": "namespace: corpus\nconfigMapGenerator:\n"
        "  - {name: only, literals: ['a=b'], options: {disableNameSuffixHash: true}}\n",
        # What the source leaves out.
        "ignored/.sourceignore": "# for this folder\n*.skip.yaml\n!kept.skip.yaml\n/deep/\n",
        "ignored/a.yaml": config_map("not-ignored", "corpus", v="one"),
        "ignored/kept.skip.yaml": config_map("kept", "corpus", v="one"),
        **IGNORED,
        # Nothing at all to apply.
        "nothing/readme.txt": "nothing\n",
        # A List, and several documents in one file.
        "list/list.yaml": "apiVersion: v1\nkind: List\nitems:\n"
        "  - apiVersion: v1\n    kind: ConfigMap\n    metadata: {name: l1, namespace: corpus}\n"
        "  - apiVersion: v1\n    kind: ConfigMap\n    metadata: {name: l2, namespace: corpus}\n",
        "list/many.yaml": config_map("m1", "corpus", v="one")
        + "---\n"
        + config_map("m2", "corpus", v="${NAME}"),
    }


FROM = {
    "substituteFrom": [
        {"kind": "ConfigMap", "name": "cluster-vars"},
        {"kind": "Secret", "name": "secret-vars"},
        {"kind": "Secret", "name": "absent-secret", "optional": True},
        {"kind": "ConfigMap", "name": "absent-map", "optional": True},
    ]
}
KUSTOMIZATIONS: dict[str, dict] = {
    "words": {"path": "./words", "postBuild": FROM},
    "inline": {
        "path": "./generated",
        "postBuild": {**FROM, "substitute": {"NAME": "inline"}},
        "targetNamespace": "inline",
        "namePrefix": "pre-",
        "nameSuffix": "-post",
    },
    "generated": {"path": "./generated", "postBuild": FROM},
    "unsubstituted": {"path": "./generated", "targetNamespace": "plain"},
    "overlay": {
        "path": "overlay/",
        "targetNamespace": "corpus",
        "postBuild": FROM,
        "components": ["../components/label", "../components/absent"],
        "ignoreMissingComponents": True,
        "images": [{"name": "example/web", "newName": "other/web", "digest": "sha256:" + "0" * 64}],
        "patches": [
            {
                "patch": "apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: web\n"
                "spec:\n  template:\n    spec:\n      priorityClassName: ${NAME}\n"
            },
            {
                "patch": "- {op: add, path: /data/w, value: '${WORD}'}\n",
                "target": {"kind": "ConfigMap"},
            },
        ],
    },
    "over": {"path": "/over/base", "postBuild": FROM},
    "only": {"path": "./only"},
    "ignored": {"path": "./ignored"},
    "absent": {
        "path": "./generated",
        "targetNamespace": "absent",
        "postBuild": {
            "substituteFrom": [{"kind": "ConfigMap", "name": "absent-map", "optional": True}]
        },
    },
    "nothing": {"path": "./nothing"},
    "list": {"path": "./list", "postBuild": FROM},
}


def identity(obj: dict) -> str:
    """The id of an object in the controller's inventory."""
    _, namespace, name = documents.place_of(obj)
    return f"{namespace}_{name}_{documents.group_of(obj)}_{obj['kind']}"


def differences(ours, live, path: str = "") -> list[str]:
    """Where `live` lacks or changes what `ours` says."""
    if isinstance(ours, dict) and isinstance(live, dict):
        return [
            line
            for key, value in ours.items()
            for line in differences(value, live.get(key), f"{path}.{key}")
        ]
    if isinstance(ours, list) and isinstance(live, list) and len(ours) == len(live):
        return [
            line
            for i, (one, other) in enumerate(zip(ours, live, strict=True))
            for line in differences(one, other, f"{path}[{i}]")
        ]
    return [] if ours == live or (not ours and live is None) else [f"{path}: {ours!r} != {live!r}"]


def test_object_for_object(flux) -> None:
    files = corpus()
    for name in ("corpus", "inline", "plain", "absent"):
        flux.namespace(name)
    flux.publish({path: text for path, text in files.items() if path not in IGNORED})
    import yaml

    root: list[str] = []
    for name, spec in KUSTOMIZATIONS.items():
        flux.kustomization(name, **spec)
        obj = flux.get_kustomization(name)
        obj["metadata"] = {"name": name, "namespace": "flux-system"}
        obj.pop("status", None)
        files[f"{CLUSTER}/{name}.yaml"] = yaml.safe_dump(obj)
        root.append(name)
    for name in ("cluster-vars", "secret-vars"):
        text = files[f"{CLUSTER}/{name}.yaml"] = files[f"vars/{name}.yaml"]
        flux.client.apply(yaml.safe_load(text), field_manager="test", force=True)
    flux.ready(*root)
    found = discovery.discover(Tree.of(files), CLUSTER, flux_version=FLUX)
    assert found.problems == []
    units = {unit.kustomization.name: unit for unit in found.units}
    for name in KUSTOMIZATIONS:
        ours = {identity(doc.obj): doc.obj for doc in units[name].objects}
        assert set(ours) == flux.inventory(name), name
        for key, obj in ours.items():
            metadata = obj["metadata"]
            live = flux.client.get(
                obj["apiVersion"], obj["kind"], metadata["name"], metadata.get("namespace")
            )
            assert differences(obj, live) == [], f"{name}: {key}"
            if obj["kind"] == "ConfigMap":
                assert live.get("data") == obj.get("data"), f"{name}: {key}"
            annotations = live["metadata"].get("annotations") or {}
            assert annotations == (metadata.get("annotations") or {}), f"{name}: {key}"


@pytest.mark.parametrize(
    ("path", "files"),
    [
        ("./bad/missing", {}),
        ("./bad/gone", {"bad/gone/kustomization.yaml": "resources: [gone.yaml]\n"}),
        ("./bad/yaml", {"bad/yaml/a.yaml": "a: [b\n"}),
        ("./bad/kind", {"bad/kind/a.yaml": "apiVersion: v1\nmetadata: {name: x}\n"}),
        ("./bad/text", {"bad/text/a.yaml": "- a\n- b\n"}),
        ("./bad/sub", {"bad/sub/kustomization.yaml": "resources: [x]\n", "bad/sub/x/a.txt": "\n"}),
        ("./bad/unset", {"bad/unset/a.yaml": config_map("bad-unset", "default", v="x${MISSING}y")}),
        (
            "./bad/var",
            {"bad/var/a.yaml": config_map("bad-var", "default", v="${A:}")},
        ),
    ],
)
def test_what_the_controller_refuses_we_refuse(flux, path: str, files) -> None:
    name = path.rpartition("/")[2]
    more = {"postBuild": {"substitute": {"A": "b"}}} if name in ("var", "unset") else {}
    flux.publish({"readme.txt": "\n", **files})
    flux.kustomization(f"bad-{name}", path, **more)
    flux.until(
        lambda: (
            wait.condition(flux.get_kustomization(f"bad-{name}"), "Ready").get("status") == "False"
        ),
        f"{name} is refused",
    )
    extra = "  postBuild: {substitute: {A: b}}\n" if more else ""
    tree = Tree.of({f"{CLUSTER}/k.yaml": elysiumrepo.kustomization("k", path, more=extra), **files})
    found = discovery.discover(tree, CLUSTER, flux_version=FLUX)
    assert found.problems, flux.message(f"bad-{name}")
    flux.client.delete(
        "kustomize.toolkit.fluxcd.io/v1", "Kustomization", f"bad-{name}", "flux-system"
    )


def test_the_deadlocks_are_real_and_the_seeds_end_them(flux) -> None:
    key = sealing_keys.make_key()
    files = {
        path: content.replace("  prune: true\n", "  prune: true\n  retryInterval: 1s\n")
        for path, content in elysiumrepo.deadlocked(key).items()
    }
    tree = Tree.of(files)
    analysis = coldstart_analysis.analyse(tree, CLUSTER, keys=[key])
    flux.client.delete("v1", "ConfigMap", "cluster-vars", "flux-system")
    flux.publish(tree.files)
    flux.kustomization("flux-system", f"./{CLUSTER}")

    definition, secret, namespace = analysis.needs
    flux.until(
        lambda: 'no matches for kind "SealedSecret"' in flux.message("flux-system"),
        "the first deadlock",
    )
    assert definition.name == "SealedSecret.bitnami.com"
    flux.install("bitnami.com_")
    flux.ready("flux-system")

    flux.until(
        lambda: '"cluster-secret-vars" not found' in flux.message("infra-controllers"),
        "the second deadlock",
    )
    assert secret.name == "cluster-secret-vars"
    flux.client.apply(secret.object, field_manager="elysium")

    flux.until(
        lambda: (
            'namespaces "tailscale" not found' in flux.message("infra-controllers")
            or "namespace not found" in flux.message("infra-controllers")
        ),
        "the third deadlock",
    )
    assert namespace.name == "tailscale"
    flux.namespace(namespace.name)

    def released() -> bool:
        """Do what helm-controller and source-controller do to the objects' status."""
        kinds = {"HelmRelease": "helm.toolkit.fluxcd.io/v2", "HelmRepository": SOURCE}
        found = [(kind, one) for kind in kinds for one in flux.client.list(kinds[kind], kind)]
        for kind, one in found:
            ready = {
                "type": "Ready",
                "status": "True",
                "reason": "Stub",
                "message": "",
                "lastTransitionTime": "2026-01-01T00:00:00Z",
            }
            flux.client.patch(
                kinds[kind],
                kind,
                one["metadata"]["name"],
                one["metadata"]["namespace"],
                {"status": {"observedGeneration": 1, "conditions": [ready]}},
                subresource="status",
            )
        return len(found) == 4

    flux.until(released, "the releases are there")
    flux.ready("infra-controllers", "infra-configs", "apps")
    web = flux.client.get("v1", "ConfigMap", "web", "arkham")
    assert web["data"] == {
        "zone": "Europe/Berlin",
        "host": "web.example.org",
        "shell": "${HOME}",
    }

"""A build reads nothing outside its tree, and reaches no network."""

from __future__ import annotations

import http.server
import re
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from provision.gitops import documents
from provision.gitops.build import isolation, kustomize, workspace
from provision.gitops.coldstart import analysis
from provision.gitops.tree import Tree
from tests.support import escapes


class Outside:
    """A folder with canaries, and a server that counts who asks."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.asked: list[str] = []
        for name, text in escapes.OUTSIDE.items():
            target = folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text)
        asked = self.asked

        class Handler(http.server.SimpleHTTPRequestHandler):
            def __init__(self, *args) -> None:
                super().__init__(*args, directory=str(folder))

            def send_head(self):
                asked.append(self.path)
                return super().send_head()

            def log_message(self, *_: object) -> None:
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"


@pytest.fixture(scope="module")
def outside(tmp_path_factory) -> Iterator[Outside]:
    made = Outside(tmp_path_factory.mktemp("outside"))
    thread = threading.Thread(target=made.server.serve_forever, args=(0.02,))
    thread.start()
    yield made
    made.server.shutdown()
    made.server.server_close()
    thread.join()


@pytest.fixture(params=["namespaces", "text"])
def confined(request, monkeypatch) -> str:
    """Both protections, and the checks of the text alone."""
    if request.param == "text":
        monkeypatch.setattr(isolation, "_may_confine", lambda: False)
    return request.param


def build(files: dict[str, str], path: str = "app", **overlay) -> kustomize.Built:
    with kustomize.Builder(Tree.of(files), jobs=1) as builder:
        return builder.build([workspace.Overlay(path=path, **overlay)])[0]


@pytest.mark.parametrize("escape", escapes.all_of(), ids=lambda one: one.name)
def test_no_way_out(confined: str, outside: Outside, escape: escapes.Escape) -> None:
    files = escape.at(str(outside.folder), outside.url)
    before = len(outside.asked)
    built = build(files)
    assert outside.asked[before:] == []
    assert escapes.CANARY not in repr(built)
    assert built.problems
    assert built.objects == ()
    for problem in built.problems:
        assert re.fullmatch(re.escape(escape.file) + r":\d+", problem.where), problem
        assert "goroutine" not in problem.message
        assert "/tmp/elysium" not in problem.message


def test_kubectl_takes_no_options_from_the_repository(
    confined: str, tmp_path: Path, monkeypatch
) -> None:
    """A kuberc file may say where kustomize writes, or that it runs programs."""
    written = tmp_path / "written"
    preference = (
        "apiVersion: kubectl.config.k8s.io/v1beta1\nkind: Preference\ndefaults:\n"
        f"- command: kustomize\n  options: [{{name: output, default: {written}}}]\n"
    )
    monkeypatch.setenv("KUBERC", str(tmp_path / "kuberc"))
    (tmp_path / "kuberc").write_text(preference)
    files = {
        "app/kustomization.yaml": "resources: [mine.yaml]\n",
        "app/mine.yaml": escapes.MINE,
        "app/.kube/kuberc": preference,
        ".kube/kuberc": preference,
    }
    built = build(files)
    assert [doc.where for doc in built.objects] == ["app/mine.yaml:1"]
    assert not written.exists()


def test_a_flux_kustomization_does_not_lead_out(confined: str, outside: Outside) -> None:
    files = {"app/kustomization.yaml": "resources: [mine.yaml]\n", "app/mine.yaml": escapes.MINE}
    up = "../" * 40 + str(outside.folder).lstrip("/")
    for components in ((f"{outside.folder}/component",), (f"{up}/component",)):
        built = build(files, components=components)
        assert "not in the repository" in built.problems[0].message
        assert built.problems[0].key == "components"
    patch = {"path": f"{outside.folder}/patch.yaml", "target": {"kind": "ConfigMap"}}
    assert escapes.CANARY not in repr(build(files, patches=(patch,)))
    remote = build(files, components=(f"{outside.url}/component",))
    assert remote.remote == (f"app: {outside.url}/component",)
    assert len(remote.objects) == 1
    assert outside.asked == []


@pytest.mark.parametrize(
    "entry",
    [
        "https://github.com/me/repo//folder?ref=v1",
        '"\\x68ttps://github.com/me/repo//folder?ref=v1"',
        "HTTPS://example.org/a.yaml",
        "git@github.com:me/repo?ref=v1",
        "me@example.org:me/repo.git",
        "ssh://git@example.org/me/repo",
        "github.com/me/repo/folder?ref=v1",
        "git::https://example.org/me/repo",
    ],
)
@pytest.mark.parametrize("field", ["resources", "bases", "RESOURCES", "components"])
def test_a_remote_base_is_left_out_and_named(confined: str, entry: str, field: str) -> None:
    files = {
        "app/kustomization.yaml": "resources: [../base, mine.yaml]\n",
        "app/mine.yaml": escapes.MINE,
        "base/kustomization.yaml": f"namespace: x\n{field}: [{entry}]\n",
    }
    built = build(files)
    assert built.problems == ()
    assert [doc.obj["metadata"]["name"] for doc in built.objects] == ["mine"]
    (named,) = built.remote
    assert named.startswith("base/kustomization.yaml: ")


@pytest.mark.parametrize("path", ["../x", "https://example.org/x"])
def test_a_plugin_that_is_not_there_is_a_problem(path: str) -> None:
    files = {"app/kustomization.yaml": f"namespace: x\ngenerators: [{path}]\n"}
    (problem,) = build(files).problems
    assert problem.where == "app/kustomization.yaml:2"


LEGITIMATE = {
    "app/kustomization.yaml": """\
resources: [mine.yaml, ./sub/, ../base, github.com/folder, "odd?ref=1.yaml"]
components: [../component]
crds: [crd.json]
configurations: [config.yaml]
patches:
  - path: ../app/patch.yaml
    target: {kind: ConfigMap, name: mine}
  - patch: '[{"op": "add", "path": "/data/inline", "value": "1e3"}]'
    target: {kind: ConfigMap, name: mine}
patchesStrategicMerge:
  - merge.yaml
  - |
    apiVersion: v1
    kind: ConfigMap
    metadata: {name: mine}  # ../../comment
    data: {written: "12e4567"}
patchesJson6902:
  - path: patch2.yaml
    target: {version: v1, kind: ConfigMap, name: mine}
replacements:
  - path: replacements.yaml
  - source: {kind: ConfigMap, name: mine, fieldPath: data.a}
    targets:
      - {select: {name: mine}, fieldPaths: [data.copy], options: {create: true}}
configMapGenerator:
  - name: from-files
    files: [text.conf, ../app/other.conf, key.conf=../base/object.yaml]
    envs: [values.env]
    literals: ["a=\\u2028\\u00a0\U0001f600"]
  - {name: one-env, env: values.env}
secretGenerator:
  - {name: secret, files: [k=text.conf], type: Opaque}
generators:
  - gen.yaml
  - ../plugins
  - |-
    apiVersion: builtin
    kind: ConfigMapGenerator
    metadata: {name: inline}
    files: [text.conf]
transformers:
  - prefix.yaml
labels: [{pairs: {tag: "12e4567"}}]
images: [{name: x, newTag: "1e3"}]
commonAnnotations: {"yes": "on", number: "010"}
buildMetadata: [originAnnotations]
""",
    "app/mine.yaml": escapes.MINE,
    "app/sub/kustomization.yml": "Resources: [deep.yaml]\nnameSuffix: -s\n",
    "app/sub/deep.yaml": escapes.MINE.replace("mine", "deep"),
    "app/github.com/folder/Kustomization": "namePrefix: hub-\nresources: [a.yaml]\n",
    "app/github.com/folder/a.yaml": escapes.MINE.replace("mine", "hubbed"),
    "app/odd?ref=1.yaml": escapes.MINE.replace("mine", "odd"),
    "app/crd.json": "{}",
    "app/config.yaml": "nameReference: []\n",
    "app/patch.yaml": "- {op: add, path: /data/patched, value: '010'}\n",
    "app/patch2.yaml": "- {op: add, path: /data/patched2, value: x}\n",
    "app/merge.yaml": escapes.MINE.replace("a: b", "merged: x"),
    "app/replacements.yaml": "- source: {kind: ConfigMap, name: mine, fieldPath: data.a}\n"
    "  targets: [{select: {kind: ConfigMap, name: odd}, fieldPaths: [data.a]}]\n",
    "app/text.conf": "a\n",
    "app/other.conf": "b\n",
    "app/values.env": "A=b\n",
    "app/gen.yaml": escapes.GENERATOR + "literals: [a=b]\nenvs: [values.env]\n",
    "app/prefix.yaml": "apiVersion: builtin\nkind: PrefixTransformer\nmetadata: {name: p}\n"
    "prefix: all-\nfieldSpecs: [{path: metadata/name}]\n",
    "plugins/kustomization.yaml": "resources: [more.yaml]\n",
    "plugins/more.yaml": escapes.GENERATOR.replace("made", "more") + "literals: [c=d]\n",
    "base/kustomization.yaml": "resources: [object.yaml]\nopenapi: {path: schema.json}\n",
    "base/object.yaml": escapes.MINE.replace("mine", "based"),
    "base/schema.json": "{}",
    "component/kustomization.yaml": "apiVersion: kustomize.config.k8s.io/v1alpha1\n"
    "kind: Component\nnamespace: there\n",
}


def test_what_stays_inside_is_built_as_kustomize_builds_it(confined: str, tmp_path: Path) -> None:
    for path, text in LEGITIMATE.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    folder = tmp_path / "app"
    command = [kustomize.kubectl(), "kustomize", "--load-restrictor=LoadRestrictionsNone", folder]
    plain = subprocess.run(command, capture_output=True, text=True, check=False)
    assert plain.returncode == 0, plain.stderr
    built = build(LEGITIMATE)
    assert built.problems == ()
    expected = documents.load_all(plain.stdout)
    assert [_bare(doc.obj) for doc in built.objects] == [_bare(obj) for obj in expected]
    assert len(expected) > 8
    assert bool(built.unconfined) is (confined == "text")


def _bare(obj: dict) -> dict:
    """Return `obj` without its origin: a plugin's is where it is listed."""
    annotations = dict(obj["metadata"]["annotations"])
    annotations.pop("config.kubernetes.io/origin")
    return obj | {"metadata": obj["metadata"] | {"annotations": annotations}}


def test_the_build_has_nothing_of_the_users_environment(tmp_path: Path, monkeypatch) -> None:
    """Also where the kernel gives no namespaces."""
    monkeypatch.setattr(isolation, "_may_confine", lambda: False)
    for name in ("HTTPS_PROXY", "KUBECONFIG", "GIT_DIR", "GITHUB_TOKEN", "PYTHONPATH"):
        monkeypatch.setenv(name, "canary")
    program = tmp_path / "program"
    program.write_text("#!/bin/sh\nexec /usr/bin/env\n")
    program.chmod(0o755)
    output = isolation.run(tmp_path, "", str(program), [])
    names = {line.partition("=")[0] for line in output.out.splitlines()} - {"PWD", "_", "SHLVL"}
    assert names == {"HOME", "PATH", "KUBERC", "GOGC", "GOMEMLIMIT"}
    assert "HOME=/nonexistent" in output.out
    assert "PATH=/nonexistent" in output.out


UNCHECKED = (
    *("resources-absolute", "resources-dots", "folder-dots", "components-absolute"),
    *("patches-absolute", "files-dots", "envs-absolute", "patches-address", "openapi-absolute"),
)


@pytest.mark.parametrize("name", UNCHECKED)
def test_the_namespaces_alone_keep_it_inside(tmp_path: Path, outside: Outside, name: str) -> None:
    """What the checks of the text would let through ends at the root folder and in no network."""
    (escape,) = [one for one in escapes.all_of() if one.name == name]
    for path, text in escape.at(str(outside.folder), outside.url).items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    arguments = ["kustomize", "--load-restrictor=LoadRestrictionsNone", "."]
    before = len(outside.asked)
    output = isolation.run(tmp_path, "app", kustomize.kubectl(), arguments)
    if output.isolation != isolation.NAMESPACES:
        pytest.skip(f"the kernel gives no namespaces here: {output.isolation}")
    assert output.code != 0
    assert escapes.CANARY not in output.out + output.error
    assert outside.asked[before:] == []


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("while :; do echo xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx; done", "of objects"),
        ("while :; do echo xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx >&2; done", "of objects"),
        ("while :; do :; done", "not done after"),
    ],
)
def test_a_build_has_limits(tmp_path: Path, monkeypatch, script: str, said: str) -> None:
    monkeypatch.setattr(isolation, "_may_confine", lambda: False)
    monkeypatch.setattr(isolation, "TIMEOUT", 1)
    monkeypatch.setattr(isolation, "OUTPUT", 1 << 16)
    program = tmp_path / "program"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    output = isolation.run(tmp_path, "", str(program), [])
    assert said in output.error
    assert output.code != 0


def test_the_analysis_says_which_protection_there_was(monkeypatch) -> None:
    files = {"clusters/kyrion/a.yaml": escapes.MINE}
    assert analysis.analyse(Tree.of(files), "clusters/kyrion").notes == ()
    monkeypatch.setattr(isolation, "_may_confine", lambda: False)
    (note,) = analysis.analyse(Tree.of(files), "clusters/kyrion").notes
    assert "only the checks of the repository's text" in note

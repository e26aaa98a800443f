"""Trees, ignore files, builds, and builds in pieces."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from provision import errors
from provision.gitops import documents, ignore
from provision.gitops.build import flux, isolation, kustomize, layout, partition, workspace
from provision.gitops.tree import Tree


def config_map(name: str, **data: str) -> str:
    values = "".join(f"\n  {key}: {value}" for key, value in data.items())
    return f"apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {name}\ndata:{values or ' {}'}\n"


def build(files: dict[str, str], path: str = "", **overlay) -> kustomize.Built:
    with kustomize.Builder(Tree.of(files)) as builder:
        return builder.build([workspace.Overlay(path=path, **overlay)])[0]


# -- trees and ignore files --------------------------------------------------


@pytest.mark.parametrize(
    ("patterns", "path", "ignored"),
    [
        ("*.md", "a/b/README.md", True),
        ("docs/", "docs/a/b.yaml", True),
        ("docs/", "a/docs/b.yaml", True),
        ("docs/", "a/docs", False),
        ("/docs/", "docs/b.yaml", True),
        ("/docs/", "a/docs/b.yaml", False),
        ("a/b", "a/b/c.yaml", True),
        ("a/b", "x/a/b/c.yaml", False),
        ("**/b.yaml", "x/y/b.yaml", True),
        ("**/b/*.yaml", "x/b/c.yaml", True),
        ("a/**/c.yaml", "a/x/y/c.yaml", True),
        ("*.yaml\n!keep.yaml", "a/keep.yaml", False),
        ("*.yaml\n!keep.yaml", "a/other.yaml", True),
        ("# *.yaml", "a.yaml", False),
        ("[^a]*.yaml", "b.yaml", True),
        ("[^a]*.yaml", "a.yaml", False),
        ("/*\n!/clusters", "apps/a.yaml", True),
        ("/*\n!/clusters", "clusters/kyrion/a.yaml", False),
        ("", ".github/workflows/x.yaml", True),
        ("", "a/pic.png", True),
        ("", "a/.sops.yaml", True),
        ("!.sops.yaml", "a/.sops.yaml", False),
    ],
)
def test_sourceignore(patterns: str, path: str, ignored: bool) -> None:
    files = {ignore.FILE: patterns, path: ""}
    assert (path not in ignore.visible(files)) is ignored


def test_an_ignore_file_counts_for_its_own_folder() -> None:
    files = {"a/.sourceignore": "*.yaml", "a/x.yaml": "", "b/x.yaml": ""}
    assert set(ignore.visible(files)) == {"a/.sourceignore", "b/x.yaml"}


def test_a_checkout(tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    (tmp_path / ".git/config").write_text("x")
    (tmp_path / "a").mkdir()
    (tmp_path / "a/x.yaml").write_text("x: ü\n")
    (tmp_path / "a/binary").write_bytes(b"\xff\xfe")
    (tmp_path / "a/link.yaml").symlink_to("x.yaml")
    tree = Tree.from_directory(tmp_path)
    assert dict(tree.files) == {"a/x.yaml": "x: ü\n", "a/binary": "\udcff\udcfe"}
    assert tree.left_out == {"a/link.yaml": "a symbolic link"}
    with pytest.raises(errors.GitOpsError):
        Tree.from_directory(tmp_path / "absent")


# -- documents ----------------------------------------------------------------


def test_documents_know_their_lines() -> None:
    problems: list[errors.Problem] = []
    text = "# note\n\na: 1\n---\n# b\nb: 2\n--- # c\nc: [\n---\n- x\n---\n"
    found = documents.read_text(text, "f.yaml", problems)
    assert [(doc.obj, doc.where) for doc in found] == [
        ({"a": 1}, "f.yaml:3"),
        ({"b": 2}, "f.yaml:6"),
    ]
    assert [p.where for p in problems] == ["f.yaml:8", "f.yaml:10"]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("2024-01-01", "2024-01-01"),
        ("2024-01-01T00:00:00Z", "2024-01-01T00:00:00Z"),
        ("1:30", "1:30"),
        ("0755", 493),
        ("yes", True),
        ("0x10", 16),
        ("12", 12),
        ("=", "="),
        ("1e3", "1e3"),
    ],
)
def test_scalars_as_kubernetes_reads_them(text: str, value: object) -> None:
    assert documents.load_all(f"a: {text}\n") == [{"a": value}]


# -- builds -------------------------------------------------------------------


def test_objects_have_their_place() -> None:
    files = {
        "app/kustomization.yaml": "resources: [../base, own.yaml]\nnamePrefix: x-\n"
        "configMapGenerator: [{name: made, literals: ['a=b']}]\n",
        "app/own.yaml": "# first\n" + config_map("one") + "---\n" + config_map("two"),
        "base/kustomization.yaml": "resources: [b.yaml]\n",
        "base/b.yaml": config_map("based"),
    }
    found = {doc.obj["metadata"]["name"]: doc.where for doc in build(files, "app").objects}
    made = next(name for name in found if name.startswith("x-made-"))
    assert found == {
        "x-one": "app/own.yaml:2",
        "x-two": "app/own.yaml:2",
        "x-based": "base/b.yaml:1",
        made: "app/kustomization.yaml:1",
    }


def test_no_annotation_stays_behind() -> None:
    (doc,) = build({"a.yaml": config_map("one")}).objects
    assert "annotations" not in doc.obj["metadata"]


def test_overrides_do_not_reach_a_build_that_uses_the_folder_as_base() -> None:
    files = {
        "base/kustomization.yaml": "resources: [b.yaml]\n",
        "base/b.yaml": config_map("b"),
        "over/kustomization.yaml": "resources: [../base]\n",
    }
    with kustomize.Builder(Tree.of(files)) as builder:
        own, over = builder.build(
            [
                workspace.Overlay(path="base", target_namespace="one", name_prefix="p-"),
                workspace.Overlay(path="over", target_namespace="two"),
            ]
        )
    assert own.objects[0].obj["metadata"] == {"name": "p-b", "namespace": "one"}
    assert over.objects[0].obj["metadata"] == {"name": "b", "namespace": "two"}


def test_kustomizes_own_words_name_paths_of_the_repository() -> None:
    files = {
        "a/kustomization.yaml": "resources: [x.yaml]\npatches:\n  - patch: |\n      kind: X\n",
        "a/x.yaml": config_map("x"),
    }
    (problem,) = build(files, "a").problems
    assert problem.where == "a/kustomization.yaml"
    assert "/tmp" not in problem.message
    assert ".build" not in problem.message


def test_nothing_is_left_behind(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    build({"a.yaml": config_map("one")})
    assert list(tmp_path.iterdir()) == []


def test_scan_as_the_controller_does() -> None:
    tree = Tree.of(
        {
            "c/b.yaml": "",
            "c/a/x.yml": "",
            "c/own/kustomization.yaml": "",
            "c/own/x.yaml": "",
            "c/own/deep/Kustomization": "",
            "c/notes.txt": "",
        }
    )
    assert layout.scan(tree, "c") == ["c/a/x.yml", "c/b.yaml", "c/own"]


def test_order_and_cycles() -> None:
    def one(name: str, *after: str) -> flux.Kustomization:
        depends = tuple(("flux-system", other) for other in after)
        return flux.Kustomization(
            name=name,
            namespace="flux-system",
            overlay=workspace.Overlay(path=name),
            depends_on=depends,
        )

    found = [one("apps", "configs"), one("configs", "controllers"), one("controllers")]
    assert [str(k) for k in flux.ordered(found)] == ["controllers", "configs", "apps"]
    assert flux.cycles(found) == []
    ring = [one("a", "b"), one("b", "c"), one("c", "a"), one("d", "a"), one("e", "e")]
    assert [[str(k) for k in cycle] for cycle in flux.cycles(ring)] == [["a", "b", "c"], ["e"]]
    assert len(flux.ordered(ring)) == 5


# -- pieces -------------------------------------------------------------------


BINDING = """\
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: %s}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: %s}
subjects: [{kind: ServiceAccount, name: %s}]
"""


def many() -> dict[str, str]:
    """A folder in which some resources refer to others across entries."""
    files: dict[str, str] = {}
    entries: list[str] = []
    for i in range(12):
        entries.append(f"plain{i}")
        files[f"plain{i}/kustomization.yaml"] = "resources: [a.yaml, b.yaml]\n"
        files[f"plain{i}/a.yaml"] = config_map(f"a{i}")
        files[f"plain{i}/b.yaml"] = config_map(f"b{i}")
    entries += [
        "group",
        "account",
        "binding.yaml",
        "generated",
        "user.yaml",
        "prefixed",
        "job.yaml",
    ]
    files["group/kustomization.yaml"] = "resources: [inner, loose.yaml]\n"
    files["group/inner/kustomization.yaml"] = "resources: [x.yaml]\nnameSuffix: -s\n"
    files["group/inner/x.yaml"] = config_map("x")
    files["group/loose.yaml"] = config_map("loose")
    files["account/kustomization.yaml"] = "resources: [sa.yaml]\n"
    files["account/sa.yaml"] = "apiVersion: v1\nkind: ServiceAccount\nmetadata: {name: runner}\n"
    files["binding.yaml"] = BINDING % ("bind", "role", "runner")
    files["generated/kustomization.yaml"] = (
        "configMapGenerator: [{name: settings, literals: ['a=b']}]\n"
    )
    pod = (
        "apiVersion: v1\nkind: Pod\nmetadata: {name: %s}\nspec:\n  containers:\n"
        "    - {name: c, image: app:1, envFrom: [{configMapRef: {name: %s}}]}\n"
    )
    files["user.yaml"] = pod % ("user", "settings")
    files["prefixed/kustomization.yaml"] = "resources: [m.yaml]\nnamePrefix: pre-\n"
    files["prefixed/m.yaml"] = config_map("mapped")
    files["job.yaml"] = pod % ("job", "mapped")
    files["kustomization.yaml"] = "namespace: all\nimages: [{name: app, newTag: '2'}]\nresources:\n"
    files["kustomization.yaml"] += "".join(f"  - {entry}\n" for entry in entries)
    return files


def in_pieces(files: dict[str, str], monkeypatch, limit: int, **overlay) -> dict[str, dict]:
    monkeypatch.setattr(partition, "FILES_IN_A_PIECE", limit)
    built = build(files, **overlay)
    assert not built.problems, built.problems
    return {f"{documents.ref(doc.obj)} {doc.where}": doc.obj for doc in built.objects}


@pytest.mark.parametrize("limit", [1, 5, 20])
def test_pieces_build_to_the_same(monkeypatch, limit: int) -> None:
    patches = ({"target": {"kind": "Pod"}, "patch": "- {op: add, path: /spec/a, value: b}\n"},)
    for overlay in ({}, {"target_namespace": "other", "patches": patches}):
        whole = in_pieces(many(), monkeypatch, 10_000, **overlay)
        assert in_pieces(many(), monkeypatch, limit, **overlay) == whole
    monkeypatch.setattr(partition, "FILES_IN_A_PIECE", limit)
    tree = Tree.of(many())
    content = documents.load_all(tree.files["kustomization.yaml"])[0]
    assert len(partition.cut(tree, "", content)) > 1


@pytest.mark.parametrize(
    "more",
    [
        "namePrefix: x-\n",
        "replacements: []\n",
        "components: [c]\n",
        "configMapGenerator: []\n",
        "patches: [{path: p.yaml}]\n",
        "patches: [{patch: 'kind: X'}]\n",
    ],
)
def test_what_goes_across_is_never_cut(monkeypatch, more: str) -> None:
    monkeypatch.setattr(partition, "FILES_IN_A_PIECE", 1)
    tree = Tree.of(many())
    content = documents.load_all(tree.files["kustomization.yaml"] + more)[0]
    assert partition.cut(tree, "", content) == []


def test_the_same_object_in_two_pieces_is_found(monkeypatch) -> None:
    monkeypatch.setattr(partition, "FILES_IN_A_PIECE", 1)
    files = {
        "kustomization.yaml": "resources: [a.yaml, b.yaml]\n",
        "a.yaml": config_map("same"),
        "b.yaml": config_map("same"),
    }
    (problem,) = build(files).problems
    assert str(problem) == "b.yaml:1: ConfigMap same is also at a.yaml:1"


POD_AND_ACCOUNT = """\
apiVersion: v1
kind: Pod
metadata: {name: web}
spec:
  serviceAccountName: runner
  containers:
    - {name: c, image: app:1, envFrom: [{configMapRef: {name: settings}}]}
---
apiVersion: v1
kind: ServiceAccount
metadata: {name: runner}
---
"""


def copies(count: int) -> dict[str, str]:
    """Applications that are alike but for their prefix."""
    files: dict[str, str] = {}
    for n in range(count):
        files[f"c{n}/kustomization.yaml"] = (
            f"resources: [web.yaml]\nnamePrefix: c{n}-\n"
            f"configMapGenerator: [{{name: settings, literals: [n={n}]}}]\n"
        )
        files[f"c{n}/web.yaml"] = POD_AND_ACCOUNT + BINDING % ("bind", "role", "runner")
    entries = "".join(f"  - c{n}\n" for n in range(count))
    files["kustomization.yaml"] = f"namespace: all\nresources:\n{entries}"
    return files


def test_copies_with_a_prefix_each_are_cut_and_mean_their_own(monkeypatch) -> None:
    whole = in_pieces(copies(6), monkeypatch, 10_000)
    assert in_pieces(copies(6), monkeypatch, 4) == whole
    (pod,) = [obj for name, obj in whole.items() if name.startswith("Pod all/c3-web")]
    assert pod["spec"]["serviceAccountName"] == "c3-runner"
    tree = Tree.of(copies(6))
    content = documents.load_all(tree.files["kustomization.yaml"])[0]
    assert len(partition.cut(tree, "", content)) == 3


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(
            {"c1/web.yaml": POD_AND_ACCOUNT.replace("name: runner}\n", "name: other}\n")},
            id="one means another's account",
        ),
        pytest.param(
            {"c1/kustomization.yaml": "resources: [web.yaml]\nnamePrefix: c1-\n"},
            id="one means another's settings",
        ),
        pytest.param(
            {"c1/kustomization.yaml": "resources: [web.yaml]\nnamePrefix: c1-\npatches: []\n"},
            id="one does more than copy",
        ),
    ],
)
def test_copies_that_may_mean_each_other_stay_together(monkeypatch, change) -> None:
    files = copies(2) | change
    whole = in_pieces(files, monkeypatch, 10_000)
    assert in_pieces(files, monkeypatch, 1) == whole


def test_a_name_that_everyone_gives_away_takes_no_longer_than_others(monkeypatch) -> None:
    monkeypatch.setattr(partition, "FILES_IN_A_PIECE", 100)
    files = {path: text.replace("namePrefix", "nameSuffix") for path, text in copies(1500).items()}
    files |= {f"c{n}/kustomization.yaml": files["c0/kustomization.yaml"] for n in range(1500)}
    tree = Tree.of(files)
    content = documents.load_all(tree.files["kustomization.yaml"])[0]
    began = time.process_time()
    assert len(partition.cut(tree, "", content)) == 1  # all have the same suffix
    assert time.process_time() - began < 20


def test_a_build_that_does_not_end_is_named(monkeypatch) -> None:
    monkeypatch.setattr(isolation, "TIMEOUT", 0.001)
    (problem,) = build(
        {"a/kustomization.yaml": "resources: [m.yaml]\n", "a/m.yaml": config_map("m")}, "a"
    ).problems
    assert "more, smaller Kustomizations" in problem.message

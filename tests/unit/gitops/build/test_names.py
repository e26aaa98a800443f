"""Trees whose names no checkout can hold are not written anywhere."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from provision import errors
from provision.gitops.build import discovery, kustomize, workspace
from provision.gitops.tree import Tree

MINE = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: mine}\n"


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch) -> Path:
    """The temporary folder; files are looked for all around it."""
    folder = tmp_path / "a/b/c"
    folder.mkdir(parents=True)
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.setattr("tempfile.tempdir", None)
    return folder


@pytest.mark.parametrize(
    "path",
    [
        "../../canary",
        "app/../../../canary",
        "{OUT}/canary",
        "app/.GIT/hooks/canary",
        "app//canary",
        "app/a\0canary",
        "app/..\\..\\canary",
        "app/" + "x" * 300,
        "app/" + "ä" * 200 + "/canary",
        "app/\ud800",
        "app/mine.yaml/canary",
    ],
)
def test_nothing_is_written(temporary: Path, path: str) -> None:
    around = temporary.parents[2]
    before = sorted(around.rglob("*"))
    files = {"app/mine.yaml": MINE, path.replace("{OUT}", str(around)): "canary"}
    with kustomize.Builder(Tree.of(files)) as builder:
        (built,) = builder.build([workspace.Overlay(path="app")])
        assert sorted(around.rglob("*")) == before
    assert built.objects == ()
    assert built.problems
    assert all(problem.where and problem.message for problem in built.problems)
    told = discovery.discover(Tree.of(files), "app").problems
    assert [(one.where, one.message) for one in told] == [
        (one.where, f"{one.message} (Kustomization flux-system)") for one in built.problems
    ]


def test_no_copy_is_made_of_a_tree_that_no_checkout_can_hold(temporary: Path) -> None:
    """Whoever asks for the copy without looking at the tree first gets an error."""
    copy = workspace.Workspace(Tree.of({"../../../canary": "canary"}))
    with pytest.raises(errors.GitOpsError) as caught:
        _ = copy.root
    assert "a component of the path is '..'" in caught.value.problems[0].message
    assert [path for path in temporary.parents[2].rglob("*") if path.is_file()] == []


def test_a_repository_may_use_the_names_of_our_folders() -> None:
    files = {
        "app/kustomization.yaml": "namePrefix: own-\nresources: [mine.yaml]\n",
        "app/mine.yaml": MINE,
        **{f".build-{n}/kustomization.yaml": "resources: [x.yaml]\n" for n in range(5)},
    }
    with kustomize.Builder(Tree.of(files)) as builder:
        (built,) = builder.build([workspace.Overlay(path="app")])
    assert built.problems == ()
    assert [doc.obj["metadata"]["name"] for doc in built.objects] == ["own-mine"]


def test_names_that_a_file_system_takes_for_one(temporary: Path, monkeypatch) -> None:
    """As on a disk that does not tell upper and lower case apart."""
    made: set[str] = set()
    real = Path.open

    def folding(self: Path, mode: str = "r", *rest, **named):
        if "x" in mode:
            if str(self).casefold() in made:
                raise FileExistsError(17, "File exists")
            made.add(str(self).casefold())
        return real(self, mode, *rest, **named)

    monkeypatch.setattr(Path, "open", folding)
    files = {"app/mine.yaml": MINE, "app/Mine.yaml": MINE}
    with kustomize.Builder(Tree.of(files)) as builder:
        (built,) = builder.build([workspace.Overlay(path="app")])
    assert "only in case" in built.problems[0].message
    assert list(temporary.iterdir()) == []


def test_names_that_differ_in_case_are_two_files_here() -> None:
    files = {"app/mine.yaml": MINE, "app/Mine.yaml": MINE.replace("mine", "other")}
    with kustomize.Builder(Tree.of(files)) as builder:
        (built,) = builder.build([workspace.Overlay(path="app")])
    assert len(built.objects) == 2


def test_links_are_named_and_not_followed(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "object.yaml").write_text(MINE.replace("mine", "canary"))
    (outside / "kustomization.yaml").write_text("resources: [object.yaml]\n")
    checkout = tmp_path / "checkout"
    (checkout / "app").mkdir(parents=True)
    (checkout / "app/file.yaml").symlink_to(outside / "object.yaml")
    (checkout / "app/folder").symlink_to(outside)
    (checkout / "app/kustomization.yaml").write_text(
        "resources:\n  - file.yaml\n  - folder\n  - folder/object.yaml\n"
    )
    os.mkfifo(checkout / "app/pipe.yaml")
    tree = Tree.from_directory(checkout)
    assert tree.left_out["app/pipe.yaml"] == "no regular file"
    with kustomize.Builder(tree) as builder:
        (built,) = builder.build([workspace.Overlay(path="app")])
    assert "canary" not in repr(built.objects)
    assert [problem.where for problem in built.problems] == [
        "app/kustomization.yaml:2",
        "app/kustomization.yaml:3",
        "app/kustomization.yaml:4",
    ]
    assert all("Flux leaves links out" in problem.message for problem in built.problems)


def test_a_folder_with_more_than_can_be_read(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr("provision.fileio.contents.MOST", 1000)
    (tmp_path / "a.yaml").write_text("a" * 600)
    (tmp_path / "b.yaml").write_text("b" * 600)
    with pytest.raises(errors.GitOpsError) as caught:
        Tree.from_directory(tmp_path)
    assert caught.value.problems[0].where == "b.yaml"


def test_a_file_that_is_too_big_is_named(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr("provision.fileio.contents.LARGEST", 1 << 20)
    (tmp_path / "big.yaml").write_text("a" * (1 << 21))
    (tmp_path / "kustomization.yaml").write_text("resources: [big.yaml]\n")
    with kustomize.Builder(Tree.from_directory(tmp_path)) as builder:
        (built,) = builder.build([workspace.Overlay(path="")])
    assert built.problems[0].where == "kustomization.yaml:1"
    assert "larger than 50 MiB" in built.problems[0].message

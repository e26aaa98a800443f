"""The trees of a real Git checkout."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from provision import errors
from provision.fileio import contents
from provision.gitops import tree as trees
from provision.gitops.revisions import Checkout
from tests.support import checkouts

FILES = {"clusters/home/a.yaml": "a: 1\n", "README.md": "old\n", ".gitignore": "private/\n"}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    made = tmp_path / "repo"
    checkouts.make(made, FILES)
    return made


def test_a_commit_and_the_working_tree(root):
    checkout = Checkout.containing(root / "clusters")
    assert checkout.root == root
    first = checkout.commit("HEAD")
    checkouts.write(root, {"README.md": "new\n", "more.yaml": "b: 1\n", "private/key": "secret"})
    (root / "clusters/home/a.yaml").unlink()
    assert checkout.tree(first).files == {
        "clusters/home/a.yaml": "a: 1\n",
        "README.md": "old\n",
    }
    now = checkout.working_tree()
    assert now.files == {"README.md": "new\n", "more.yaml": "b: 1\n"}
    assert now.origin == "working tree"


def test_what_flux_ignores_is_left_out(root):
    more = {".sourceignore": "/notes\n", "notes/x.yaml": "x", ".github/w.yaml": "x", "a.jpg": "x"}
    found = Checkout.containing(root).tree(checkouts.commit(root, more)).files
    assert found.keys() == {"clusters/home/a.yaml", "README.md", ".sourceignore"}


def test_links_submodules_and_other_encodings(root):
    (root / "link.yaml").symlink_to("/etc/passwd")
    (root / "folder").symlink_to("/etc")
    (root / "raw.yaml").write_bytes(b"\xff\xfe")
    inside = root / "module"
    checkouts.make(inside, {"x.yaml": "x"})
    commit = checkouts.commit(root, {})
    checkout = Checkout.containing(root)
    for found in (checkout.tree(commit), checkout.working_tree()):
        assert found.left_out["link.yaml"] == found.left_out["folder"] == "a symbolic link"
        assert not any(path.startswith(("module/", "folder/")) for path in found.files)
        assert contents.data(found.files["raw.yaml"]) == b"\xff\xfe"
    assert checkout.tree(commit).left_out["module"] == trees.SUBMODULE


def test_a_folder_that_became_a_link_is_not_followed(root, tmp_path):
    outside = tmp_path / "outside"
    checkouts.write(outside, {"a.yaml": "canary: 1\n"})
    (root / "clusters/home/a.yaml").unlink()
    (root / "clusters/home").rmdir()
    (root / "clusters/home").symlink_to(outside)
    assert "canary" not in str(Checkout.containing(root).working_tree().files)


def test_a_large_file_is_left_out(root, monkeypatch):
    monkeypatch.setattr(contents, "LARGEST", 100)
    commit = checkouts.commit(root, {"large.yaml": "x" * 101, "b/.sourceignore": "#" * 101})
    found = Checkout.containing(root).tree(commit)
    assert found.left_out.keys() == {"large.yaml", "b/.sourceignore"}


def test_too_much_is_refused(root, monkeypatch):
    monkeypatch.setattr(contents, "MOST", 4)
    with pytest.raises(errors.GitOpsError, match="cannot be read"):
        Checkout.containing(root).tree(Checkout.containing(root).commit("HEAD"))


def test_no_checkout(tmp_path):
    with pytest.raises(errors.ConfigError, match="in no Git checkout") as told:
        Checkout.containing(tmp_path)
    assert "--repo DIR" in told.value.hint


@pytest.mark.parametrize("revision", ["nothing", "HEAD~5", "--all", "HEAD:README.md", "", "\0x"])
def test_no_commit(root, revision):
    with pytest.raises(errors.ConfigError, match="is no commit of"):
        Checkout.containing(root).commit(revision)


def test_no_commit_yet(tmp_path):
    checkouts.git(tmp_path, "init", "--quiet")
    with pytest.raises(errors.ConfigError, match="has no commit yet"):
        Checkout.containing(tmp_path).commit("HEAD")


def test_a_shallow_clone_says_so(root, tmp_path):
    checkouts.commit(root, {"b.yaml": "b"})
    checkouts.git(tmp_path, "clone", "--quiet", "--depth=1", root.as_uri(), "copy")
    with pytest.raises(errors.ConfigError) as told:
        Checkout.containing(tmp_path / "copy").commit("HEAD~1")
    assert "shallow" in told.value.hint


def test_no_common_commit(root):
    checkouts.git(root, "checkout", "--quiet", "--orphan", "other")
    checkouts.commit(root, {"other.yaml": "x"})
    with pytest.raises(errors.ConfigError, match="no common commit"):
        Checkout.containing(root).merge_base("main", "other")


def test_a_partial_clone_fetches_nothing(root, tmp_path):
    checkouts.git(root, "config", "uploadpack.allowFilter", "true")
    checkouts.git(
        tmp_path,
        *("clone", "--quiet", "--no-checkout", "--filter=blob:none", root.as_uri(), "copy"),
    )
    checkout = Checkout.containing(tmp_path / "copy")
    with pytest.raises(errors.GitOpsError) as told:
        checkout.tree(checkout.commit("HEAD"))
    assert "git fetch --refetch" in told.value.hint


def test_no_program_of_the_checkout_runs(root, tmp_path):
    witness = tmp_path / "ran"
    program = root / ".git" / "program"
    program.write_text(f"#!/bin/sh\ntouch {witness}\ncat\n")
    program.chmod(0o755)
    for name in (
        "core.fsmonitor",
        "core.pager",
        "diff.external",
        "filter.x.smudge",
        "filter.x.clean",
    ):
        checkouts.git(root, "config", name, str(program))
    witness.unlink(missing_ok=True)
    checkouts.write(root, {".gitattributes": "* filter=x diff=x\n", "README.md": "changed\n"})
    checkout = Checkout.containing(root)
    checkout.tree(checkout.commit("HEAD"))
    checkout.working_tree()
    assert not witness.exists()


def test_git_that_is_not_installed(root, monkeypatch):
    monkeypatch.setenv("PATH", "")
    with pytest.raises(errors.ConfigError, match="git is not installed"):
        Checkout.containing(root)


def test_a_checkout_of_another_user(root, monkeypatch):
    if os.geteuid() != 0:
        pytest.skip("only root gives files away")
    subprocess.run(["chown", "-R", "12345", str(root)], check=True)
    monkeypatch.setenv("HOME", str(root))
    with pytest.raises(errors.ConfigError, match="another user owns it") as told:
        Checkout.containing(root)
    assert "safe.directory" in told.value.hint

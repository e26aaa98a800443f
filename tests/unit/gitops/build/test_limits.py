"""A build of what stands for more than it says ends soon, and names the file."""

from __future__ import annotations

import time

import pytest

from provision import errors
from provision.gitops.build import kustomize, workspace
from provision.gitops.tree import Tree
from tests.support import excess


def build(files: dict[str, str]) -> kustomize.Built:
    with kustomize.Builder(Tree.of(files), jobs=1) as builder:
        return builder.build([workspace.Overlay(path="app")])[0]


def _within(files: dict[str, str]) -> errors.Problem:
    began = time.monotonic()
    built = build(files)
    assert time.monotonic() - began < 60
    return built.problems[0]


MINE = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: mine}\n"


@pytest.mark.parametrize(
    "text", [excess.LAUGHS, excess.EXCESS["brackets"], excess.EXCESS["itself"]]
)
@pytest.mark.parametrize(
    "listing",
    [
        "resources: [bad.yaml]\n",
        "resources: [mine.yaml]\npatches: [{path: bad.yaml, target: {kind: ConfigMap}}]\n",
        "resources: [mine.yaml]\nconfigurations: [bad.yaml]\n",
        "resources: [mine.yaml]\ncrds: [bad.yaml]\n",
        "resources: [mine.yaml]\ntransformers: [bad.yaml]\n",
        "resources: [mine.yaml]\nopenapi: {path: bad.yaml}\n",
        "resources: [mine.yaml]\nreplacements: [{path: bad.yaml}]\n",
    ],
)
def test_a_file_of_a_build_is_named(listing: str, text: str) -> None:
    problem = _within(
        {"app/kustomization.yaml": listing, "app/mine.yaml": MINE, "app/bad.yaml": text}
    )
    assert problem.where.startswith("app/bad.yaml:")


def test_a_kustomization_itself() -> None:
    problem = _within({"app/kustomization.yaml": excess.LAUGHS + "resources: [mine.yaml]\n"})
    assert problem.where.startswith("app/kustomization.yaml:")


def test_folders_that_include_each_other_deeply() -> None:
    files = {
        f"{'app' if not n else f'f{n}'}/kustomization.yaml": f"resources: [../f{n + 1}]\n"
        for n in range(2000)
    }
    problem = _within(files)
    assert "levels deep" in problem.message
    assert problem.where.endswith("/kustomization.yaml:1")


@pytest.mark.parametrize("more", [0, 150])
def test_folders_that_include_each_other_twice_each_time(more: int) -> None:
    """Each level doubles what comes of it, also where a big tree is built in pieces."""
    files = {"app/kustomization.yaml": "resources: [../f0]\n"}
    for n in range(40):
        files[f"f{n}/kustomization.yaml"] = f"resources: [../f{n + 1}, ../f{n + 1}/]\n"
    files["f40/kustomization.yaml"] = "resources: [mine.yaml]\n"
    files["f40/mine.yaml"] = MINE
    files |= {f"more/{n}.yaml": MINE for n in range(more)}
    problem = _within(files)
    assert "again and again" in problem.message
    assert problem.where.endswith("/kustomization.yaml:1")

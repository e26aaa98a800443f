"""Values, releases and Kustomizations that wait for ever, and where a finding is."""

from __future__ import annotations

import pytest

from provision.gitops.build import discovery
from provision.gitops.tree import Tree
from tests.support.gitopsdocs import (
    chart,
    config_map,
    files,
    kustomization,
    many,
    obj,
)
from tests.support.verdicts import PATH, assumed, look, problems


def test_releases_that_wait_for_ever() -> None:
    tree = files(
        clusters__home=many(
            chart("a", dependsOn=[{"name": "b"}]),
            chart("b", dependsOn=[{"name": "a"}]),
            chart("c", dependsOn=[{"name": "missing"}]),
            obj(
                "helm.toolkit.fluxcd.io/v2:HelmRelease",
                "d",
                "flux-system",
                spec={"interval": "1h", "chartRef": {"kind": "OCIRepository", "name": "gone"}},
            ),
        )
    )
    said = problems(tree)
    assert "HelmRelease flux-system/a waits for HelmRelease flux-system/b waits for" in said
    assert "depends on HelmRelease flux-system/missing" in said
    assert "OCIRepository flux-system/gone" in said


def test_a_child_that_waits_for_a_parent_that_waits_for_it() -> None:
    tree = files(
        clusters__home=kustomization("parent", "./parent", wait=True),
        parent=kustomization("child", "./child", "parent"),
        child=config_map("a"),
    )
    assert "Kustomization flux-system/parent waits for" in problems(tree)


def test_what_is_suspended_keeps_others_waiting() -> None:
    tree = files(
        clusters__home=many(
            kustomization("off", "./a", suspend=True), kustomization("on", "./a", "off")
        ),
        a=config_map("a"),
    )
    assert "whoever resumes it" in assumed(tree)["Kustomization flux-system/off"]
    tree = files(clusters__home=kustomization("off", "./a", suspend=True), a=config_map("a"))
    assert look(tree).verdict == "comes up"


@pytest.mark.parametrize(
    ("value", "said"),
    [(True, "ENABLED: a boolean where a text is expected"), (3, "a number"), (None, "nothing")],
)
def test_substitutions_are_texts(value, said: str) -> None:
    build = {"substitute": {"ENABLED": value}}
    tree = files(
        clusters__home=kustomization("a", "./a", postBuild=build),
        a=config_map("a", x="x-${ENABLED}"),
    )
    assert said in problems(tree)


def test_a_value_that_becomes_a_boolean_is_no_text() -> None:
    build = {"substitute": {"NEED": "yes"}}
    tree = files(
        clusters__home=kustomization("a", "./a", postBuild=build), a=config_map("a", need="${NEED}")
    )
    assert "ConfigMap default/a data.need: a boolean" in problems(tree)


def test_a_variable_that_is_not_set() -> None:
    build = {"substitute": {"DOMAIN": "example.org"}}
    tree = files(
        clusters__home=kustomization("a", "./a", postBuild=build),
        a=config_map("a", x="${TOKEN} ${DOMAIN}", y="${OTHER:-x}"),
    )
    assert "the variable TOKEN is not set and has no default" in problems(tree)
    assert look(tree, flux_version="v2.8.1").verdict == "comes up"
    tree["clusters/home/patch.yaml"] = config_map(
        "note", args="--feature-gates=StrictPostBuildSubstitutions=false"
    )
    assert look(tree).verdict == "comes up"


def test_a_child_is_read_again_when_its_parent_learns_values() -> None:
    root = kustomization("flux-system", "./clusters/home", postBuild={"substitute": {"E": "prod"}})
    tree = files(
        clusters__home=many(root, kustomization("apps", "./apps/${E}")),
        apps__prod=config_map("a"),
    )
    found = look(tree)
    assert found.verdict == "comes up"
    assert [one.path for one in found.kustomizations] == ["clusters/home", "apps/prod"]


def test_a_child_is_read_again_when_a_later_round_finds_values() -> None:
    tree = files(
        clusters__home=many(
            kustomization(
                "mid",
                "./mid",
                "sets",
                postBuild={"substituteFrom": [{"kind": "ConfigMap", "name": "vars"}]},
            ),
            kustomization("sets", "./sets", wait=True),
        ),
        sets=kustomization("vars", "./vars", wait=True),
        vars=config_map("vars", "flux-system", E="prod"),
        mid=kustomization("apps", "./apps/${E}"),
        apps__prod=config_map("a"),
    )
    assert look(tree).verdict == "comes up"


@pytest.mark.parametrize("ending", ["\n", "\r\n"])
def test_findings_point_to_the_right_line(ending: str) -> None:
    documents = [
        "apiVersion: kustomize.toolkit.fluxcd.io/v1",
        "kind: Kustomization",
        "metadata:",
        "  name: &app {name}",
        "  namespace: flux-system",
        "spec:",
        "  path: {path}",
        "  sourceRef: {{kind: GitRepository, name: flux-system}}",
        "---",
    ]
    text = "".join(
        f"{line}{ending}"
        for name, path in (("first", "./a"), ("second", "./missing"))
        for line in (one.format(name=name, path=path) for one in documents)
    )
    tree = files(a=config_map("a"))
    tree["clusters/home/ks.yaml"] = text
    assert "clusters/home/ks.yaml:10: second: spec.path 'missing'" in problems(tree)


def test_a_path_that_is_a_file() -> None:
    tree = files(clusters__home=kustomization("a", "./a/all.yaml"), a=config_map("a"))
    assert "it is a file; Flux wants the folder" in problems(tree)


def test_a_file_that_is_no_text_is_built(tmp_path) -> None:
    folder = tmp_path / PATH
    folder.mkdir(parents=True)
    (folder / "favicon.ico").write_bytes(bytes(range(256)))
    (folder / "kustomization.yaml").write_text(
        "configMapGenerator: [{name: a, namespace: default, files: [favicon.ico]}]\n"
    )
    found = discovery.discover(Tree.from_directory(tmp_path), PATH)
    assert not found.problems
    (doc,) = found.units[0].objects
    assert doc.obj["binaryData"]["favicon.ico"].startswith("AAECAwQF")


def test_a_key_that_is_no_name_of_a_variable() -> None:
    build = {"substituteFrom": [{"kind": "ConfigMap", "name": "vars"}]}
    tree = files(
        clusters__home=many(
            kustomization("a", "./a", postBuild=build),
            config_map("vars", "flux-system", **{"client-id": "1"}),
        ),
        a=config_map("a"),
    )
    assert "Flux refuses the variable names client-id" in problems(tree)


def test_a_version_of_kustomizes_file_that_kustomize_has_not() -> None:
    tree = files(clusters__home=config_map("a"))
    tree[f"{PATH}/kustomization.yaml"] = (
        "apiVersion: kustomize.config.k8s.io/v1\nkind: Kustomization\nresources: [all.yaml]\n"
    )
    said = problems(tree)
    assert f"{PATH}/kustomization.yaml" in said
    assert "apiVersion for Kustomization should be kustomize.config.k8s.io/v1beta1" in said


def test_dollars_that_are_no_variables_stay() -> None:
    rule = 'Pod {{ $labels.pod }} is at {{ printf "%.2f" $value }} times.'
    build = {"substitute": {"DOMAIN": "example.org"}}
    server = "server_name ${DOMAIN}; location ~* \\.(?:ico|jpe?g)$ { try_files $uri $uri/ =404; }\n"
    tree = files(clusters__home=kustomization("a", "./a", postBuild=build))
    tree |= {
        "a/kustomization.yaml": "configMapGenerator: [{name: ui, files: [nginx.conf, rule.txt]}]\n",
        "a/nginx.conf": server,
        "a/rule.txt": rule,
    }
    found = discovery.discover(Tree.of(tree), PATH)
    assert not found.problems
    (data,) = (doc.obj["data"] for one in found.units for doc in one.objects if "data" in doc.obj)
    assert data == {"nginx.conf": server.replace("${DOMAIN}", "example.org"), "rule.txt": rule}

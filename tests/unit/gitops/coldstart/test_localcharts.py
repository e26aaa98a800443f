"""Charts that lie in the repository: what they bring, and why Helm refuses them."""

from __future__ import annotations

import pytest

from tests.shapes import crd, helm_release, secret
from tests.shapes.common import local_release
from tests.support.gitopsdocs import chart, config_map, custom, files, kustomization, many, obj
from tests.support.verdicts import assumed, look, problems

FOLDER = "charts/widgets"
GOOD = {f"{FOLDER}/Chart.yaml": "apiVersion: v2\nname: widgets\nversion: 0.1.0\n"}
WIDGET = custom("example.org/v1:Widget", "w", "default")
MAP = {"substituteFrom": [{"kind": "ConfigMap", "name": "made"}]}


def repository(chart: dict[str, str], use: str = "", path: str = "", **more) -> dict[str, str]:
    """Return a tree with a release of `chart`, and what comes after it."""
    spec = more.pop("spec", {})
    release = local_release("widgets", "flux-system", path or f"./{FOLDER}", **spec)
    return files(
        clusters__home=many(
            kustomization("operator", "./operator", wait=True),
            kustomization("use", "./use", "operator", **more),
        ),
        operator=release,
        use=use or config_map("a"),
    ) | {**GOOD, **chart}


def test_a_chart_brings_its_folder_of_definitions() -> None:
    tree = repository({f"{FOLDER}/crds/w.yaml": crd("example.org/v1:Widget")}, WIDGET)
    assert look(tree).verdict == "comes up"
    skipped = repository(
        {f"{FOLDER}/crds/w.yaml": crd("example.org/v1:Widget")},
        WIDGET,
        spec={"install": {"crds": "Skip"}},
    )
    assert "Widget.example.org" in problems(skipped)


def test_a_plain_template_is_there_after_the_release() -> None:
    tree = repository(
        {f"{FOLDER}/templates/all.yaml": config_map("made", "", A="b")},
        config_map("uses", a="${A}"),
        postBuild=MAP,
    )
    found = look(tree)
    assert found.verdict == "comes up", found.problems


def test_a_template_that_is_not_rendered_may_bring_what_it_speaks_of() -> None:
    template = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: '{{ .Release.Name }}'}\n"
    tree = repository({f"{FOLDER}/templates/all.yaml": template}, postBuild=MAP)
    assert "widgets" in assumed(tree)["ConfigMap flux-system/made"]
    other = repository(
        {f"{FOLDER}/templates/all.yaml": template.replace("ConfigMap", "Service")}, postBuild=MAP
    )
    assert "ConfigMap flux-system/made" in problems(other)


def test_a_definition_in_a_template_may_come() -> None:
    text = crd("example.org/v1:Widget").rstrip("\n")
    template = "{{- if .Values.crds }}\n" + text + "\n{{- end }}\n"
    tree = repository({f"{FOLDER}/templates/w.yaml": template}, WIDGET)
    assert list(assumed(tree)) == ["CustomResourceDefinition Widget.example.org"]


def test_a_plain_custom_resource_needs_its_kind_at_the_installation() -> None:
    tree = repository({f"{FOLDER}/templates/w.yaml": WIDGET})
    assert "Widget.example.org" in problems(tree)
    both = {
        f"{FOLDER}/templates/w.yaml": WIDGET,
        f"{FOLDER}/crds/w.yaml": crd("example.org/v1:Widget"),
    }
    assert look(repository(both)).verdict == "comes up"


def test_what_an_installation_does_not_apply_does_not_count() -> None:
    hooked = obj("example.org/v1:Widget", "t", metadata={"annotations": {"helm.sh/hook": "test"}})
    tree = repository(
        {
            f"{FOLDER}/templates/test.yaml": hooked,
            f"{FOLDER}/templates/NOTES.txt": "Thank you.\n",
            f"{FOLDER}/templates/_all.tpl": "plain words\n",
            f"{FOLDER}/templates/README.md": "plain words\n",
            f"{FOLDER}/.helmignore": "# none of these\n*.md\n",
        }
    )
    assert look(tree).verdict == "comes up"


def test_a_path_with_an_unknown_value_is_not_judged() -> None:
    source = {"substituteFrom": [{"kind": "Secret", "name": "vars"}]}
    hidden = obj(
        "bitnami.com/v1alpha1:SealedSecret",
        "vars",
        "flux-system",
        spec={"encryptedData": {"WHERE": "x"}},
    )
    unseals = chart("sealed-secrets")
    tree = files(
        clusters__home=many(
            unseals,
            kustomization("seal", "./seal"),
            *([kustomization("a", "./a", "seal", postBuild=source)]),
        ),
        seal=many(crd("bitnami.com/v1alpha1:SealedSecret"), hidden),
        a=local_release("w", "flux-system", "./charts/${WHERE}"),
    )
    found = look(tree)
    assert not any("no folder" in problem.message for problem in found.problems)


def test_a_misspelt_kind_in_a_template_is_found() -> None:
    tree = repository({f"{FOLDER}/templates/x.yaml": obj("apps/v1:Deploymant", "x")})
    text = problems(tree)
    assert "Deploymant" in text
    assert f"{FOLDER}/templates/x.yaml:1" in text


@pytest.mark.parametrize(
    ("chart", "path", "said"),
    [
        ({}, "./charts/gone", "there is no folder charts/gone with a chart"),
        ({}, "./charts/widgets-0.1.0.tgz", "there is no chart charts/widgets-0.1.0.tgz"),
        ({"charts/empty/readme.md": "x"}, "charts/empty", "charts/empty: the chart has no Chart"),
        ({f"{FOLDER}/Chart.yaml": "name: [\n"}, "", "Chart.yaml: it is no YAML"),
        ({f"{FOLDER}/Chart.yaml": "apiVersion: v2\nname: w\n"}, "", "Chart.yaml: version: Helm"),
        ({f"{FOLDER}/Chart.yaml": "name: w\nversion: 1.0.0\n"}, "", "Chart.yaml: apiVersion: Helm"),
        (
            {f"{FOLDER}/Chart.yaml": "apiVersion: v2\nname: w\nversion: new\n"},
            "",
            "'new' is no semantic version",
        ),
        (
            {f"{FOLDER}/Chart.yaml": GOOD[f"{FOLDER}/Chart.yaml"] + "type: library\n"},
            "",
            "a library chart cannot be installed",
        ),
        ({f"{FOLDER}/values.yaml": "a: [\n"}, "", "values.yaml: it is no YAML"),
        ({f"{FOLDER}/values.yaml": "- a\n"}, "", "the values of a chart are a mapping"),
        ({f"{FOLDER}/templates/a.yaml": "a: [\n"}, "", "templates/a.yaml:"),
        (
            {
                f"{FOLDER}/Chart.yaml": GOOD[f"{FOLDER}/Chart.yaml"]
                + "dependencies: [{name: y, version: 1.x, repository: 'file://../y'}]\n"
            },
            "",
            "there is no chart y in charts/y",
        ),
    ],
)
def test_what_helm_refuses_cannot_come_up(chart: dict[str, str], path: str, said: str) -> None:
    assert said in problems(repository(chart, path=path)).replace(": :", ":")


def test_a_packaged_chart_is_there_and_not_looked_into() -> None:
    tree = repository({"charts/widgets-0.1.0.tgz": "x"}, WIDGET, path="./charts/widgets-0.1.0.tgz")
    assert list(assumed(tree)) == ["CustomResourceDefinition Widget.example.org"]


def test_a_missing_values_file_stops_the_chart() -> None:
    ref = {"kind": "GitRepository", "name": "flux-system"}
    chart = {"chart": f"./{FOLDER}", "sourceRef": ref, "valuesFiles": ["./charts/home.yaml"]}

    def tree(**more: object) -> dict[str, str]:
        release = helm_release("widgets", "flux-system", chart={"spec": {**chart, **more}})
        return files(clusters__home=release) | GOOD

    assert "the values file ./charts/home.yaml is not in the source" in problems(tree())
    assert look(tree(ignoreMissingValuesFiles=True)).verdict == "comes up"


def test_subcharts_count_unless_a_value_turns_them_off() -> None:
    metadata = (
        GOOD[f"{FOLDER}/Chart.yaml"]
        + "dependencies: [{name: y, version: 1.x, repository: 'file://../y', condition: y.on}]\n"
    )
    chart = {
        f"{FOLDER}/Chart.yaml": metadata,
        "charts/y/Chart.yaml": "apiVersion: v2\nname: y\nversion: 1.0.0\n",
        "charts/y/crds/w.yaml": crd("example.org/v1:Widget"),
    }
    assert look(repository(chart, WIDGET)).verdict == "comes up"
    off = repository(chart, WIDGET, spec={"values": {"y": {"on": False}}})
    assert "Widget.example.org" in problems(off)


def test_a_subchart_of_a_registry_is_not_seen() -> None:
    metadata = (
        GOOD[f"{FOLDER}/Chart.yaml"]
        + "dependencies: [{name: y, version: 1.x, repository: 'oci://registry.example.org'}]\n"
    )
    tree = repository({f"{FOLDER}/Chart.yaml": metadata}, WIDGET)
    assert list(assumed(tree)) == ["CustomResourceDefinition Widget.example.org"]


def test_a_chart_of_another_source_is_not_seen() -> None:
    tree = repository({}, WIDGET)
    tree["operator/all.yaml"] = tree["operator/all.yaml"].replace(
        '"name": "flux-system", "namespace": "flux-system"}}}',
        '"name": "other", "namespace": "flux-system"}}}',
    )
    found = look(tree)
    assert "other" in tree["operator/all.yaml"]
    assert found.verdict in ("may come up", "cannot come up")
    assert not any("no folder" in problem.message for problem in found.problems)


def test_the_values_of_a_release_come_from_keys_that_are_there() -> None:
    refs = [{"kind": "Secret", "name": "values", "optional": True}]
    release = local_release("widgets", "flux-system", f"./{FOLDER}", valuesFrom=refs)
    tree = files(clusters__home=many(release, secret("values", "flux-system", other="x"))) | GOOD
    text = problems(tree)
    assert "Secret flux-system/values" in text
    assert "has no key values.yaml; its keys: other" in text
    assert look(files(clusters__home=release) | GOOD).verdict == "comes up"

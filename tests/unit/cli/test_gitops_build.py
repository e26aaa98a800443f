"""`gitops build` on real checkouts."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from tests.support import gitopsdocs as docs

SECRET = "canary-token"


def written(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def objects(text: str) -> dict[str, dict]:
    return {one["metadata"]["name"]: one for one in yaml.safe_load_all(text) if one}


@pytest.fixture
def repo(folder: Path) -> Path:
    """A cluster with a variable of a ConfigMap, and one of a Secret in clear."""
    variables = docs.many(
        docs.config_map("vars", "flux-system", HOST="web.example.org"),
        docs.obj("v1:Secret", "secret-vars", "flux-system", stringData={"TOKEN": SECRET}),
    )
    use = [{"kind": "ConfigMap", "name": "vars"}, {"kind": "Secret", "name": "secret-vars"}]
    return written(
        folder / "homelab",
        docs.files(
            clusters__home=docs.many(
                variables,
                docs.kustomization("apps", "./apps", postBuild={"substituteFrom": use}),
                docs.kustomization("other", "./else", source="elsewhere"),
                docs.source("elsewhere", "https://git.example.org/else"),
            ),
            apps=docs.config_map("web", host="${HOST}", token="${TOKEN}"),
        ),
    )


def test_one_is_printed_with_its_variables(call, repo):
    outcome = call("gitops", "build", "apps", "--repo", str(repo))
    assert outcome.code == 0, outcome.err
    assert outcome.out.startswith(
        "# Kustomization flux-system/apps: apps (clusters/home/all.yaml:1)\n---\n# apps/all.yaml:1"
    )
    (web,) = objects(outcome.out).values()
    assert web["data"] == {"host": "web.example.org", "token": "${TOKEN}"}


def test_all_are_printed_and_no_secret_is(call, repo):
    outcome = call("gitops", "build", "--repo", str(repo))
    assert outcome.code == 0, outcome.err
    found = objects(outcome.out)
    assert {"vars", "secret-vars", "apps", "web"} <= found.keys()
    assert found["secret-vars"]["stringData"]["TOKEN"].startswith("hash:")
    assert SECRET not in outcome.out + outcome.err
    assert "other is not built: GitRepository elsewhere is another source" in outcome.err
    machine = call("gitops", "build", "--repo", str(repo), "--json")
    assert SECRET not in machine.out + machine.err
    listed = {one["name"]: one for one in json.loads(machine.out)["kustomizations"]}
    assert listed["apps"]["objects"][0]["where"] == "apps/all.yaml:1"
    assert "another source" in listed["other"]["unseen"]


def test_secrets_are_shown_to_who_asks(call, repo):
    outcome = call("gitops", "build", "apps", "--repo", str(repo), "--show-secrets")
    assert objects(outcome.out)["web"]["data"]["token"] == SECRET


def test_sealed_values_are_opened_with_the_keys(call, checkout):
    asked = ("gitops", "build", "apps", "--repo", str(checkout), "--keys", "keys.yaml")
    refused = call(*asked)
    assert refused.code == 2 and "--show-secrets" in refused.err
    assert objects(call(*asked, "--show-secrets").out)["web"]["data"]["host"] == "web.example.org"
    hidden = call("gitops", "build", "apps", "--repo", str(checkout))
    assert objects(hidden.out)["web"]["data"]["host"] == "web.${DOMAIN}"


def test_a_name_that_is_none(call, repo):
    outcome = call("gitops", "build", "aps", "--repo", str(repo))
    assert outcome.code == 2
    assert "no Kustomization aps" in outcome.err and "did you mean apps?" in outcome.err
    outcome = call("gitops", "build", "zebra", "--repo", str(repo))
    assert "there are: flux-system, apps, other" in outcome.err


def test_one_whose_files_are_elsewhere(call, repo, folder):
    outcome = call("gitops", "build", "other", "--repo", str(repo))
    assert outcome.code == 3
    assert "--source NAME=DIR" in outcome.err
    written(folder / "elsewhere", docs.files(**{"else": docs.config_map("far")}))
    given = ("--source", "elsewhere=elsewhere")
    outcome = call("gitops", "build", "other", "--repo", str(repo), *given)
    assert objects(outcome.out).keys() == {"far"}


def test_what_does_not_build_is_named_with_its_file(call, repo):
    (repo / "apps" / "all.yaml").write_text("kind: [broken\n")
    outcome = call("gitops", "build", "apps", "--repo", str(repo))
    assert outcome.code == 3
    assert "apps/all.yaml:" in outcome.err and "Traceback" not in outcome.err
    others = call("gitops", "build", "flux-system", "--repo", str(repo))
    assert others.code == 0, "another Kustomization is not at fault"


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"\xff\xfe\x00bad", id="not UTF-8"),
        pytest.param(b"a: &a [1,1]\nb: &b [*a,*a]\n" * 1, id="no object"),
        pytest.param(b"", id="empty"),
        pytest.param(b"- 1\n- 2\n", id="a list"),
    ],
)
def test_files_that_are_no_manifests(call, repo, content):
    (repo / "apps" / "more.yaml").write_bytes(content)
    outcome = call("gitops", "build", "apps", "--repo", str(repo))
    assert outcome.code in (0, 3)
    assert "Traceback" not in outcome.err
    if outcome.code:
        assert "apps/more.yaml" in outcome.err


def test_several_clusters_are_asked_for(call, repo):
    written(repo, docs.files(clusters__other=docs.config_map("two")))
    outcome = call("gitops", "build", "--repo", str(repo))
    assert outcome.code == 2
    assert "--path clusters/home or --path clusters/other" in outcome.err
    outcome = call("gitops", "build", "--repo", str(repo), answers="third\nclusters/other\n")
    assert outcome.code == 0, outcome.err
    assert "'third' is none of them" in outcome.err
    assert objects(outcome.out).keys() == {"two"}


def test_a_folder_without_a_cluster(call, folder):
    (folder / "empty").mkdir()
    outcome = call("gitops", "build", "--repo", "empty")
    assert outcome.code == 2 and "no cluster begins in" in outcome.err
    outcome = call("gitops", "build", "--repo", "empty", "--path", "../x")
    assert outcome.code == 2 and "--path" in outcome.err


def test_a_comment_cannot_be_left(call, folder):
    """A name goes into a comment, and must not begin a line of its own there."""
    wrong = docs.kustomization("apps\nkind: Injected", "./apps")
    repo = written(folder / "r", docs.files(clusters__home=wrong, apps=docs.config_map("web")))
    outcome = call("gitops", "build", "--repo", str(repo))
    assert "\nkind: Injected" not in outcome.out


@pytest.mark.parametrize("value", ["x-${A", "canary-${UNSET}", "a: b\nc: canary ${A\n"])
def test_an_error_quotes_no_value_of_a_secret(call, repo, value):
    secret = docs.obj("v1:Secret", "web", "web", stringData={"PASSWORD": f"canary {value}"})
    (repo / "apps" / "all.yaml").write_text(secret)
    outcome = call("gitops", "build", "apps", "--repo", str(repo))
    assert outcome.code == 3
    assert "Secret web/web" in outcome.err and "canary" not in outcome.out + outcome.err


@pytest.mark.parametrize("part", ["data", "stringData"])
def test_a_hint_quotes_no_number_of_a_secret(call, repo, part):
    secret = docs.obj("v1:Secret", "web", "web", **{part: {"PIN": 83759265}})
    (repo / "apps" / "all.yaml").write_text(secret)
    outcome = call("gitops", "build", "apps", "--repo", str(repo))
    assert outcome.code == 3
    assert f"{part}.PIN: a number" in outcome.err and "83759265" not in outcome.out + outcome.err


def test_a_finding_quotes_no_text_that_a_substitution_took_from_a_secret(call, folder):
    value = "canary token\nof two lines"
    use = [{"kind": "Secret", "name": "secret-vars"}]
    about = {"name": "web", "namespace": "web", "labels": {"team": "${TOKEN}"}}
    repo = written(
        folder / "homelab",
        docs.files(
            clusters__home=docs.many(
                docs.obj("v1:Secret", "secret-vars", "flux-system", stringData={"TOKEN": value}),
                docs.kustomization("apps", "./apps", postBuild={"substituteFrom": use}),
            ),
            apps=json.dumps({"apiVersion": "v1", "kind": "ConfigMap", "metadata": about}),
        ),
    )
    outcome = call("gitops", "cold-start", str(repo))
    assert outcome.code == 3
    said = outcome.out + outcome.err
    assert "metadata.labels.team: '***' is no value of a label" in said
    assert "canary" not in said


SECRET_PATCH = "apiVersion: v1\nkind: Secret\nmetadata: {name: web}\nstringData: "
WORDS = {
    "a generator's literal": (
        {"secretGenerator": [{"name": "x", "literals": ["canary"]}]},
        "expected key=value",
    ),
    "a patch that is no YAML": (
        {"patches": [{"patch": SECRET_PATCH + "{A: canary", "target": {"kind": "Secret"}}]},
        "unable to parse SM or JSON patch",
    ),
    "a patch of another shape": (
        {"patches": [{"patch": SECRET_PATCH + "canary", "target": {"kind": "Secret"}}]},
        "wrong node kind",
    ),
    "a replacement from a Secret": (
        {
            "replacements": [
                {
                    "source": {
                        "kind": "Secret",
                        "fieldPath": "stringData.A",
                        "options": {"delimiter": "x", "index": 9},
                    },
                    "targets": [{"select": {"kind": "Secret"}, "fieldPaths": ["stringData.A"]}],
                }
            ]
        },
        "out of bounds",
    ),
}


@pytest.mark.parametrize("name", WORDS)
def test_kustomize_quotes_no_value_of_a_secret(call, repo, name):
    content, words = WORDS[name]
    written(
        repo,
        {
            "apps/kustomization.yaml": json.dumps({"resources": ["all.yaml"], **content}),
            "apps/all.yaml": docs.obj("v1:Secret", "web", stringData={"A": "canary"}),
        },
    )
    outcome = call("gitops", "build", "apps", "--repo", str(repo))
    assert outcome.code == 3
    assert words in outcome.err and "canary" not in outcome.out + outcome.err


def test_kustomize_still_names_the_patch_of_a_file(call, repo):
    patches = [{"path": "p.yaml", "target": {"kind": "ConfigMap", "name": "web"}}]
    kustomization = json.dumps({"resources": ["all.yaml"], "patches": patches})
    written(repo, {"apps/kustomization.yaml": kustomization, "apps/p.yaml": "a: [\n"})
    outcome = call("gitops", "build", "apps", "--repo", str(repo))
    assert outcome.code == 3 and "p.yaml" in outcome.err

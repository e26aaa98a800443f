"""`gitops diff` on a real checkout."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests.support import checkouts
from tests.support import gitopsdocs as docs

CANARY = "canary-value"


def files(host: str, *more: str) -> dict[str, str]:
    vars_ = docs.config_map("vars", "flux-system", HOST=host)
    secret = docs.obj("v1:Secret", "token", "web", stringData={"TOKEN": f"{CANARY}-{host}"})
    use = {"substituteFrom": [{"kind": "ConfigMap", "name": "vars"}]}
    return docs.files(
        clusters__home=docs.many(vars_, docs.kustomization("apps", "./apps", postBuild=use)),
        apps=docs.many(docs.config_map("web", "web", host="https://${HOST}"), secret, *more),
    )


CLAIM = docs.obj(
    "v1:PersistentVolumeClaim",
    "library",
    "web",
    spec={
        "accessModes": ["ReadWriteOnce"],
        "resources": {"requests": {"storage": "1Gi"}},
        "volumeName": "disk",
    },
)


@pytest.fixture
def repo(folder: Path) -> Path:
    """Two commits, and a change of the files beside them."""
    root = folder / "homelab"
    checkouts.make(root, files("one.example.org", CLAIM))
    checkouts.commit(root, files("two.example.org"))
    checkouts.write(root, files("three.example.org"))
    return root


def test_head_and_the_working_tree(call, repo):
    outcome = call("gitops", "diff", "--repo", str(repo))
    assert outcome.code == 0, outcome.err
    head = checkouts.git(repo, "rev-parse", "HEAD")[:12]
    assert outcome.out.startswith(f"clusters/home: HEAD ({head}) -> working tree\n3 to change, ")
    assert "~ ConfigMap web/web  (apps, apps/all.yaml:1)" in outcome.out
    line = '~ data.host: "https://two.example.org" -> "https://three.example.org"'
    assert line in outcome.out
    assert CANARY not in outcome.out + outcome.err and "stringData.TOKEN" in outcome.out


def test_two_commits_and_what_is_lost(call, repo):
    outcome = call("gitops", "diff", "HEAD~1", "HEAD", "--repo", str(repo))
    assert outcome.code == 0, outcome.err
    assert "! DATA LOSS: PersistentVolumeClaim web/library: the claim's data" in outcome.out
    assert "volumeName" not in outcome.out
    whole = call("gitops", "diff", "HEAD~1..HEAD", "--repo", str(repo), "-v")
    assert "    - " in whole.out and "volumeName: disk" in whole.out
    assert CANARY not in whole.out + whole.err
    back = call("gitops", "diff", "HEAD", "HEAD~1", "--repo", str(repo))
    assert "DATA LOSS" not in back.out and "+ PersistentVolumeClaim web/library" in back.out


def test_what_a_branch_did(call, repo):
    checkouts.git(repo, "checkout", "--quiet", "--force", "-b", "topic", "HEAD~1")
    checkouts.commit(repo, {"apps/more.yaml": docs.config_map("more", "web")})
    outcome = call("gitops", "diff", "main...topic", "--repo", str(repo))
    assert outcome.out.splitlines()[1].startswith("1 to create, ")


def test_markdown_for_a_pull_request(call, repo):
    outcome = call("gitops", "diff", "HEAD~1", "HEAD", "--repo", str(repo), "--format", "markdown")
    assert outcome.code == 0, outcome.err
    assert outcome.out.startswith("### clusters/home: HEAD\\~1 ")
    assert "> [!CAUTION]" in outcome.out
    assert "<code>PersistentVolumeClaim web/library</code>" in outcome.out
    assert "```diff" in outcome.out and CANARY not in outcome.out
    assert "+  host: https://two.example.org" in outcome.out


def test_for_machines(call, repo):
    outcome = call("gitops", "diff", "HEAD~1", "HEAD", "--repo", str(repo), "--json")
    data = json.loads(outcome.out)
    assert data["counts"]["delete"] == 1 and data["counts"]["update"] == 3
    assert data["dataLoss"] == ["PersistentVolumeClaim web/library"]
    assert CANARY not in outcome.out
    (web,) = [one for one in data["changes"] if one["kind"] == "ConfigMap" and one["name"] == "web"]
    assert [one["path"] for one in web["fields"]] == ["data.host"]
    same = call("gitops", "diff", "HEAD~1", "HEAD", "--repo", str(repo), "--format", "json")
    assert json.loads(same.out)["counts"] == data["counts"]


def test_what_does_not_build_deletes_nothing(call, repo):
    (repo / "apps/all.yaml").write_text("kind: [broken\n")
    outcome = call("gitops", "diff", "--repo", str(repo))
    assert outcome.code == 3
    assert "? ConfigMap web/web" in outcome.out and "Flux keeps what it applied" in outcome.out
    assert "apps/all.yaml:" in outcome.err and "Traceback" not in outcome.err
    text = call("gitops", "diff", "--repo", str(repo), "--format", "markdown")
    assert text.code == 3 and "> [!WARNING]" in text.out


def test_a_new_cluster(call, repo):
    made = {"clusters/new/all.yaml": docs.config_map("one"), "clusters/home/all.yaml": "---\n"}
    checkouts.commit(repo, made)
    outcome = call(
        "gitops", "diff", "HEAD~1", "HEAD", "--repo", str(repo), "--path", "clusters/new"
    )
    assert outcome.code == 0, outcome.err
    assert "+ ConfigMap default/one" in outcome.out


def test_a_cluster_that_goes_keeps_its_objects(call, repo):
    checkouts.git(repo, "checkout", "--quiet", "--force", "main")
    checkouts.git(repo, "rm", "-r", "--quiet", "clusters")
    checkouts.write(repo, {"README.md": "empty\n"})
    outcome = call("gitops", "diff", "--repo", str(repo), "--path", "clusters/home")
    assert outcome.code == 3
    assert "0 to delete" not in outcome.out and "? Kustomization flux-system/apps" in outcome.out


def test_no_git(call, folder):
    (folder / "plain").mkdir()
    outcome = call("gitops", "diff", "--repo", "plain")
    assert outcome.code == 2 and "plain is in no Git checkout" in outcome.err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("nothing",), "'nothing' is no commit"),
        (("HEAD..main", "HEAD"), "one too many"),
        (("HEAD", "--path", "../x"), "--path"),
        (("HEAD", "--source", "x"), "--source"),
        (("HEAD", "--flux-version", "new"), "--flux-version"),
    ],
)
def test_wrong_calls(call, repo, arguments, words):
    outcome = call("gitops", "diff", *arguments, "--repo", str(repo))
    assert outcome.code == 2
    assert words in outcome.err and "Traceback" not in outcome.err


def test_markdown_that_others_wrote(call, folder):
    """Names and values reach a comment on GitHub: no tag, no mention, no end of the block."""
    root = folder / "r"
    evil = {"metadata": {"annotations": {"a": "x\n```\n@everyone <b>"}}}
    checkouts.make(root, docs.files(clusters__home=docs.config_map("a"), apps=docs.config_map("b")))
    name = "</summary><img src=x>@team"
    checkouts.write(
        root,
        docs.files(clusters__home=docs.many(docs.config_map("a", **evil), docs.config_map(name))),
    )
    outcome = call("gitops", "diff", "--repo", str(root), "--format", "markdown")
    told = outcome.out
    outside = re.sub(r"^(`{3,})diff$.*?^\1$", "", told, flags=re.MULTILINE | re.DOTALL)
    assert "img" in outside and "<img" not in outside and "@team" not in outside
    assert "````diff" in told, "the fence is longer than any in the content"

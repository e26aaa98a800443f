"""Everything that is wrong in a repository, named with file and line, in one look."""

from __future__ import annotations

import yaml

from provision.gitops.coldstart import preparation
from provision.gitops.sealing import keys as sealing_keys
from provision.gitops.tree import Tree

CLUSTER = "clusters/kyrion"


def moved(text: str, **metadata: str) -> str:
    obj = yaml.safe_load(text)
    obj["metadata"] |= metadata
    return yaml.safe_dump(obj)


def cut_short(text: str) -> str:
    obj = yaml.safe_load(text)
    values = obj["spec"]["encryptedData"]
    obj["spec"]["encryptedData"] = {
        name: value[: len(value) // 2] for name, value in values.items()
    }
    return yaml.safe_dump(obj)


def wrong(repo, key: sealing_keys.SealingKey, other: sealing_keys.SealingKey) -> dict[str, str]:
    """A repository with one of each."""
    closed = repo.sealed_secret(key, "app", "default", value="canary-value")
    return {
        f"{CLUSTER}/gone.yaml": "# comes first\n" + repo.kustomization("gone", "./gone"),
        f"{CLUSTER}/ring.yaml": repo.kustomization("one", "./ring", more=repo.depends("two"))
        + "---\n"
        + repo.kustomization("two", "./ring", more=repo.depends("one")),
        "ring/namespace.yaml": repo.namespace("ring"),
        f"{CLUSTER}/broken.yaml": repo.kustomization("broken", "./broken"),
        "broken/kustomization.yaml": repo.resources("text.yaml", "absent.yaml"),
        "broken/text.yaml": "# no object\n- a\n- b\n",
        f"{CLUSTER}/sealed.yaml": repo.kustomization("sealed", "./sealed"),
        "sealed/fine.yaml": closed,
        "sealed/cut.yaml": "# cut\n" + cut_short(repo.sealed_secret(key, "cut", "default", v="w")),
        "sealed/name.yaml": moved(repo.sealed_secret(key, "a", "default", v="w"), name="b"),
        "sealed/namespace.yaml": moved(
            repo.sealed_secret(key, "c", "arkham", v="w"), namespace="default"
        ),
        "sealed/other.yaml": repo.sealed_secret(other, "other", "default", v="w"),
        "sealed/release.yaml": repo.helm_release("s", "flux-system", "sealed-secrets"),
    }


def test_each_bad_input_is_named_with_file_and_line_all_at_once(repo, session_keys) -> None:
    key, other = session_keys
    found = preparation.prepare(Tree.of(wrong(repo, key, other)), CLUSTER, keys=[key])
    told = {problem.where: str(problem) for problem in found.problems}
    assert set(told) == {
        f"{CLUSTER}/gone.yaml:2",
        f"{CLUSTER}/ring.yaml:1",
        "broken/kustomization.yaml:3",
        "broken/text.yaml:2",
        "sealed/cut.yaml:2",
        "sealed/name.yaml:1",
        "sealed/namespace.yaml:1",
        "sealed/other.yaml:1",
    }
    assert "there is no such path" in told[f"{CLUSTER}/gone.yaml:2"]
    assert "a cycle: one -> two -> one" in told[f"{CLUSTER}/ring.yaml:1"]
    assert "canary-value" not in " ".join(told.values())


def test_with_every_key_the_rest_stays_wrong(repo, session_keys) -> None:
    key, other = session_keys
    files = wrong(repo, key, other)
    found = preparation.prepare(Tree.of(files), CLUSTER, keys=[key, other])
    assert "sealed/other.yaml:1" not in {problem.where for problem in found.problems}

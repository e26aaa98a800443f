"""What a repository decides, and that an unchanged one is not looked at twice."""

from __future__ import annotations

import pathlib

import pytest

from provision import config
from provision.gitops.sealing import keys as sealing_keys
from provision.provider.flux import scaffold
from stacks import repository_facts
from tests.support import elysiumrepo, fluxworld

PATH = "clusters/kyrion"


@pytest.fixture
def key(monkeypatch: pytest.MonkeyPatch) -> sealing_keys.SealingKey:
    monkeypatch.setattr(sealing_keys, "KEY_BITS", 1024)
    return sealing_keys.make_key()


@pytest.fixture
def world(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> fluxworld.World:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return fluxworld.World()


def cfg(**more) -> config.Config:
    given = {
        "cluster": "kyrion",
        "nodes": [{"name": "kyrion", "host": "192.0.2.7"}],
        "github": {"owner": "me", "repository": "home"},
    }
    return config.Config.model_validate(given | more)


def publish(world: fluxworld.World, files: dict[str, str]) -> None:
    world.hub.commits["c9"] = dict(files)
    world.hub.branches["main"] = "c9"


def hand(*keys: sealing_keys.SealingKey) -> repository_facts.AtHand:
    return repository_facts.AtHand(
        names=tuple(k.fingerprint for k in keys), keys=lambda: list(keys)
    )


def never() -> None:
    raise AssertionError("it was known")


def test_seeds_of_the_deadlocked_repository(world, key) -> None:
    publish(world, elysiumrepo.deadlocked(key))
    found = repository_facts.decide(cfg(), world, hand(key))
    assert found.problems == ()
    assert [seed.kind for seed in found.seeds] == [
        "CustomResourceDefinition",
        "Secret",
        "Namespace",
    ]
    assert found.sealing_namespace == "flux-system"


def test_the_same_commit_is_not_looked_at_again(world, key, monkeypatch) -> None:
    publish(world, elysiumrepo.deadlocked(key))
    first = repository_facts.decide(cfg(), world, hand(key))
    monkeypatch.setattr(world.hub, "read_tree", lambda *_: never())
    known = repository_facts.AtHand(names=(key.fingerprint,), keys=never)
    again = repository_facts.decide(cfg(), world, known)
    assert [seed.to_json() for seed in again.seeds] == [seed.to_json() for seed in first.seeds]
    assert [seed.sealed for seed in again.seeds] == [seed.sealed for seed in first.seeds]
    with pytest.raises(AssertionError, match="it was known"):
        repository_facts.decide(cfg(), world, hand())
    world.hub.branches["main"] = "c0"
    with pytest.raises(AssertionError, match="it was known"):
        repository_facts.decide(cfg(), world, hand(key))


def test_the_cache_holds_no_decrypted_value(world, key, tmp_path) -> None:
    files = elysiumrepo.deadlocked(key)
    publish(world, files)
    repository_facts.decide(cfg(), world, hand(key))
    kept = list((tmp_path / "cache").rglob("*.json"))
    assert len(kept) == 1
    assert "canary" not in kept[0].read_text()
    kept[0].unlink()
    # A value that comes to stand in a seed's name keeps the answer out of the cache.
    place = "infrastructure/controllers/tailscale.yaml"
    files[place] = files[place].replace("targetNamespace: tailscale", "targetNamespace: ${TOKEN}")
    files["infrastructure/controllers/tsidp-auth.yaml"] = (
        "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: a\n  namespace: ${TOKEN}\n"
    )
    publish(world, files)
    found = repository_facts.decide(cfg(), world, hand(key))
    assert "canary-token" in [seed.name for seed in found.seeds]
    assert list((tmp_path / "cache").rglob("*.json")) == []


def test_other_keys_are_a_problem_for_every_secret(world, key) -> None:
    publish(world, elysiumrepo.deadlocked(key))
    found = repository_facts.decide(cfg(), world, hand(sealing_keys.make_key()))
    places = " ".join(problem.where for problem in found.problems)
    assert "clusters/kyrion/infrastructure.yaml:1" in places
    assert "infrastructure/controllers/tsidp-auth.yaml:1" in places
    none = repository_facts.decide(cfg(), world, hand())
    assert all("no sealing key is at hand" in str(p) or "seeded" in str(p) for p in none.problems)
    assert none.problems


@pytest.mark.parametrize("commit", ["push", "none"])
def test_the_scaffold_needs_nothing(world, commit: str) -> None:
    publish(world, scaffold.render("kyrion", flux_in_git=commit != "none"))
    found = repository_facts.decide(cfg(flux={"commit": commit}), world, hand())
    assert found.problems == ()
    assert found.seeds == ()


def test_flux_is_where_the_configuration_has_it(world) -> None:
    """The root, its source, the namespaces that are there and the sealing keys' follow."""
    publish(world, scaffold.render("kyrion", flux_namespace="gitops"))
    found = repository_facts.decide(cfg(flux={"namespace": "gitops"}), world, hand())
    assert (found.problems, found.seeds, found.sealing_namespace) == ((), (), "gitops")
    other = repository_facts.decide(cfg(), world, hand())
    assert other.problems  # nothing there is in the namespace gitops


def test_flux_files_in_git_count_with_the_users_patches(world, key) -> None:
    files = elysiumrepo.deadlocked(key)
    files[f"{PATH}/kustomization.yaml"] += "  - flux-system\n"
    folder = f"{PATH}/flux-system"
    files[f"{folder}/gotk-components.yaml"] = (
        "apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: source-controller\n"
        "  namespace: flux-system\nspec:\n  selector: {matchLabels: {app: source}}\n"
        "  template:\n    metadata: {labels: {app: source}}\n"
        "    spec: {containers: [{name: manager, image: source}]}\n"
    )
    files[f"{folder}/gotk-sync.yaml"] = ""
    files[f"{folder}/kustomization.yaml"] = (
        "resources: [gotk-components.yaml, gotk-sync.yaml]\n"
        "patches:\n  - patch: |-\n      - {op: add, path: /metadata/labels, value: {a: b}}\n"
        "    target: {kind: Deployment, name: source-controller}\n"
    )
    publish(world, files)
    found = repository_facts.decide(cfg(), world, hand(key))
    assert found.problems == ()
    assert len(found.seeds) == 3


def test_given_definitions_are_used(world, key, tmp_path) -> None:
    folder = tmp_path / "crds"
    folder.mkdir()
    (folder / "crd.yaml").write_text(
        "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\n"
        "metadata: {name: sealedsecrets.bitnami.com}\n"
        "spec: {group: bitnami.com, names: {kind: SealedSecret}}\n"
    )
    publish(world, elysiumrepo.deadlocked(key))
    found = repository_facts.decide(cfg(flux={"crds": str(folder)}), world, hand(key))
    assert found.seeds[0].object["metadata"]["name"] == "sealedsecrets.bitnami.com"


def test_a_definition_nobody_has_is_missing(world, key) -> None:
    files = elysiumrepo.deadlocked(key)
    files[f"{PATH}/odd.yaml"] = "apiVersion: odd.example/v1\nkind: Odd\nmetadata: {name: odd}\n"
    files[f"{PATH}/kustomization.yaml"] += "  - odd.yaml\n"
    publish(world, files)
    found = repository_facts.decide(cfg(), world, hand(key))
    assert any("Odd.odd.example" in str(problem) for problem in found.problems)
    assert any(problem.where == f"{PATH}/odd.yaml:1" for problem in found.problems)


def test_the_repositorys_namespace_and_certificate_are_followed(world, key) -> None:
    files = elysiumrepo.deadlocked(key)
    files["infrastructure/controllers/sealed-secrets.yaml"] = elysiumrepo.helm_release(
        "sealed-secrets", "flux-system", "sealed-secrets", target="sealing"
    )
    files["secrets/pub-sealed-secrets.pem"] = key.certificate_pem
    publish(world, files)
    found = repository_facts.decide(cfg(), world, hand(key))
    assert found.sealing_namespace == "sealing"
    assert found.sealing_certificate == "secrets/pub-sealed-secrets.pem"
    configured = cfg(sealing={"namespace": "mine"})
    assert repository_facts.decide(configured, world, hand(key)).sealing_namespace == "mine"

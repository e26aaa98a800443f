"""`gitops cold-start` on a real checkout with real keys."""

from __future__ import annotations

import json


def test_cold_start_in_words(call, checkout):
    outcome = call("gitops", "cold-start", str(checkout), "--keys", "keys.yaml")
    assert outcome.code == 0, outcome.err
    assert outcome.out.startswith("clusters/kyrion: 4 Kustomizations\n  flux-system/flux-system  ")
    for needed in (
        "+ CustomResourceDefinition SealedSecret.bitnami.com",
        "+ Secret flux-system/cluster-secret-vars",
        "+ Namespace tailscale",
        "where:   clusters/kyrion/sealed-secrets.yaml:1",
        "seeded:  is put there before Flux starts",
        "instead: ",
    ):
        assert needed in outcome.out
    assert "canary" not in outcome.out + outcome.err


def test_cold_start_without_what_opens_it(call, checkout):
    outcome = call("gitops", "cold-start", str(checkout), "--keys", "other.yaml")
    assert outcome.code == 3
    assert "✗ Secret flux-system/cluster-secret-vars" in outcome.out
    assert "the repository cannot be brought up" in outcome.err
    assert "see the 1 above that cannot be seeded" in outcome.err
    assert outcome.out.count("where:   clusters/kyrion/infrastructure.yaml:1") == 1
    assert "infrastructure.yaml" not in outcome.err


def test_cold_start_for_machines(call, checkout):
    data = json.loads(call("gitops", "cold-start", str(checkout), "--format", "json").out)
    assert [need["kind"] for need in data["needs"]] == [
        "CustomResourceDefinition",
        "Secret",
        "Namespace",
    ]
    assert data == json.loads(call("--json", "gitops", "cold-start", str(checkout)).out)
    outcome = call("gitops", "cold-start", str(checkout), "--json", "--keys", "other.yaml")
    assert outcome.code == 3
    assert json.loads(outcome.out)["needs"][1]["seeded"] is False


def test_cold_start_of_a_healthy_repository(call, folder):
    cluster = folder / "clean" / "clusters" / "k"
    cluster.mkdir(parents=True)
    (cluster / "a.yaml").write_text("apiVersion: v1\nkind: Namespace\nmetadata:\n  name: a\n")
    outcome = call("gitops", "cold-start", "clean")
    assert outcome.code == 0
    assert "nothing has to be seeded" in outcome.out


def test_cold_start_needs_to_know_the_folder(call, checkout):
    (checkout / "clusters" / "second").mkdir()
    (checkout / "clusters" / "second" / "a.yaml").write_text("kind: x\n")
    outcome = call("gitops", "cold-start", str(checkout))
    assert outcome.code == 2
    assert "--path clusters/kyrion" in outcome.err
    assert call("gitops", "cold-start", str(checkout), "--path", "./clusters/kyrion").code == 0
    assert call("gitops", "cold-start", str(checkout / "apps")).code == 2


def test_cold_start_of_the_folder_that_the_repository_says(call, checkout):
    """A root Kustomization lies in the folder that it applies."""
    moved = checkout / "infra" / "live"
    (checkout / "infra").mkdir()
    (checkout / "clusters" / "kyrion").rename(moved)
    (checkout / "clusters").rmdir()
    sync = (
        "apiVersion: kustomize.toolkit.fluxcd.io/v1\nkind: Kustomization\n"
        "metadata: {name: flux-system, namespace: flux-system}\n"
        "spec: {interval: 1m, path: ./infra/live, prune: true,"
        " sourceRef: {kind: GitRepository, name: flux-system}}\n"
    )
    (moved / "flux-system").mkdir(exist_ok=True)
    (moved / "flux-system" / "gotk-sync.yaml").write_text(sync)
    outcome = call("gitops", "cold-start", str(checkout), "--keys", "keys.yaml")
    assert outcome.out.startswith("infra/live: "), outcome.err


def test_a_finding_of_several_kustomizations_is_printed_once(call, folder):
    cluster = folder / "shared" / "clusters" / "k"
    cluster.mkdir(parents=True)
    base = folder / "shared" / "base"
    base.mkdir()
    (base / "kustomization.yaml").write_text("resources: [absent.yaml]\n")
    one = (
        "apiVersion: kustomize.toolkit.fluxcd.io/v1\nkind: Kustomization\n"
        "metadata: {name: NAME, namespace: flux-system}\n"
        "spec: {interval: 1m, path: ./base, prune: true,"
        " sourceRef: {kind: GitRepository, name: flux-system}}\n"
    )
    (cluster / "ks.yaml").write_text(
        "---\n".join(one.replace("NAME", name) for name in ("one", "two"))
    )
    outcome = call("gitops", "cold-start", "shared")
    assert outcome.code == 3
    assert (outcome.out + outcome.err).count("absent.yaml") == 1
    assert "(Kustomizations one, two)" in outcome.err


def test_a_release_or_a_component_that_flux_has_not_is_refused(call, checkout):
    for option, value in (
        ("--flux-version", "latest"),
        ("--flux-version", "2"),
        ("--components-extra", "source-watcher,source-watchr"),
    ):
        outcome = call("gitops", "cold-start", str(checkout), option, value)
        assert outcome.code == 2
        assert option in outcome.err and "expected" in outcome.err

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
    assert "clusters/kyrion/infrastructure.yaml:1" in outcome.err


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

"""The repository that Flux alone cannot bring up: that is real, and one `up` ends it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from provision.gitops.sealing import keys as sealing_keys
from provision.gitops.sealing import sealed
from provision.sandbox import lifecycle
from tests.support import coldstarts, elysiumrepo
from tests.support import lab as labs

ALL = {"flux-system", "infra-controllers", "infra-configs", "apps"}
CERTIFICATE = "etc/certs/pub-sealed-secrets.pem"


@pytest.fixture(scope="module")
def forge(lab: labs.Lab, key: sealing_keys.SealingKey):
    return coldstarts.use(lab, "deadlocked", coldstarts.repository(key))


def test_the_preview_lists_each_seed_with_its_reason(lab: labs.Lab, forge) -> None:
    done = lab.elysium("preview").ok()
    told = " ".join(done.stdout.split())
    for seed in (
        "CustomResourceDefinition/sealedsecrets.bitnami.com",
        "Secret/flux-system/cluster-secret-vars",
        "Namespace/tailscale",
    ):
        assert f"seed {seed}:" in told, done.stdout
    assert "clusters/kyrion/sealed-secrets.yaml:1" in told
    assert "canary-token" not in done.stdout + done.stderr


def test_with_other_keys_nothing_is_touched(lab: labs.Lab, forge) -> None:
    path = lab.folder / "Pulumi.kyrion.yaml"
    before = path.read_text()
    try:
        lab.elysium(
            "config",
            "set",
            "--secret",
            "sealing.keys",
            stdin=sealing_keys.make_key().private_pem.reveal(),
        ).ok()
        done = lab.elysium("up", "--yes")
    finally:
        path.write_text(before)
    assert done.status == 3
    for place in ("clusters/kyrion/infrastructure.yaml:1", "tsidp-auth.yaml:1"):
        assert place in done.stderr
    assert lab.on_node("test -e /usr/local/bin/k3s || echo untouched").strip() == "untouched"


def test_without_seeds_it_stops_at_the_first_deadlock(lab: labs.Lab, forge) -> None:
    lab.elysium("config", "set", "flux.timeout", "15").ok()
    done = lab.elysium("up", "--yes", "--no-seeds")
    lab.elysium("config", "set", "flux.timeout", "600").ok()
    assert done.status == 5, done.stderr
    coldstarts.until(
        lambda: 'no matches for kind "SealedSecret"' in coldstarts.message(lab, "flux-system"),
        "the first deadlock",
    )


def test_with_the_definition_at_the_second(lab: labs.Lab) -> None:
    crd = "/opt/elysium-sandbox/crds/bitnami.com_sealedsecrets.yaml"
    lab.on_node(f"k3s kubectl apply -f {crd}")
    coldstarts.ask(lab, "flux-system")
    coldstarts.until(
        lambda: '"cluster-secret-vars" not found' in coldstarts.message(lab, "infra-controllers"),
        "the second deadlock",
    )


def test_with_the_secret_at_the_third(lab: labs.Lab) -> None:
    lab.on_node(
        "k3s kubectl create secret generic cluster-secret-vars -n flux-system"
        " --from-literal=DOMAIN=by.hand --from-literal=TOKEN=token-by-hand"
    )
    coldstarts.until(
        lambda: (
            "namespace" in coldstarts.message(lab, "infra-controllers")
            and "not found" in coldstarts.message(lab, "infra-controllers")
        ),
        "the third deadlock",
    )
    lab.on_node("k3s kubectl delete secret -n flux-system cluster-secret-vars")


def test_from_an_empty_cluster_one_up_brings_it_to_ready(lab: labs.Lab, forge) -> None:
    coldstarts.emptied(lab)
    lab.elysium("up", "--yes").ok()
    assert coldstarts.ready(lab) >= ALL
    assert coldstarts.secret(lab, "cluster-secret-vars", "flux-system") == {
        "DOMAIN": "example.org",
        "TOKEN": "canary-token",
    }
    web = lab.kubectl("get", "configmap", "web", "-n", "arkham")
    assert web["data"]["host"] == "web.example.org"


def test_every_chart_is_fetched_and_installed(lab: labs.Lab) -> None:
    for kind in ("helmrepositories", "helmcharts.source.toolkit.fluxcd.io", "helmreleases"):
        coldstarts.until(
            lambda kind=kind: all(
                coldstarts.is_ready(item)
                for item in coldstarts.all_of(lab, kind)
                if item["spec"].get("type") != "oci"  # such a source has no conditions
            ),
            f"{kind} are ready",
        )
    by_name = {item["metadata"]["name"]: item for item in coldstarts.all_of(lab, "helmreleases")}
    assert set(by_name) == {"sealed-secrets", "tailscale"}
    for name, chart in (("sealed-secrets", "sealed-secrets"), ("tailscale", "tailscale-operator")):
        status = by_name[name]["status"]
        assert status["history"][0]["chartName"] == chart
        assert status["history"][0]["status"] == "deployed"
        assert status["inventory"]["entries"]
    stored = lab.kubectl("get", "secrets", "-n", "flux-system", "-l", "owner=helm")
    assert {item["metadata"]["labels"]["name"] for item in stored["items"]} == {
        "sealed-secrets",
        "tailscale-tailscale",
    }


def test_status_lists_the_charts_as_stood_in(lab: labs.Lab) -> None:
    found = lifecycle.status(lab.sandbox.name)
    assert found is not None and found.sandbox is not None
    charts = {part.part: part.what for part in found.sandbox.stood_in if "chart " in part.part}
    assert set(charts) == {"chart sealed-secrets 1.0.0", "chart tailscale-operator 1.0.0"}
    assert "https://charts.example.org/stable" in charts["chart sealed-secrets 1.0.0"]
    assert "oci://registry.example.org/charts" in charts["chart tailscale-operator 1.0.0"]
    assert any(service.service == "charts" and service.answers for service in found.services)


def test_the_controller_adopts_the_seed_and_its_changes_win(
    lab: labs.Lab, forge, key: sealing_keys.SealingKey
) -> None:
    def owned() -> bool:
        found = lab.kubectl("get", "secret", "cluster-secret-vars", "-n", "flux-system")
        owners = found["metadata"].get("ownerReferences") or []
        return [owner["kind"] for owner in owners] == ["SealedSecret"]

    coldstarts.until(owned, "the controller owns the Secret")
    changed = elysiumrepo.sealed_secret(
        key, "cluster-secret-vars", "flux-system", DOMAIN="changed.example", TOKEN="canary-token"
    )
    forge.commit_files({"clusters/kyrion/sealed-secrets.yaml": changed}, message="Change it")

    def won() -> bool:
        found = coldstarts.secret(lab, "cluster-secret-vars", "flux-system")
        return found["DOMAIN"] == "changed.example"

    lab.elysium("up", "--yes").ok()
    coldstarts.until(won, "the controller's change")
    lab.elysium("up", "--yes").ok()
    assert won()


def test_values_sealed_for_the_certificate_in_the_repository_open_in_the_controller(
    lab: labs.Lab, forge, tmp_path: Path
) -> None:
    certificate = tmp_path / "pub.pem"
    certificate.write_text(forge.read_file(CERTIFICATE))
    by: dict[str, Callable[[dict, sealing_keys.Scope], str]] = {
        "elysium": lambda plain, scope: elysiumrepo.as_json(
            sealed.seal(plain, certificate.read_text(), scope=scope)
        ),
        "kubeseal": lambda plain, scope: coldstarts.kubeseal(certificate, plain, scope.value),
    }
    names: dict[str, str] = {}
    for program, seal in by.items():
        for scope in sealing_keys.Scope:
            name = f"{program}-{scope.value}"
            names[name] = f"opened {name}"
            text = seal(elysiumrepo.secret(name, "default", value=names[name]), scope)
            lab.on_node(f"k3s kubectl apply -f - <<'END'\n{text}\nEND")
    for name, value in names.items():
        coldstarts.until(
            lambda name=name, value=value: (
                coldstarts.secret_or_none(lab, name, "default") == {"value": value}
            ),
            f"{name} opens",
        )


def test_the_next_up_changes_nothing_and_reads_nothing_again(lab: labs.Lab, forge) -> None:
    lab.elysium("up", "--yes").ok()
    head, calls = forge.head(), len(lab.forge.calls())
    lab.elysium("preview", "--expect-no-changes").ok()
    lab.elysium("up", "--yes").ok()
    assert forge.head() == head
    made = lab.forge.calls(calls)
    assert [call["path"] for call in made if call["method"] != "GET"] == []
    again = [
        call["path"] for call in made if "/blobs/" in call["path"] or "tarball" in call["path"]
    ]
    assert again == []

"""Which charts a repository asks for."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from provision.sandbox.charts import wanted
from provision.sandbox.forge import bare
from tests.support import elysiumrepo


def repository(name: str, url: str, **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "source.toolkit.fluxcd.io/v1",
        "kind": spec.pop("kind", "HelmRepository"),
        "metadata": {"name": name, "namespace": "flux-system"},
        "spec": {"interval": "1h", "url": url, **spec},
    }


def release(chart: str, source: str, version: str = "") -> dict[str, Any]:
    spec = {"chart": chart, "sourceRef": {"kind": "HelmRepository", "name": source}}
    return {
        "apiVersion": "helm.toolkit.fluxcd.io/v2",
        "kind": "HelmRelease",
        "metadata": {"name": chart, "namespace": "apps"},
        "spec": {"chart": {"spec": spec | ({"version": version} if version else {})}},
    }


def custom(group: str, kind: str, namespace: str = "apps") -> dict[str, Any]:
    metadata = {"name": "x"} | ({"namespace": namespace} if namespace else {})
    return {"apiVersion": f"{group}/v1", "kind": kind, "metadata": metadata}


@pytest.fixture
def bare_repository(tmp_path: Path) -> bare.Bare:
    path = tmp_path / "repositories" / "homelab" / "elysium.git"
    path.mkdir(parents=True)
    subprocess.run(["git", "init", "-q", "--bare", "-b", "main", path], check=True)
    return bare.Bare(path)


def test_an_index_has_the_charts_that_releases_ask_for() -> None:
    found = wanted.of(
        [
            repository("one", "https://charts.example.org/stable/"),
            repository("two", "https://other.example.org"),
            release("plex", "one", "1.2.3"),
            release("plex", "one", "1.3.x"),
            release("web", "two"),
        ]
    )
    index = found.indexes["charts.example.org", "stable"]
    assert set(index) == {"plex"}
    assert {"1.2.3", "1.3.0"} <= set(index["plex"])
    assert found.indexes["other.example.org", ""] == {"web": ("1.0.0",)}
    assert found.hosts == {"charts.example.org", "other.example.org"}


def test_a_repository_that_no_release_uses_has_an_empty_index() -> None:
    found = wanted.of([repository("one", "https://charts.example.org")])
    assert found.indexes == {("charts.example.org", ""): {}}


def test_charts_of_a_registry_are_images() -> None:
    found = wanted.of(
        [
            repository("one", "oci://registry.example.org/charts", type="oci"),
            release("plex", "one", "1.2.3"),
            repository("two", "oci://registry.example.org/more/web", kind="OCIRepository")
            | {"spec": {"url": "oci://registry.example.org/more/web", "ref": {"tag": "4.5.6"}}},
        ]
    )
    assert found.images == {
        ("registry.example.org", "charts/plex"): ("1.2.3",),
        ("registry.example.org", "more/web"): ("4.5.6",),
    }


@pytest.mark.parametrize(
    "url",
    [
        "http://museum.apps.svc.cluster.local:8080",
        "http://museum.apps.svc",
        "https://museum",
        "https://10.0.0.1/charts",
        "https://charts.example.org:8443",
        "https://[broken",
        "https://charts..example.org",
        "s3://bucket.example.org",
        "",
    ],
)
def test_other_addresses_are_not_served(url: str) -> None:
    assert wanted.of([repository("one", url)]).hosts == frozenset()


def test_a_chart_of_the_table_defines_the_kinds_of_its_groups() -> None:
    found = wanted.of(
        [custom("cert-manager.io", "ClusterIssuer", ""), custom("traefik.io", "IngressRoute")]
    )
    assert [
        (kind.kind, kind.namespaced, kind.versions)
        for kind in wanted.defined_by("cert-manager", found)
    ] == [("ClusterIssuer", False, ("v1",))]
    assert [kind.kind for kind in wanted.defined_by("traefik", found)] == ["IngressRoute"]


def test_another_chart_defines_kinds_that_resemble_its_name() -> None:
    found = wanted.of([custom("pluto.example.org", "Orbit"), custom("cert-manager.io", "Issuer")])
    assert [kind.kind for kind in wanted.defined_by("pluto-operator", found)] == ["Orbit"]
    assert wanted.defined_by("web", found) == ()


def test_it_follows_the_branches(bare_repository: bare.Bare, monkeypatch) -> None:
    monkeypatch.setattr(wanted, "_FRESH", 0)
    reader = wanted.Repositories(bare_repository.path.parent.parent)
    assert reader.wanted().hosts == frozenset()
    for host in ("one.example.org", "two.example.org"):
        text = yaml.safe_dump(repository("charts", f"https://{host}"))
        bare_repository.commit_files({"charts.yaml": text, "broken.yaml": "a: [\n"})
        assert reader.wanted().hosts == {host}


def test_what_flux_substitutes_and_patches_counts(bare_repository: bare.Bare, monkeypatch) -> None:
    monkeypatch.setattr(wanted, "_FRESH", 0)
    substituted = elysiumrepo.kustomization(
        "apps", "./apps", more="  postBuild:\n    substitute:\n      CHARTS: built.example.org\n"
    )
    patch = {"apiVersion": "helm.toolkit.fluxcd.io/v2", "kind": "HelmRelease"}
    patch |= {"metadata": {"name": "plex", "namespace": "apps"}}
    patch |= {"spec": {"chart": {"spec": {"version": "7.8.9"}}}}
    overlay = {"resources": ["release.yaml"], "patches": [{"patch": yaml.safe_dump(patch)}]}
    bare_repository.commit_files(
        {
            "clusters/kyrion/apps.yaml": substituted,
            "apps/kustomization.yaml": yaml.safe_dump(overlay),
            "apps/release.yaml": yaml.safe_dump_all(
                [repository("charts", "https://${CHARTS}"), release("plex", "charts", "1.0.0")]
            ),
        }
    )
    found = wanted.Repositories(bare_repository.path.parent.parent).wanted()
    assert found.hosts == {"built.example.org"}
    assert "7.8.9" in found.indexes["built.example.org", ""]["plex"]

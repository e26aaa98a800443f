"""The repository to start from builds, substitutes and needs no seed."""

from __future__ import annotations

import pytest
import yaml

from provision import errors
from provision.gitops.build import discovery
from provision.gitops.coldstart import analysis as coldstart_analysis
from provision.gitops.tree import Tree
from provision.provider.flux import repository as flux_repository
from provision.provider.flux import scaffold, sync_files


def with_flux(cluster: str) -> dict[str, str]:
    """As after the first `up`: Flux' own files are in Git."""
    paths = flux_repository.Paths.of(f"clusters/{cluster}")
    return scaffold.render(cluster) | {
        paths.kustomization: sync_files.KUSTOMIZATION,
        paths.components: (
            "apiVersion: v1\nkind: Namespace\nmetadata:\n  name: flux-system\n---\n" + definitions()
        ),
        paths.sync: sync_files.render(
            {
                "name": "flux-system",
                "namespace": "flux-system",
                "interval": "1m",
                "branch": "main",
                "secretName": "flux-system",
                "gitUrl": "ssh://git@github.com/me/home.git",
                "path": f"clusters/{cluster}",
            }
        ),
    }


def definitions() -> str:
    """Flux' definitions, as far as the tree uses them."""
    kinds = {
        "kustomize": ("Kustomization",),
        "source": ("GitRepository",),
        "image": ("ImageRepository", "ImagePolicy", "ImageUpdateAutomation"),
    }
    made = []
    for group, names in kinds.items():
        for kind in names:
            plural = kind.lower()[:-1] + "ies" if kind.endswith("y") else kind.lower() + "s"
            made.append(
                {
                    "apiVersion": "apiextensions.k8s.io/v1",
                    "kind": "CustomResourceDefinition",
                    "metadata": {"name": f"{plural}.{group}.toolkit.fluxcd.io"},
                    "spec": {
                        "group": f"{group}.toolkit.fluxcd.io",
                        "names": {"kind": kind, "plural": plural},
                        "scope": "Namespaced",
                        "versions": [{"name": "v1", "served": True, "storage": True}],
                    },
                }
            )
    return "---\n".join(yaml.safe_dump(one) for one in made)


@pytest.fixture(scope="module")
def files() -> dict[str, str]:
    return with_flux("kyrion")


@pytest.fixture(scope="module")
def found(files) -> discovery.Discovered:
    return discovery.discover(Tree.of(files), "clusters/kyrion")


def test_every_kustomization_builds(found):
    assert list(found.problems) == []
    assert {unit.kustomization.name for unit in found.units} == {
        "flux-system",
        "infra-controllers",
        "infra-configs",
        "apps",
        "monitoring-controllers",
        "monitoring-configs",
    }


def test_it_needs_no_seed(files):
    analysis = coldstart_analysis.analyse(Tree.of(files), "clusters/kyrion")
    assert list(analysis.problems) == []
    assert [str(need) for need in analysis.needs] == []


def test_the_chain_of_dependencies(found):
    needs = {
        unit.kustomization.name: [name for _, name in unit.kustomization.depends_on]
        for unit in found.units
    }
    assert needs["infra-configs"] == ["infra-controllers"]
    assert needs["apps"] == ["infra-configs"]
    assert needs["monitoring-configs"] == ["monitoring-controllers"]


def test_nothing_is_left_to_fill_in(files):
    for path, text in files.items():
        assert "__" not in path
        assert "__" not in text, path


def test_plex_asks_for_the_gpu_and_images_are_pushed_to_the_branch():
    files = scaffold.render("helios", branch="trunk")
    plex = yaml.safe_load(files["apps/base/plex/deployment.yaml"])
    (container,) = plex["spec"]["template"]["spec"]["containers"]
    assert container["resources"]["limits"]["gpu.intel.com/i915"] == "1"
    assert container["resources"]["requests"]["gpu.intel.com/i915"] == "1"
    parts = yaml.safe_load_all(files["apps/helios/image-automation.yaml"])
    automation = next(part for part in parts if part["kind"] == "ImageUpdateAutomation")
    assert automation["spec"]["interval"] == "10m"
    assert automation["spec"]["git"]["push"]["branch"] == "trunk"
    assert automation["spec"]["update"]["path"] == "./apps/helios"
    assert "clusters/helios/apps.yaml" in files


def test_flux_can_be_left_out_of_git():
    files = scaffold.render("kyrion", flux_in_git=False)
    found = discovery.discover(Tree.of(files), "clusters/kyrion")
    assert list(found.problems) == []
    assert "flux-system" not in files["clusters/kyrion/kustomization.yaml"]


@pytest.mark.parametrize("name", ["", "../x", "Kyrion", "a b", "-a"])
def test_a_bad_name_is_refused(name):
    with pytest.raises(errors.ConfigError):
        scaffold.render(name)

"""Names and namespaces of SealedSecrets as the Kustomizations of a repository make them."""

from __future__ import annotations

from typing import Any

import yaml

from provision.gitops.build import placement
from provision.gitops.tree import Tree
from tests.support import elysiumrepo

Objects = dict[str, Any]


def sealed(value: str, name: str = "plex", **metadata: Any) -> Objects:
    return {
        "apiVersion": "bitnami.com/v1alpha1",
        "kind": "SealedSecret",
        "metadata": {"name": name, **metadata},
        "spec": {"encryptedData": {"token": value}},
    }


def ways(files: dict[str, Any], path: str, obj: Objects) -> set[tuple[str, str, str]]:
    texts = {p: c if isinstance(c, str) else yaml.safe_dump(c) for p, c in files.items()}
    found = placement.Placement(Tree.of(texts)).of(path, obj)
    return {(one.metadata.get("namespace", ""), one.metadata["name"], one.by) for one in found}


CLUSTER = "clusters/home/ks.yaml"
ONE, TWO = sealed("AAAA"), sealed("BBBB", "other")


def test_kustomize_sets_the_namespace() -> None:
    files = {
        CLUSTER: elysiumrepo.kustomization("apps", "./apps"),
        "apps/kustomization.yaml": "namespace: media\nresources: [plex.yaml]\n",
        "apps/plex.yaml": ONE,
        "apps/left-out.yaml": TWO,
    }
    assert ways(files, "apps/plex.yaml", ONE) == {("media", "plex", "apps")}
    assert ways(files, "apps/left-out.yaml", TWO) == set()


def test_flux_sets_namespace_prefix_and_suffix() -> None:
    more = "  targetNamespace: media\n  namePrefix: a-\n  nameSuffix: -z\n"
    files = {CLUSTER: elysiumrepo.kustomization("apps", "./apps", more=more), "apps/plex.yaml": ONE}
    assert ways(files, "apps/plex.yaml", ONE) == {("media", "a-plex-z", "apps")}


def test_several_kustomizations_use_one_file() -> None:
    files = {
        CLUSTER: "---\n".join(
            elysiumrepo.kustomization(name, "./apps", more=f"  targetNamespace: {namespace}\n")
            for name, namespace in (("a", "one"), ("b", "two"), ("c", "two"))
        ),
        "apps/plex.yaml": ONE,
    }
    assert ways(files, "apps/plex.yaml", ONE) == {("one", "plex", "a"), ("two", "plex", "b, c")}


def test_several_clusters_and_one_in_another_folder() -> None:
    files = {
        "clusters/a/ks.yaml": elysiumrepo.kustomization("apps", "./apps/a"),
        "clusters/b/ks.yaml": elysiumrepo.kustomization("apps", "./apps/b"),
        "apps/base/kustomization.yaml": "resources: [plex.yaml]\n",
        "apps/base/plex.yaml": ONE,
        "apps/a/kustomization.yaml": "namespace: of-a\nresources: [../base]\n",
        "apps/b/kustomization.yaml": "namespace: of-b\nresources: [../base]\n",
        # Neither in a cluster's folder nor in one called clusters.
        "kubernetes/flux/ks.yaml": elysiumrepo.kustomization(
            "more", "./more", more="  targetNamespace: far\n"
        ),
        "more/other.yaml": TWO,
    }
    assert ways(files, "apps/base/plex.yaml", ONE) == {
        ("of-a", "plex", "apps"),
        ("of-b", "plex", "apps"),
    }
    assert ways(files, "more/other.yaml", TWO) == {("far", "other", "more")}


def test_a_root_anywhere_and_values_of_the_cluster() -> None:
    own = elysiumrepo.kustomization("flux-system", "./infra/live").replace(
        "  interval", "  postBuild: {substitute: {SPACE: media}}\n  interval"
    )
    files = {
        "infra/live/flux-system/gotk-sync.yaml": own,
        "infra/live/plex.yaml": sealed("AAAA", namespace="${SPACE}"),
    }
    found = ways(files, "infra/live/plex.yaml", ONE)
    assert found == {("media", "plex", "flux-system")}


def test_lists_documents_and_line_breaks() -> None:
    files = {
        CLUSTER: elysiumrepo.kustomization("apps", "./apps", more="  targetNamespace: media\n"),
        "apps/many.yaml": yaml.safe_dump_all(
            [{"apiVersion": "v1", "kind": "List", "items": [ONE]}, TWO]
        ),
        "apps/wrapped.yaml": yaml.safe_dump(sealed("CC\nCC\n", "third")),
    }
    assert ways(files, "apps/many.yaml", ONE) == {("media", "plex", "apps")}
    assert ways(files, "apps/many.yaml", TWO) == {("media", "other", "apps")}
    assert ways(files, "apps/wrapped.yaml", sealed("CCCC")) == {("media", "third", "apps")}


def test_nothing_is_built_where_nothing_can_change_names() -> None:
    read = placement.Placement(Tree.of({"a.yaml": yaml.safe_dump(ONE)}))
    assert read.of("a.yaml", ONE) == ()
    assert read.of("a.yaml", {**ONE, "spec": {}}) == ()


def test_what_does_not_build_is_told() -> None:
    files = {
        CLUSTER: elysiumrepo.kustomization("apps", "./apps"),
        "apps/kustomization.yaml": "namespace: media\nresources: [plex.yaml, absent.yaml]\n",
        "apps/plex.yaml": yaml.safe_dump(ONE),
    }
    read = placement.Placement(Tree.of(files))
    assert read.of("apps/plex.yaml", ONE) == ()
    assert read.failed == ("apps",)


def test_where_a_new_file_would_be() -> None:
    files = {
        CLUSTER: elysiumrepo.kustomization("apps", "./apps")
        + "---\n"
        + elysiumrepo.kustomization("bare", "./bare", more="  targetNamespace: two\n"),
        "apps/kustomization.yaml": "namespace: media\n",
        "bare/x.yaml": yaml.safe_dump(TWO),
        "unused/kustomization.yaml": "namespace: media\n",
    }
    tree = Tree.of(files)

    def names(folder: str) -> list[tuple[str, str]]:
        new = {key: value for key, value in ONE.items() if key != "spec"}
        found = placement.of_new(tree, folder, new)
        return [(one.metadata["namespace"], one.by) for one in found]

    assert names("apps") == [("media", "apps")]
    assert names("bare/") == [("two", "bare")]
    assert names("unused") == []

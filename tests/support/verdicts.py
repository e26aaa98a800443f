"""What an empty cluster comes to with a small repository, for tests of verdicts."""

from __future__ import annotations

from typing import Any

from provision.gitops.build import discovery
from provision.gitops.coldstart import analysis, simulation
from provision.gitops.coldstart.needs import Analysis
from provision.gitops.tree import Tree
from tests.support.gitopsdocs import custom, many, obj

PATH = "clusters/home"
ISSUER = custom("cert-manager.io/v1:ClusterIssuer", "letsencrypt")


def look(tree: dict[str, str], cluster: simulation.Cluster | None = None, **given: Any) -> Analysis:
    """Return the analysis of the files in `tree`; `given` is as in `discovery.discover`."""
    found = discovery.discover(Tree.of(tree), PATH, **given)
    return analysis.analyse_found(found, None, cluster=cluster)


def problems(tree: dict[str, str], **given: Any) -> str:
    """Return all that keeps it from coming up."""
    found = look(tree, **given)
    assert found.verdict == "cannot come up"
    return "\n".join(map(str, [*found.problems, *(need.problem() for need in found.missing)]))


def assumed(tree: dict[str, str], **given: Any) -> dict[str, str]:
    """Return what was taken to be there, by its reference, with what may bring it."""
    found = look(tree, **given)
    assert found.verdict == "may come up", problems(tree, **given)
    return {one.ref: " ".join(one.by) for one in found.assumptions}


def operator(kind: str, name: str, **spec: Any) -> str:
    """A custom resource with its own definition beside it."""
    group, _, rest = kind.partition("/")
    version, _, bare = rest.partition(":")
    definition = obj(
        "apiextensions.k8s.io/v1:CustomResourceDefinition",
        f"x.{group}",
        spec={"group": group, "names": {"kind": bare}, "versions": [{"name": version}]},
    )
    return many(definition, custom(kind, name, "flux-system", **spec))

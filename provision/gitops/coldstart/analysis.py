"""What an empty cluster lacks for a repository: Flux' work played through, offline."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Final

from provision import errors
from provision.gitops.build import discovery, flux
from provision.gitops.coldstart import needs, play, reasons, simulation
from provision.gitops.sealing import keys as sealing_keys
from provision.gitops.tree import SUBMODULE, Tree

OBTAINABLE: Final = frozenset(["SealedSecret.bitnami.com"])
"""Definitions that can be had without the repository: from pinned releases."""


def analyse(
    tree: Tree,
    path: str,
    *,
    keys: Sequence[sealing_keys.SealingKey] | None = None,
    cluster: simulation.Cluster | None = None,
) -> needs.Analysis:
    """Return what a cold start of the cluster folder `path` needs.

    `keys` are the sealing keys at hand; None means that they will be there
    later, so that SealedSecrets count as openable unseen. Raises nothing for
    what is wrong in the repository; `needs.Analysis.check` does.
    """
    return analyse_found(discovery.discover(tree, path, keys=keys or ()), keys, cluster=cluster)


def analyse_found(
    found: discovery.Discovered,
    keys: Sequence[sealing_keys.SealingKey] | None,
    *,
    obtainable: Collection[str] = OBTAINABLE,
    cluster: simulation.Cluster | None = None,
) -> needs.Analysis:
    """Return what `analyse` does, for a repository that was built already.

    `obtainable` are the definitions (``Kind.group``) that can be installed,
    `cluster` is what the new cluster brings itself.
    """
    cluster = cluster or simulation.Cluster(release=found.rules.release)
    told = reasons.Reasons(found.units, keys, obtainable, cluster)
    played = play.Play(found, told, cluster)
    played.run()
    problems = [*found.problems, *_cycles(found), *played.problems]
    return needs.Analysis(
        kustomizations=tuple(played.order),
        needs=tuple(played.needs),
        problems=tuple(dict.fromkeys(problems)),
        assumptions=tuple(dict.fromkeys(played.assumptions)),
        notes=tuple(dict.fromkeys([*_notes(found), *played.notes])),
    )


def _cycles(found: discovery.Discovered) -> list[errors.Problem]:
    problems: list[errors.Problem] = []
    for ring in flux.cycles(unit.kustomization for unit in found.units):
        names = " -> ".join([*(str(one) for one in ring), str(ring[0])])
        problems.append(
            errors.Problem(where=ring[0].where, key="spec.dependsOn", message=f"a cycle: {names}")
        )
    return problems


def _notes(found: discovery.Discovered) -> list[str]:
    """Return what was not looked at."""
    notes = [
        f"{path} is {reason}, and was not looked at"
        for path, reason in sorted(found.left_out.items())
        if reason.startswith("larger") or reason == SUBMODULE
    ]
    if found.unconfined:
        notes.append(
            "kustomize ran without namespaces of its own; only the checks of the repository's"
            f" text kept it from other files and the network ({found.unconfined})"
        )
    return notes

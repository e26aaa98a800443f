"""What whoever brings a repository's cluster up must know of it: one look at the whole.

The repository is built once; from that come the cold start's needs, whether
the keys at hand open every SealedSecret, where the Sealed Secrets controller
will be, and whether Flux brings the GPU plugin.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Final

from provision import errors
from provision.gitops import documents
from provision.gitops.build import discovery, findings, flux
from provision.gitops.coldstart import analysis as coldstart_analysis
from provision.gitops.coldstart import decryption, gpu, needs, releases, simulation
from provision.gitops.sealing import keys as sealing_keys
from provision.gitops.sealing import sealed
from provision.gitops.tree import Tree


@dataclass(frozen=True, kw_only=True)
class Preparation:
    """What one repository means for a cluster.

    `seeds` must be there before Flux starts. `problems` keep a cold start from
    ending well: what does not build, what cannot be seeded, what no key opens.
    `notes` say what was assumed. `sealing_namespace` is where the repository
    runs the Sealed Secrets controller, empty when it does not. `clear`: no
    value that was decrypted for it is in it, but for the seeds' own objects.
    """

    seeds: tuple[needs.Need, ...] = ()
    problems: tuple[errors.Problem, ...] = ()
    notes: tuple[str, ...] = ()
    gpu_plugin: bool = False
    sealing_namespace: str = ""
    clear: bool = True


_SHORTEST: Final = 4
"""Shorter values tell nothing, and would be found anywhere."""


def prepare(
    tree: Tree,
    path: str,
    *,
    keys: Sequence[sealing_keys.SealingKey] | None,
    obtainable: Collection[str] = coldstart_analysis.OBTAINABLE,
    cluster: simulation.Cluster | None = None,
    root: flux.Root = flux.BOOTSTRAPPED,
    flux_version: str = "",
    addresses: Collection[str] = (),
    sops_keys: decryption.Keys | None = None,
) -> Preparation:
    """Look at what Flux applies for the cluster folder `path`. See `analysis.analyse_found`.

    `root`, `flux_version` and `addresses` are as in `discovery.discover`. With `keys`
    None nothing is opened, and SealedSecrets count as openable. `sops_keys` are compared with the
    recipients of what SOPS encrypted.
    """
    found = discovery.discover(
        tree, path, keys=keys or (), root=root, flux_version=flux_version, addresses=addresses
    )
    analysis = coldstart_analysis.analyse_found(found, keys, obtainable=obtainable, cluster=cluster)
    missing = analysis.missing
    problems = [*analysis.problems, *(need.problem() for need in missing)]
    if keys is not None:
        told = {need.source for need in missing}
        problems += findings.named(_closed(found.units, keys, told))
    if sops_keys is not None:
        problems += findings.named(decryption.closed(found.units, sops_keys))
    return Preparation(
        seeds=analysis.seeds,
        problems=tuple(dict.fromkeys(problems)),
        notes=(*analysis.notes, *(one.note() for one in analysis.assumptions)),
        gpu_plugin=gpu.in_units(found.units),
        sealing_namespace=_sealing_namespace(found.units),
        clear=not _tells(analysis.seeds, found.opened),
    )


def _tells(seeds: Sequence[needs.Need], opened: Collection[str]) -> bool:
    """Return whether a decrypted value is in what the seeds say, or in a manifest."""
    values = [value for value in opened if len(value) >= _SHORTEST]
    texts = [
        text
        for need in seeds
        for text in _texts(asdict(replace(need, object=None if need.sealed else need.object)))
    ]
    return any(value in text for text in texts for value in values)


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield str(key)
            yield from _texts(item)
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from _texts(item)


def _closed(
    units: Sequence[discovery.Unit],
    keys: Sequence[sealing_keys.SealingKey],
    told: Collection[str],
) -> Iterator[tuple[errors.Problem, flux.Kustomization]]:
    """Yield what no key opens, but for the SealedSecrets at the places `told`."""
    for unit in units:
        for doc in unit.objects:
            if not sealed.is_sealed(doc.obj) or doc.where in told:
                continue
            closed = sealed.closed(doc.obj, keys, where=doc.where)
            if closed and not keys:
                closed = [_no_key(doc.where)]
            yield from ((problem, unit.kustomization) for problem in closed)


def _no_key(where: str) -> errors.Problem:
    return errors.Problem(
        where=where,
        key="sealing.keys",
        message="it is sealed, and no sealing key is at hand",
        hint="give the keys of the cluster it was sealed for:"
        " elysium config set --secret sealing.keys < sealing-keys.yaml",
    )


def _sealing_namespace(units: Sequence[discovery.Unit]) -> str:
    all_ = {documents.place_of(doc.obj): doc for unit in units for doc in unit.objects}
    for unit in units:
        for doc in unit.objects:
            if not releases.brings_unsealing(doc.obj, all_):
                continue
            if releases.is_release(doc.obj):
                return releases.read(doc).target
            return documents.place_of(doc.obj)[1]
    return ""

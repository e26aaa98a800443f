"""What the repository decides about the program, looked up before it runs."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from provision import config, errors
from provision.provider.context import Context
from stacks import cache

if TYPE_CHECKING:
    from provision.gitops import documents
    from provision.gitops.build import flux
    from provision.gitops.coldstart import decryption, needs, preparation
    from provision.gitops.sealing import keys as sealing_keys
    from provision.gitops.tree import Tree

_CERTIFICATE: Final = "pub-sealed-secrets.pem"
_STUB: Final = "apiVersion: v1\nkind: Namespace\nmetadata:\n  name: {namespace}\n"


@dataclass(frozen=True, kw_only=True)
class Decisions:
    """What the repository means for the program.

    `flux_brings_gpu_plugin`: it installs Intel's device plugin itself.
    `sealing_namespace`: where its Sealed Secrets controller reads its keys.
    `sealing_certificate`: where it has the public certificate, empty for where
    the configuration says. `seeds` must be there before Flux starts;
    `problems` keep an empty cluster from coming up. `notes` say what was
    assumed.
    """

    flux_brings_gpu_plugin: bool = False
    sealing_namespace: str = "flux-system"
    sealing_certificate: str = ""
    seeds: tuple[needs.Need, ...] = ()
    problems: tuple[errors.Problem, ...] = ()
    notes: tuple[str, ...] = ()


def _unknown() -> Sequence[sealing_keys.SealingKey] | None:
    return None


@dataclass(frozen=True, kw_only=True)
class AtHand:
    """The sealing keys at hand before a cluster is asked.

    `names` stand for them in what is remembered of a repository, without
    anything being opened. `keys` returns them; None when there may be some
    that are not known yet, so that SealedSecrets count as openable unseen.
    `present` are objects that will be there, such as those of a backup.
    """

    names: tuple[str, ...] = ()
    keys: Callable[[], Sequence[sealing_keys.SealingKey] | None] = _unknown
    present: tuple[documents.Place, ...] = ()


def decide(cfg: config.Config, ctx: Context, at_hand: AtHand | None = None) -> Decisions:
    """Return what the branch head of the repository means for the program.

    What was found for a commit is remembered in the user's cache, so that an
    unchanged repository is neither read nor built again. Raises nothing for
    what is wrong in the repository: see `Decisions.problems`.
    """
    from provision.gitops import tree
    from provision.gitops.coldstart import definitions

    at_hand = at_hand or AtHand()
    repository = ctx.github()
    head = repository.start(cfg.github.branch)
    given = definitions.from_folder(cfg.flux.crds)
    sops_keys = _sops_keys(cfg)
    memory = cache.Memory.of(
        repository.slug,
        head,
        cfg.flux_path,
        [cfg.flux.namespace, cfg.flux.root_name, cfg.flux.source_name, cfg.flux.secret_name],
        cfg.flux.commit,
        [cfg.flux.version, *cfg.flux.all_components],
        "traefik" in cfg.k3s.disable,
        sorted(given),
        sorted(at_hand.names),
        [list(place) for place in at_hand.present],
        [*sops_keys.recipients, sops_keys.pgp] if sops_keys else None,
    )
    found = memory.recall()
    if found is None:
        read = tree.Tree.of(
            as_it_will_be(cfg, repository.read_tree(head)),
            left_out=repository.snapshot(head).left_out(),
        )
        found = _look(cfg, read, at_hand, sorted(given), sops_keys)
        memory.keep(found)
    return Decisions(
        flux_brings_gpu_plugin=_flux_brings_gpu_plugin(cfg, found),
        sealing_namespace=cfg.sealing.namespace or found.sealing_namespace or cfg.flux.namespace,
        sealing_certificate=_certificate(cfg, repository.snapshot(head).entries),
        seeds=tuple(_with_content(need, given, sops_keys) for need in found.seeds),
        problems=found.problems,
        notes=found.notes,
    )


def _look(
    cfg: config.Config,
    read: Tree,
    at_hand: AtHand,
    given: Sequence[str],
    sops_keys: decryption.Keys | None,
) -> preparation.Preparation:
    from provision.gitops.build import rules
    from provision.gitops.coldstart import definitions, preparation, simulation

    return preparation.prepare(
        read,
        cfg.flux_path,
        keys=at_hand.keys(),
        obtainable={*definitions.RELEASED, *given},
        cluster=simulation.Cluster(
            release=rules.release_of(cfg.flux.version),
            components=cfg.flux.all_components,
            bundled_traefik="traefik" not in cfg.k3s.disable,
            present=at_hand.present,
            decrypts=sops_keys is not None,
            secret=cfg.flux.secret_name,
        ),
        root=root_of(cfg),
        flux_version=cfg.flux.version,
        addresses=(cfg.github.git_url, cfg.github.https_url),
        sops_keys=sops_keys,
    )


def root_of(cfg: config.Config) -> flux.Root:
    """Return the names of the root Kustomization and its source."""
    from provision.gitops.build import flux

    return flux.Root(
        namespace=cfg.flux.namespace, name=cfg.flux.root_name, source=cfg.flux.source_name
    )


def as_it_will_be(cfg: config.Config, files: Mapping[str, str]) -> dict[str, str]:
    """Return the repository's files as they are when Flux starts.

    Flux' own files are committed before that. Its components need no seed and
    are big, so that a small object stands for them, unless the user's patches
    are for them.
    """
    from provision.provider.flux import repository as flux_repository
    from provision.provider.flux import sync_files

    found = dict(files)
    paths = flux_repository.Paths.of(cfg.flux_path, cfg.flux.namespace)
    stub = _STUB.format(namespace=cfg.flux.namespace)
    if cfg.flux.commit != "none":
        if not flux_repository.kustomization_of(paths.folder, found):
            found[paths.kustomization] = sync_files.kustomization(found, paths)
        found.setdefault(paths.components, stub)
        found.setdefault(paths.sync, "")
    if found.get(paths.kustomization) == sync_files.KUSTOMIZATION:
        found[paths.components] = stub
    return found


def _flux_brings_gpu_plugin(cfg: config.Config, found: preparation.Preparation) -> bool:
    if cfg.gpu is None or cfg.gpu.managed_by == "elysium":
        return False
    return cfg.gpu.managed_by == "flux" or found.gpu_plugin


def _certificate(cfg: config.Config, entries: Mapping[str, object]) -> str:
    """Return where the certificate is, when it is not where the configuration says."""
    if cfg.sealing.certificate in entries:
        return ""
    elsewhere = [path for path in entries if path.rpartition("/")[2] == _CERTIFICATE]
    return elsewhere[0] if len(elsewhere) == 1 else ""


def _sops_keys(cfg: config.Config) -> decryption.Keys | None:
    if cfg.sops.keys is None:
        return None
    from provision.gitops.coldstart import decryption

    return decryption.read(cfg.sops.keys)


def _with_content(
    need: needs.Need, given: Mapping[str, dict[str, object]], sops_keys: decryption.Keys | None
) -> needs.Need:
    """Return `need` with the content that is not kept in the cache."""
    if need.decrypts and sops_keys is not None:
        return replace(need, object=sops_keys.secret(need.name, need.namespace))
    if need.kind != "CustomResourceDefinition" or need.name not in given:
        return need
    return replace(need, object=given[need.name])


def of_configuration(cfg: config.Config) -> AtHand:
    """Return the keys that the configuration gives, for who cannot see the state."""
    from provision.gitops.sealing import keys as reading

    given = cfg.sealing.keys
    if given is None:
        return AtHand()
    text = given.reveal()
    digest = hashlib.sha256(text.encode()).hexdigest()
    return AtHand(names=(digest,), keys=lambda: reading.read_keys(text, where="sealing.keys"))

"""What the configuration asks for, compared with what the state has. Contacts nothing."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Final

from provision import config

TITLES: Final[Mapping[str, str]] = {
    "elysium:node:K3sServer": "k3s",
    "elysium:node:IntelGpu": "Intel GPU on the node",
    "elysium:node:MediaMount": "media library",
    "elysium:node:GpuCapacity": "Intel GPU in the cluster",
    "elysium:flux:GitAccess": "deploy key",
    "elysium:flux:HttpsAccess": "Git login",
    "elysium:flux:Components": "Flux controllers",
    "elysium:flux:Sync": "Flux Kustomizations",
    "elysium:secrets:SealingKey": "sealing keys",
    "elysium:secrets:Seed": "seed",
}
"""What people call each type of resource."""

_OF_THE_REPOSITORY: Final = frozenset({"elysium:secrets:Seed"})
"""Types that the repository asks for, not the configuration."""


def expected(cfg: config.Config) -> tuple[str, ...]:
    """Return the type of every resource that `cfg` asks for, in the order of an `up`."""
    wanted = ["elysium:node:K3sServer"]
    if cfg.gpu is not None:
        wanted.append("elysium:node:IntelGpu")
    if cfg.media is not None:
        wanted.append("elysium:node:MediaMount")
    if cfg.sealing.enabled:
        wanted.append("elysium:secrets:SealingKey")
    access = "GitAccess" if cfg.flux.auth == "ssh" else "HttpsAccess"
    wanted += ["elysium:flux:Components", f"elysium:flux:{access}", "elysium:flux:Sync"]
    if cfg.gpu is not None:
        wanted.append("elysium:node:GpuCapacity")
    return tuple(wanted)


def missing(cfg: config.Config, known: Collection[str]) -> tuple[str, ...]:
    """Return the types that `cfg` asks for and that are not in `known`, the state's types."""
    return tuple(type_ for type_ in expected(cfg) if type_ not in known)


def surplus(cfg: config.Config, known: Collection[str]) -> frozenset[str]:
    """Return the types in `known` that `cfg` does not ask for any more."""
    wanted = {*expected(cfg), *_OF_THE_REPOSITORY}
    return frozenset(type_ for type_ in known if type_ not in wanted)

"""What the repository decides about the program, looked up before it runs."""

from __future__ import annotations

from dataclasses import dataclass

from provision import config
from provision.provider.context import Context


@dataclass(frozen=True, kw_only=True)
class Decisions:
    """What the repository means for the program.

    `flux_brings_gpu_plugin`: it installs Intel's device plugin itself.
    `sealing_namespace`: where its Sealed Secrets controller reads its keys.
    `sealing_certificate`: where it has the public certificate, empty for where
    the configuration says.
    """

    flux_brings_gpu_plugin: bool = False
    sealing_namespace: str = "flux-system"
    sealing_certificate: str = ""


def decide(cfg: config.Config, ctx: Context) -> Decisions:
    """Return what the branch head of the repository means for the program."""
    if cfg.gpu is None or cfg.gpu.managed_by == "elysium":
        return Decisions()
    if cfg.gpu.managed_by == "flux":
        return Decisions(flux_brings_gpu_plugin=True)
    return Decisions(flux_brings_gpu_plugin=_installs_gpu_plugin(cfg, ctx))


def _installs_gpu_plugin(cfg: config.Config, ctx: Context) -> bool:
    from provision.gitops import gpu  # only where there is something to decide

    repository = ctx.github()
    head = repository.head(cfg.github.branch)
    return gpu.installs_plugin(repository.read_tree(head), cfg.flux_path)

"""What of a node may keep the cluster from working well, and stops nothing.

Facts: k3s' documentation (installation/requirements: firewalls, nm-cloud-setup;
networking/services: Traefik and ServiceLB), ufw(8), rclone's documentation of
sizes. Pure, but for the facts it asks for.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from provision.host import facts, preflight_facts

if TYPE_CHECKING:
    from provision import config

_FIREWALLD: Final = "firewalld.service"
_UFW: Final = "ufw.service"
_UFW_CONFIG: Final = "/etc/ufw/ufw.conf"
_CLOUD: Final = ("nm-cloud-setup.service", "nm-cloud-setup.timer")
_WEB: Final = (80, 443)
_INTEL: Final = "0x8086"
_VENDORS: Final = {"0x10de": "NVIDIA", "0x1002": "AMD", "0x1af4": "virtio", "0x1234": "QEMU"}

UNITS: Final = frozenset({_FIREWALLD, _UFW, *_CLOUD})
"""The units that `check` looks at."""
CONTENTS: Final = frozenset({_UFW_CONFIG})
"""The files that `check` reads."""


def ports(cfg: config.Config) -> frozenset[int]:
    """Return the ports that `check` asks about."""
    return frozenset() if {"traefik", "servicelb"} & set(cfg.k3s.disable) else frozenset(_WEB)


def disks(cfg: config.Config) -> frozenset[str]:
    """Return the folders whose disks `check` asks about."""
    return frozenset() if cfg.media is None else frozenset({cfg.media.cache_dir})


def check(found: facts.NodeFacts, cfg: config.Config) -> list[str]:
    """Return the warnings about the node, each with what to do."""
    where = f"node {cfg.server.name}"
    checks = (_firewalls, _cloud_setup, _web, _gpu, _cache)
    return [f"{where}: {said}" for one in checks for said in one(found, cfg)]


def _firewalls(found: facts.NodeFacts, cfg: config.Config) -> Iterator[str]:
    pods = str(cfg.k3s.options.get("cluster-cidr") or "10.42.0.0/16")
    services = str(cfg.k3s.options.get("service-cidr") or "10.43.0.0/16")
    if found.unit(_FIREWALLD).active == "active":
        yield (
            f"firewalld is active and may cut off pods: turn it off, or trust {pods} and {services}"
            " (firewall-cmd --permanent --zone=trusted --add-source=…) and open port 6443"
        )
    # The unit is active on every Ubuntu; its configuration says whether it does anything.
    conf = found.file(_UFW_CONFIG)
    enabled = conf is not None and re.search(
        r"^\s*ENABLED\s*=\s*[\"']?yes", conf.text, re.MULTILINE | re.IGNORECASE
    )
    if enabled and found.unit(_UFW).exists:
        yield (
            f"ufw is active and may cut off pods: turn it off (ufw disable), or allow {pods} and"
            f" {services} (ufw allow from …) and port 6443"
        )


def _cloud_setup(found: facts.NodeFacts, cfg: config.Config) -> Iterator[str]:
    on = [
        name
        for name in _CLOUD
        if found.unit(name).active in ("active", "activating")
        or found.unit(name).enabled in ("enabled", "enabled-runtime")
    ]
    if on:
        yield (
            f"{' and '.join(on)} changes routes, which breaks the network of pods:"
            f" systemctl disable --now {' '.join(_CLOUD)}, then reboot"
        )


def _web(found: facts.NodeFacts, cfg: config.Config) -> Iterator[str]:
    holders = preflight_facts.holders(found)
    for port in sorted(ports(cfg)):
        holder = holders.get(port)
        if not found.listens(port) or (holder is not None and holder.own):
            continue
        by = f" by {holder.name}" if holder is not None else ""
        yield (
            f"port {port} is taken{by}, so that Traefik is not reached there:"
            " stop it, or add traefik to k3s.disable"
        )


def _gpu(found: facts.NodeFacts, cfg: config.Config) -> Iterator[str]:
    vendors = preflight_facts.gpu_vendors(found) if cfg.gpu is not None else ()
    if vendors and _INTEL not in vendors:
        names = ", ".join(_VENDORS.get(vendor, f"vendor {vendor}") for vendor in vendors)
        yield (
            f"its GPU is not Intel's ({names}), and no other kind is set up:"
            " take 'gpu' out of the configuration"
        )


def _cache(found: facts.NodeFacts, cfg: config.Config) -> Iterator[str]:
    if cfg.media is None or cfg.media.cache_mode == "off":
        return
    disk, wanted = found.disk(cfg.media.cache_dir), size(cfg.media.cache_size)
    if disk is not None and 0 < disk.size < wanted:
        yield (
            f"media.cacheSize is {cfg.media.cache_size}, and the disk of {cfg.media.cache_dir} has"
            f" {disk.size / 2**30:.1f} GiB: set a smaller one, or media.cacheDir on another disk"
        )


def size(text: str) -> int:
    """Return a size as rclone reads it, in bytes; 0 for one without a limit or of another form.

    A number without a unit is in KiB.
    """
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([BKMGTP]?)(?:iB?)?", text.strip(), re.IGNORECASE)
    if match is None:
        return 0
    power = "BKMGTP".index(match.group(2).upper() or "K")
    return int(float(match.group(1)) * 1024**power)

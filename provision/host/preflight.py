"""What of a node would keep the cluster from coming up, told before anything changes.

Needs of k3s: its documentation (installation/requirements) and that of
Kubernetes (the kubelet refuses cgroup version 1 from 1.35 on, unless told
otherwise). Pure, but for the facts it asks for.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from provision import errors
from provision.host import facts

if TYPE_CHECKING:
    from provision import config

ARCHITECTURES = ("amd64", "arm64", "arm")
COMMANDS = ("tar", "flock", "find", "xargs", "sed", "modprobe")
PACKAGE_MANAGERS = ("apt-get", "dnf", "yum", "zypper", "pacman", "apk")
CONTROLLERS = ("cpu", "memory", "pids")

MEMORY = 512 * 2**20
DATA_NEW = 3 * 2**30
DATA_RUNNING = 512 * 2**20
BINARIES = 300 * 2**20
CLOCK = 60.0
"""Seconds by which the clocks may differ: certificates are valid from now on."""

_UNIT = "k3s.service"
_BINARY = "/usr/local/bin/k3s"
_SELINUX_POLICY = "/usr/share/selinux/packages/k3s.pp"
_DRI = "/dev/dri"
_LABEL = re.compile(r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*$")


def preflight_request(cfg: config.Config) -> facts.FactRequest:
    """Return what `check` asks of the node."""
    media = cfg.media
    return facts.FactRequest(
        files=frozenset({_BINARY, _SELINUX_POLICY, "/dev/fuse", "/dev/autofs"}),
        listings=frozenset({_DRI}) if cfg.gpu is not None else frozenset(),
        units=frozenset({_UNIT}),
        mounts=frozenset({media.mount_point}) if media is not None else frozenset(),
        commands=frozenset({*COMMANDS, *PACKAGE_MANAGERS, "fusermount3"}),
        ports=frozenset(port for port, _use in _ports(cfg)),
        disks=frozenset({_data_dir(cfg), "/usr/local/bin"}),
    )


def check(found: facts.NodeFacts, cfg: config.Config) -> list[errors.Problem]:
    """Return everything about the node that will not end well."""
    where = f"node {cfg.server.name}"
    checks = (_system, _resources, _cgroups, _ports_taken, _tools, _media, _gpu)
    return [
        errors.Problem(message=message, hint=hint, where=where, kind=kind)
        for one in checks
        for kind, message, hint in one(found, cfg)
    ]


Finding = tuple[str, str, str]
"""Kind, message, hint."""


def _system(found: facts.NodeFacts, cfg: config.Config) -> Iterator[Finding]:
    system = found.system
    if not system.systemd:
        yield (
            "no-systemd",
            f"it does not run systemd (process 1 is {system.init or 'unknown'})",
            "elysium needs a Linux with systemd; a container usually has none",
        )
    if system.arch not in ARCHITECTURES:
        yield (
            "unsupported-architecture",
            f"its architecture {system.machine} is not one that k3s is published for",
            "k3s runs on x86_64, aarch64 and armv7l",
        )
    if abs(system.clock_skew) > CLOCK:
        late = "behind" if system.clock_skew < 0 else "ahead of"
        yield (
            "clock",
            f"its clock is {abs(system.clock_skew):.0f} s {late} this machine's",
            "set it (timedatectl set-ntp true), or this machine's: certificates depend on it",
        )
    name = str(cfg.k3s.options.get("node-name") or cfg.server.name).lower()
    if not _LABEL.match(name):
        yield (
            "node-name",
            f"{name!r} cannot be the name of a Kubernetes node",
            "take letters, digits and hyphens for k3s.options.node-name",
        )
    if system.selinux == "enforcing" and found.file(_SELINUX_POLICY) is None:
        yield (
            "selinux",
            "SELinux is enforcing, and there is no policy for k3s",
            "install the package k3s-selinux on the node",
        )
    routed = {"node-ip", "flannel-iface"} & cfg.k3s.options.keys()
    if not system.default_route and not routed:
        yield (
            "no-route",
            "it has no default route, without which k3s does not find its own address",
            "add one, or set k3s.options.node-ip",
        )


def _resources(found: facts.NodeFacts, cfg: config.Config) -> Iterator[Finding]:
    if 0 < found.system.memory < MEMORY:
        yield (
            "too-little-memory",
            f"it has {_size(found.system.memory)} of memory, and k3s needs {_size(MEMORY)}",
            "2 GiB and more are comfortable",
        )
    fresh = found.file(_BINARY) is None
    data = DATA_NEW if fresh else DATA_RUNNING
    for path, needed in ((_data_dir(cfg), data), ("/usr/local/bin", BINARIES)):
        disk = found.disk(path)
        if disk is not None and disk.free < needed:
            yield (
                "too-little-disk",
                f"only {_size(disk.free)} are free for {path}, and {_size(needed)} are needed",
                "make room, or move k3s' data with k3s.options.data-dir",
            )


def _cgroups(found: facts.NodeFacts, cfg: config.Config) -> Iterator[Finding]:
    system = found.system
    missing = [name for name in CONTROLLERS if name not in system.controllers]
    if missing:
        yield (
            "cgroup-controllers",
            f"the cgroup controllers {', '.join(missing)} are off",
            "on a Raspberry Pi add 'cgroup_memory=1 cgroup_enable=memory' to the kernel's "
            "command line (/boot/firmware/cmdline.txt) and reboot",
        )
    minor = int(cfg.k3s.version.split(".")[1])
    arguments = " ".join(str(a) for a in _list(cfg.k3s.options.get("kubelet-arg")))
    if not system.cgroup2 and minor >= 35 and "fail-cgroupv1=false" not in arguments:
        yield (
            "cgroup-v1",
            f"it uses cgroup version 1, with which the kubelet of {cfg.k3s.version} does not start",
            "boot with systemd.unified_cgroup_hierarchy=1, or set k3s.options.kubelet-arg "
            "to [fail-cgroupv1=false]",
        )


def _ports_taken(found: facts.NodeFacts, cfg: config.Config) -> Iterator[Finding]:
    if found.unit(_UNIT).active in ("active", "activating", "reloading"):
        return  # they are k3s' own
    for port, use in _ports(cfg):
        if found.listens(port):
            yield (
                "port-taken",
                f"port {port}, which k3s needs for {use}, is taken",
                f"see what it is: ss -ltnp 'sport = {port}'; another Kubernetes must go first",
            )


def _tools(found: facts.NodeFacts, cfg: config.Config) -> Iterator[Finding]:
    missing = [name for name in COMMANDS if found.command(name) is None]
    if missing:
        yield (
            "commands-missing",
            f"the commands {', '.join(missing)} are missing",
            "install them: tar, util-linux, findutils, sed, kmod",
        )


def _media(found: facts.NodeFacts, cfg: config.Config) -> Iterator[Finding]:
    if cfg.media is None:
        return
    managers = any(found.command(name) for name in PACKAGE_MANAGERS)
    if found.command("fusermount3") is None and not managers:
        yield (
            "no-fusermount",
            "fusermount3 is missing, and there is no package manager to get it with",
            "install fuse3 on the node by hand",
        )
    known = found.system.filesystems | found.system.modules
    for device, name in (("/dev/fuse", "fuse"), ("/dev/autofs", "autofs")):
        if found.file(device) is None and not any(entry.startswith(name) for entry in known):
            yield (
                "no-kernel-module",
                f"its kernel has no {name}, which the media library is mounted with",
                f"load it (modprobe {name}), or take a kernel that has it",
            )
    there = found.mount(cfg.media.mount_point)
    if there is not None and not there.fstype.startswith("fuse"):
        yield (
            "mount-point-taken",
            f"{cfg.media.mount_point} already is the mount point of {there.source}",
            "set media.mountPoint to a folder of its own",
        )


def _gpu(found: facts.NodeFacts, cfg: config.Config) -> Iterator[Finding]:
    if cfg.gpu is None:
        return
    nodes = found.listing(_DRI) or ()
    if not any(name.startswith("renderD") for name in nodes):
        yield (
            "no-gpu",
            f"there is no GPU: {_DRI} has no render node",
            "load its driver (modprobe i915, or xe) and look at its firmware; "
            "without a GPU, take 'gpu' out of the configuration",
        )


def _ports(cfg: config.Config) -> tuple[tuple[int, str], ...]:
    """Return the ports of a server and what each is for."""
    api = int(cfg.k3s.options.get("https-listen-port") or 6443)
    ports = [(api, "the Kubernetes API"), (10250, "the kubelet")]
    if cfg.k3s.datastore == "etcd":
        ports += [(2379, "etcd"), (2380, "etcd")]
    return tuple(ports)


def _data_dir(cfg: config.Config) -> str:
    return str(cfg.k3s.options.get("data-dir") or "/var/lib/rancher/k3s")


def _list(value: Any) -> list[Any]:
    if value is None:
        return []
    return list(value) if isinstance(value, (list, tuple)) else [value]


def _size(size: int) -> str:
    return f"{size / 2**30:.1f} GiB" if size >= 2**30 else f"{size // 2**20} MiB"

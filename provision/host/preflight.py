"""What of a node would keep the cluster from coming up, told before anything changes.

Needs of k3s: its documentation (installation/requirements), its source
(pkg/cgroups, and the ports of pkg/daemons/control), its install script, and the
documentation of Kubernetes (the kubelet refuses cgroup version 1 from 1.35 on,
unless told otherwise). Pure, but for the facts it asks for.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from provision import errors
from provision.host import facts, preflight_facts, preflight_warnings

if TYPE_CHECKING:
    from provision import config

ARCHITECTURES = ("amd64", "arm64", "arm")
COMMANDS = ("tar", "flock", "find", "xargs", "awk", "mktemp", "modprobe")
PACKAGE_MANAGERS = ("apt-get", "dnf", "yum", "zypper", "pacman", "apk")
CONTROLLERS = {True: ("cpu", "cpuset", "memory"), False: ("memory",)}
"""The controllers without which k3s does not start, with cgroup version 2 and with version 1."""

MEMORY = 512 * 2**20
DATA_NEW = 3 * 2**30
DATA_RUNNING = 512 * 2**20
BINARIES = 300 * 2**20
CLOCK = 60.0
"""Seconds by which the clocks may differ: certificates are valid from now on."""

_UNIT = "k3s.service"
_BINARIES = "/usr/local/bin"
_BINARY = f"{_BINARIES}/k3s"
_RCLONE = f"{_BINARIES}/rclone"
_USR = "/usr"
_FALLBACK = "/opt/bin"
"""The folder for programs where the other one is read-only, as in k3s' install script."""
_SELINUX_POLICY = "/usr/share/selinux/packages/k3s.pp"
_DRI = "/dev/dri"
_LABEL = re.compile(r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*$")


def preflight_request(cfg: config.Config) -> facts.FactRequest:
    """Return what `check` asks of the node."""
    media = cfg.media
    ports = frozenset(port for port, _use in _ports(cfg)) | preflight_warnings.ports(cfg)
    return facts.FactRequest(
        files=frozenset(
            {_BINARY, f"{_FALLBACK}/k3s", _FALLBACK, _SELINUX_POLICY, "/dev/fuse", "/dev/autofs"}
        )
        | (frozenset({_RCLONE}) if media is not None else frozenset()),
        contents=preflight_warnings.CONTENTS,
        listings=frozenset({_DRI}) if cfg.gpu is not None else frozenset(),
        units=frozenset({_UNIT}) | preflight_warnings.UNITS,
        mounts=frozenset({media.mount_point}) if media is not None else frozenset(),
        commands=frozenset({*COMMANDS, *PACKAGE_MANAGERS, "fusermount3"}),
        ports=ports,
        disks=frozenset({_data_dir(cfg), _BINARIES, _FALLBACK}) | preflight_warnings.disks(cfg),
        snippets=frozenset(
            {
                preflight_facts.holders_snippet(ports),
                preflight_facts.mounts_snippet(
                    (_data_dir(cfg), _BINARIES, _FALLBACK, *((_USR,) if media else ()))
                ),
                *((preflight_facts.gpus_snippet(),) if cfg.gpu is not None else ()),
            }
        ),
    )


def check(found: facts.NodeFacts, cfg: config.Config) -> list[errors.Problem]:
    """Return everything about the node that will not end well."""
    where = f"node {cfg.server.name}"
    checks = (_system, _resources, _folders, _cgroups, _ports_taken, _tools, _media, _gpu)
    return [
        errors.Problem(message=message, hint=hint, where=where, kind=kind)
        for one in checks
        for kind, message, hint in one(found, cfg)
    ]


_COMPONENTS = {
    10248: "the kubelet's health",
    10249: "the metrics of kube-proxy",
    10250: "the kubelet",
    10256: "the health of kube-proxy",
    10257: "the controller manager",
    10258: "the cloud controller manager",
    10259: "the scheduler",
}


def sessions(cfg: config.Config, *, one: bool) -> list[errors.Problem]:
    """Return why no change can be made through an SSH server that allows `one` session only."""
    if not one:
        return []
    return [
        errors.Problem(
            message="its SSH server allows one session at a time (MaxSessions 1), and a change"
            " needs two: one holds the node's lock",
            hint=max_sessions(cfg.server.host),
            where=f"node {cfg.server.name}",
            kind="max-sessions",
        )
    ]


def max_sessions(host: str) -> str:
    """Return how the limit is raised."""
    return (
        f"set 'MaxSessions 10' in /etc/ssh/sshd_config on {host} (look at sshd_config.d and Match"
        " too) and reload its SSH server"
    )


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
    fresh = _installed(found) is None
    data = DATA_NEW if fresh else DATA_RUNNING
    for path, needed in ((_data_dir(cfg), data), (_programs(found), BINARIES)):
        disk = found.disk(path)
        if disk is not None and disk.free < needed:
            yield (
                "too-little-disk",
                f"only {_size(disk.free)} are free for {path}, and {_size(needed)} are needed",
                "make room, or move k3s' data with k3s.options.data-dir",
            )


def _folders(found: facts.NodeFacts, cfg: config.Config) -> Iterator[Finding]:
    data, programs = _data_dir(cfg), _programs(found)
    moves = "or move k3s' data with k3s.options.data-dir"
    if "noexec" in preflight_facts.mount_options(found, data):
        yield (
            "noexec",
            f"{data} is on a file system with noexec, and k3s runs programs from there",
            f"mount it without noexec, {moves}",
        )
    if "noexec" in preflight_facts.mount_options(found, programs):
        yield (
            "noexec",
            f"{programs} is on a file system with noexec, and k3s is a program there",
            "mount it without noexec",
        )
    if "ro" in preflight_facts.mount_options(found, data):
        yield (
            "read-only",
            f"{data} is on a file system that is mounted read-only",
            f"mount it for writing, {moves}",
        )
    if _installed(found) is None and "ro" in preflight_facts.mount_options(found, programs):
        yield (
            "read-only",
            f"{_BINARIES} is read-only, and {_FALLBACK} cannot be used instead",
            f"make {_FALLBACK} a folder on a file system that is mounted for writing",
        )


def _installed(found: facts.NodeFacts) -> str | None:
    """Return the folder that has k3s, None where none has."""
    there = (path for path in (_BINARIES, _FALLBACK) if found.file(f"{path}/k3s") is not None)
    return next(there, None)


def _programs(found: facts.NodeFacts) -> str:
    """Return the folder that has k3s, or that k3s is put into."""
    installed = _installed(found)
    if installed is not None:
        return installed
    return _FALLBACK if _read_only(found, _BINARIES) and _fallback(found) else _BINARIES


def _fallback(found: facts.NodeFacts) -> bool:
    """Return whether programs can be put into the second folder."""
    folder = found.file(_FALLBACK)
    usable = folder is not None and folder.kind in ("directory", "link")
    return usable and not _read_only(found, _FALLBACK)


def _read_only(found: facts.NodeFacts, folder: str) -> bool:
    return "ro" in preflight_facts.mount_options(found, folder)


def _cgroups(found: facts.NodeFacts, cfg: config.Config) -> Iterator[Finding]:
    system = found.system
    missing = [name for name in CONTROLLERS[system.cgroup2] if name not in system.controllers]
    if missing:
        yield (
            "cgroup-controllers",
            f"the cgroup controllers {', '.join(missing)} are off",
            "in a container, have its host delegate them; "
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
    """Name the ports that another program holds, also where k3s tries to start without them."""
    runs = found.unit(_UNIT).active in ("active", "activating", "reloading")
    holders = preflight_facts.holders(found)
    for port, use in _ports(cfg):
        holder = holders.get(port)
        if not found.listens(port) or (holder.own if holder is not None else runs):
            continue
        yield (
            "port-taken",
            f"port {port}, which k3s needs for {use}, is taken"
            + (f" by {holder.name}" if holder is not None else ""),
            f"see what it is: ss -ltnp 'sport = {port}'; another Kubernetes must go first",
        )


def _tools(found: facts.NodeFacts, cfg: config.Config) -> Iterator[Finding]:
    missing = [name for name in COMMANDS if found.command(name) is None]
    if missing:
        yield (
            "commands-missing",
            f"the commands {', '.join(missing)} are missing",
            "install them: tar, util-linux, findutils, gawk or mawk, coreutils, kmod",
        )


def _media(found: facts.NodeFacts, cfg: config.Config) -> Iterator[Finding]:
    if cfg.media is None:
        return
    if found.command("fusermount3") is None:
        managers = any(found.command(name) for name in PACKAGE_MANAGERS)
        if not managers or _read_only(found, _USR):
            why = f"{_USR} is read-only" if managers else "there is no package manager"
            yield (
                "no-fusermount",
                f"fusermount3 is missing, and {why}: it cannot be installed",
                "put fuse3 into the node's image, or install it by hand",
            )
    known = found.system.filesystems | found.system.modules
    for device, name in (("/dev/fuse", "fuse"), ("/dev/autofs", "autofs")):
        if found.file(device) is None and not any(entry.startswith(name) for entry in known):
            yield (
                "no-kernel-module",
                f"its kernel has no {name}, which the media library is mounted with",
                f"load it (modprobe {name}), or take a kernel that has it",
            )
    yield from _rclone(found)
    there = found.mount(cfg.media.mount_point)
    if there is not None and not there.fstype.startswith("fuse"):
        yield (
            "mount-point-taken",
            f"{cfg.media.mount_point} already is the mount point of {there.source}",
            "set media.mountPoint to a folder of its own",
        )


def _rclone(found: facts.NodeFacts) -> Iterator[Finding]:
    """Judge the folder that rclone goes into: the second one where the first is read-only."""
    if found.file(_RCLONE) is not None or not _read_only(found, _BINARIES):
        return
    if _fallback(found):
        told = _programs(found) == _FALLBACK
        if "noexec" in preflight_facts.mount_options(found, _FALLBACK) and not told:
            yield (
                "noexec",
                f"{_FALLBACK} is on a file system with noexec, and rclone is a program there",
                "mount it without noexec",
            )
    elif _installed(found) is not None:  # else it is said of k3s
        yield (
            "read-only",
            f"{_BINARIES} is read-only, and {_FALLBACK} cannot be used instead for rclone, which"
            " mounts the media library",
            f"make {_FALLBACK} a folder on a file system that is mounted for writing, or take"
            " 'media' out of the configuration",
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
    ports = [(api, "the Kubernetes API"), (api + 1, "the API server behind it")]
    ports += [(10010, "containerd's streams")]
    ports += [(port, _COMPONENTS.get(port, "Kubernetes")) for port in range(10248, 10260)]
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

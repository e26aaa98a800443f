"""The node's root file system: a minimal Debian as a fresh node has it.

Built once with debootstrap and kept in the cache under a key made from its
whole definition; each sandbox puts its own changes over it. No host keys, no
machine id, no passwords: those are made for each node.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import shutil
from pathlib import Path

from provision import errors, progress
from provision.sandbox import files, jobs, model, mounts

SUITE = "bookworm"
# fuse3 is here because a node without a network cannot install it; the packages of the
# firewall and of the container runtime for the programs that k3s brings (`K3S_PROGRAMS`), and
# busybox for the image of that name.
PACKAGES = (
    *("busybox-static", "ca-certificates", "containerd", "containernetworking-plugins", "dbus"),
    *("fuse3", "iproute2", "ipset", "iptables", "kmod", "nftables", "openssh-server", "procps"),
    *("runc", "sudo", "systemd", "systemd-sysv", "udev"),
)
K3S_PROGRAMS = "/usr/lib/elysium-sandbox"
"""Programs that the k3s stand-in unpacks into its data folder; the node has no others of them."""
_FIREWALL = ("xtables-nft-multi", "xtables-legacy-multi", "ipset", "nft")
_RUNTIME = ("bin/busybox", "bin/containerd", "bin/containerd-shim-runc-v2", "bin/ctr", "sbin/runc")
_NETWORK_PLUGINS = ("bridge", "host-local", "loopback", "portmap")
USERS = (
    model.User(name="ops", sudo="passwordless"),
    model.User(name="opspw", sudo="password"),
    model.User(name="guest", sudo="none"),
)
# Jobs that need a network, or a disk of their own, and only fail in here.
_MASKED = (
    *("apt-daily.timer", "apt-daily-upgrade.timer", "e2scrub_all.timer", "e2scrub_reap.service"),
    "fstrim.timer",
)
_STAGES = ("retrieving", "extracting", "unpacking", "configuring")  # in debootstrap's words
_REVISION = 4  # raise when `_customise` changes


def key() -> str:
    """Return what names this root file system in the cache."""
    users = [user.model_dump() for user in USERS]
    definition = [SUITE, PACKAGES, users, _MASKED, _REVISION, platform.machine()]
    return hashlib.sha256(json.dumps(definition).encode()).hexdigest()[:16]


def folder() -> Path:
    """Return where the finished root file system is, or will be."""
    return files.cache_root() / f"rootfs-{key()}"


def ensure(say: progress.Progress = progress.silent) -> Path:
    """Return the folder of the finished root file system; build it when it is missing.

    Raises:
        errors.ElysiumError: when debootstrap fails, with the end of its output.
    """
    done = folder()
    if done.exists():
        return done
    with files.locked(done.with_suffix(".lock"), what="building the root file system", say=say):
        if done.exists():
            return done
        building = done.with_name(f".building-{done.name}")
        mounts.remove_tree(building)
        building.mkdir(parents=True)
        building.chmod(0o755)
        _debootstrap(building, say)
        _customise(building)
        mounts.unmount_below(building)
        os.sync()
        building.rename(done)
    return done


def _debootstrap(target: Path, say: progress.Progress) -> None:
    argv = (
        *("debootstrap", "--variant=minbase", f"--include={','.join(PACKAGES)}"),
        *(SUITE, str(target)),
    )
    reached = -1

    def show(line: str) -> None:
        nonlocal reached
        word = line.removeprefix("I: ").split(" ", 1)[0].lower()
        if line.startswith("I: ") and word in _STAGES and _STAGES.index(word) > reached:
            reached = _STAGES.index(word)
            say(f"root file system: {word} packages")

    try:
        jobs.run(argv, what=f"Making a Debian {SUITE}", timeout=1800, each_line=show)
    except jobs.Cancelled:
        raise
    except errors.ElysiumError as error:
        raise errors.ElysiumError(
            error.summary,
            detail=error.detail,
            hint="debootstrap needs Debian's package mirror; behind a proxy set http_proxy.",
        ) from error


def _customise(root: Path) -> None:
    """Make users and take out what must differ from node to node."""
    for path in (root / "etc/ssh").glob("ssh_host_*"):
        path.unlink()
    (root / "etc/machine-id").write_text("")
    (root / "etc/resolv.conf").unlink(missing_ok=True)
    (root / "etc/resolv.conf").write_text("# a node of a sandbox has no name server\n")
    (root / "etc/default/locale").write_text("")  # pam_env complains where there is none
    for unit in _MASKED:
        link = root / "etc/systemd/system" / unit
        link.unlink(missing_ok=True)
        link.symlink_to("/dev/null")
    for archive in (root / "var/cache/apt/archives").glob("*.deb"):
        archive.unlink()
    _hide_firewall_programs(root)
    _hide_container_runtime(root)
    for user in USERS:
        groups = ("--groups", "sudo") if user.sudo == "password" else ()
        _inside(root, "useradd", "--create-home", "--shell", "/bin/bash", *groups, user.name)
        if user.sudo == "passwordless":
            rule = root / "etc/sudoers.d" / user.name
            rule.write_text(f"{user.name} ALL=(ALL:ALL) NOPASSWD: ALL\n")
            rule.chmod(0o440)


def _hide_firewall_programs(root: Path) -> None:
    """Leave the node without a firewall's programs, as many are: k3s brings its own."""
    folder = root / K3S_PROGRAMS.lstrip("/")
    folder.mkdir()
    sbin = root / "usr/sbin"
    for name in _FIREWALL:
        (sbin / name).rename(folder / name)
    for pattern in ("*tables*", "ipset*"):
        for path in (*sbin.glob(pattern), *(root / "usr/bin").glob(pattern)):
            path.unlink()


def _hide_container_runtime(root: Path) -> None:
    """Leave the node without a container runtime, as k3s finds it: it brings its own."""
    folder = root / K3S_PROGRAMS.lstrip("/")
    for name in _RUNTIME:
        (root / "usr" / name).rename(folder / Path(name).name)
    plugins = root / "usr/lib/cni"
    for name in _NETWORK_PLUGINS:
        (plugins / name).rename(folder / name)
    shutil.rmtree(plugins)
    for pattern in ("bin/containerd*", "bin/runc"):
        for path in (root / "usr").glob(pattern):
            path.unlink()
    for pattern in ("containerd.service", "cni-dhcp.*"):
        for path in (root / "lib/systemd/system").glob(pattern):
            path.unlink()
        for path in (root / "etc/systemd/system").rglob(pattern):
            path.unlink()
    shutil.rmtree(root / "etc/containerd", ignore_errors=True)


def _inside(root: Path, *argv: str) -> None:
    jobs.run(("chroot", str(root), *argv), what="Preparing the node's root file system")

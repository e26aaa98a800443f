"""What a machine needs before a sandbox can run on it; missing packages are installed."""

from __future__ import annotations

import contextlib
import os
import platform
import shutil
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from provision import errors, progress
from provision.sandbox import jobs, processes

# What is run on this machine, and the Debian package it is in.
PROGRAMS: Mapping[str, str] = {
    "systemd-nspawn": "systemd-container",
    "debootstrap": "debootstrap",
    "ip": "iproute2",
    "git": "git",
    "ssh": "openssh-client",
    "ssh-keygen": "openssh-client",
    "sshd": "openssh-server",
}
DEVICES: Mapping[str, str] = {"/dev/fuse": "fuse", "/dev/autofs": "autofs4"}
MACHINES = ("x86_64", "aarch64")
KERNEL_LOG = Path("/dev/kmsg")
CONTROLLERS = ("cpu", "cpuset", "memory", "pids")
"""The controllers of cgroups without which no kubelet starts."""
INOTIFY_LIMIT = Path("/proc/sys/fs/inotify/max_user_instances")
INOTIFY_INSTANCES = 32
"""What the programs of one node take (26), and some room. Each user has so many, root too."""
_CGROUP_HINT = "systemd mounts one; a container must be given one that it can write"
_SYSTEM_FOLDERS = "/usr/sbin:/sbin:/usr/local/sbin:/usr/bin:/bin"


def find_program(name: str) -> str | None:
    """Return the path of the program `name`, also where only root's PATH has it."""
    return shutil.which(name, path=f"{os.environ.get('PATH', '')}:{_SYSTEM_FOLDERS}")


def missing_packages(present: Iterable[str]) -> tuple[str, ...]:
    """Return the Debian packages of the programs that are not among `present`."""
    there = set(present)
    return tuple(sorted({package for name, package in PROGRAMS.items() if name not in there}))


def ensure(say: progress.Progress = progress.silent) -> None:
    """Check this machine, and install the Debian packages that are missing.

    Raises:
        errors.PreflightError: with everything that is in the way.
    """
    check()
    missing = missing_packages(name for name in PROGRAMS if find_program(name))
    if missing:
        _install(missing, say)


def check() -> None:
    """Check what no package brings: the system, root, cgroups, devices.

    Raises:
        errors.PreflightError: with everything that is in the way.
    """
    if problems := _problems():
        raise errors.PreflightError("This machine cannot run a sandbox.", problems)


def _problems() -> list[errors.Problem]:
    if sys.platform != "linux":
        message = f"a sandbox needs Linux, and this is {platform.system()}"
        return [errors.Problem(message=message, hint="use a Linux machine or a virtual one")]
    found: list[errors.Problem] = []
    if os.geteuid() != 0:
        found.append(
            errors.Problem(
                message="a sandbox needs root, for namespaces and mounts",
                hint="run the same command with sudo",
            )
        )
    if platform.machine() not in MACHINES:
        message = f"no sandbox for {platform.machine()}: its parts exist for {', '.join(MACHINES)}"
        found.append(errors.Problem(message=message))
    mounts = processes.cgroup_mounts()
    if not mounts or not (mounts[0] / "cgroup.procs").exists():
        message = "no cgroup version 2 file system is mounted"
        found.append(errors.Problem(message=message, hint=_CGROUP_HINT))
    elif not os.access(mounts[0], os.W_OK) and os.geteuid() == 0:
        message = f"the cgroup file system at {mounts[0]} cannot be written"
        found.append(errors.Problem(message=message, hint=_CGROUP_HINT))
    if (problem := controllers_problem(mounts)) is not None:
        found.append(problem)
    found += [problem for device in DEVICES if (problem := _device_problem(device))]
    if not KERNEL_LOG.exists():
        message = f"{KERNEL_LOG} is missing, which a kubelet reads"
        hint = f"a container must be given it; inside: mknod {KERNEL_LOG} c 1 11"
        found.append(errors.Problem(message=message, hint=hint))
    return found


def controllers_problem(
    mounts: Sequence[Path], enabled_file: Path = Path("/proc/cgroups")
) -> errors.Problem | None:
    """Return which controllers a kubelet misses here, in cgroups of version 2 and 1 alike.

    `mounts` are where hierarchies are mounted; None is also the answer where
    none is, which is another problem.
    """
    if not mounts:
        return None
    there: set[str] = set()
    with contextlib.suppress(OSError):
        there.update((mounts[0] / "cgroup.controllers").read_text().split())
    with contextlib.suppress(OSError):
        for line in enabled_file.read_text().splitlines():
            name, hierarchy, _, enabled = line.split()
            if not name.startswith("#") and hierarchy != "0" and enabled == "1":
                there.add(name)
    missing = [name for name in CONTROLLERS if name not in there]
    if not missing:
        return None
    return errors.Problem(
        message=f"the cgroup controllers {', '.join(missing)} are off, which a kubelet needs",
        hint="a container must have them delegated by its host; elsewhere boot with"
        " cgroup_enable=memory",
    )


def check_room() -> None:
    """Check that one more node can run beside what runs now.

    Raises:
        errors.PreflightError: with the limit in the way, and how to raise it.
    """
    if problem := inotify_problem():
        raise errors.PreflightError("This machine cannot run one more sandbox.", [problem])


def inotify_problem(
    limit_file: Path = INOTIFY_LIMIT, proc: Path = Path("/proc")
) -> errors.Problem | None:
    """Return what is wrong when root has too few inotify instances left for a node."""
    try:
        limit = int(limit_file.read_text())
    except (OSError, ValueError):
        return None  # a kernel without the limit
    used = _inotify_instances(proc)
    if limit - used >= INOTIFY_INSTANCES:
        return None
    return errors.Problem(
        message=f"a node needs {INOTIFY_INSTANCES} inotify instances, and of the"
        f" {limit} of fs.inotify.max_user_instances {used} are in use",
        hint=f"sysctl -w fs.inotify.max_user_instances={max(8192, 2 * limit)}",
    )


def _inotify_instances(proc: Path) -> int:
    """Return how many inotify instances root's processes have open."""
    count = 0
    for folder in proc.glob("[0-9]*/fd"):
        with contextlib.suppress(OSError):  # a process may end meanwhile
            if folder.stat().st_uid != 0:
                continue
            for number in folder.iterdir():
                with contextlib.suppress(OSError):
                    count += number.readlink() == Path("anon_inode:inotify")
    return count


def _device_problem(device: str) -> errors.Problem | None:
    if not Path(device).exists() and os.geteuid() == 0:
        modprobe = find_program("modprobe")
        if modprobe:
            with contextlib.suppress(errors.ElysiumError):  # what counts is the device
                jobs.run((modprobe, DEVICES[device]), what=f"Loading {DEVICES[device]}")
    if Path(device).exists():
        return None
    return errors.Problem(
        message=f"{device} is missing", hint=f"modprobe {DEVICES[device]}, or another kernel"
    )


def _install(packages: tuple[str, ...], say: progress.Progress) -> None:
    names = " ".join(packages)
    hint = f"Install them by hand: {names}"
    if not find_program("apt-get"):
        raise errors.PreflightError(
            "This machine cannot run a sandbox.",
            [errors.Problem(message=f"programs of these Debian packages are missing: {names}")],
            hint="Install your distribution's packages of the same programs: "
            + ", ".join(sorted(name for name in PROGRAMS if not find_program(name))),
        )
    say(f"installing Debian packages: {names}")
    if "openssh-server" in packages:
        # The sandbox runs an sshd of its own; the machine must not get one by the way.
        _mask("ssh.service")
        _mask("ssh.socket")
        say("the SSH service of this machine stays off (systemctl unmask ssh.service turns it on)")
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    try:
        for arguments in (
            ("update", "--quiet"),
            ("install", "--quiet", "--yes", "--no-install-recommends", *packages),
        ):
            jobs.run(
                ("apt-get", *arguments),
                what="Installing Debian packages",
                timeout=900,
                environment=environment,
            )
    except jobs.Cancelled:
        raise
    except errors.ElysiumError as error:
        raise errors.ElysiumError(error.summary, detail=error.detail, hint=hint) from error


def _mask(unit: str) -> None:
    link = Path("/etc/systemd/system") / unit
    if link.parent.is_dir() and not link.exists() and not link.is_symlink():
        link.symlink_to("/dev/null")

"""The tools that elysium is compared with, installed from a lock with hashes.

They get a venv of their own below the user's cache, made once for each lock.
ansible also needs a Python on the node: Debian's packages, fetched by debootstrap
as the sandbox's root file system was, are installed there before anything is
measured.
"""

from __future__ import annotations

import hashlib
import io
import os
import pathlib
import subprocess
import sys
import tarfile
import venv
from collections.abc import Callable
from dataclasses import dataclass

import platformdirs

from provision.sandbox import model, node, rootfs

LOCK = pathlib.Path(__file__).with_name("requirements.lock")
Say = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class Peers:
    """Where the peers' programs are; `problem` says why there are none."""

    bin: pathlib.Path
    problem: str = ""


def cache() -> pathlib.Path:
    """Return the folder of what the benchmark keeps between runs."""
    return pathlib.Path(platformdirs.user_cache_dir("elysium")) / "bench"


def ensure(say: Say) -> Peers:
    """Return the peers' venv, made when there is none for this lock and this Python."""
    key = hashlib.sha256(LOCK.read_bytes() + sys.version.encode()).hexdigest()[:16]
    folder = cache() / f"peers-{key}"
    done = folder / ".done"
    if not done.exists():
        say("installing pyinfra, ansible-core and flux-local into a venv of their own")
        try:
            venv.create(folder, with_pip=True, clear=True, symlinks=True)
            _run(
                *(str(folder / "bin/pip"), "install", "--quiet", "--require-hashes"),
                *("--disable-pip-version-check", "-r", str(LOCK)),
            )
        except (OSError, subprocess.CalledProcessError) as error:
            return Peers(bin=folder / "bin", problem=f"cannot be installed: {_said(error)}")
        done.touch()
    return Peers(bin=folder / "bin")


def give_python(where: model.Node, say: Say) -> str:
    """Install Debian's python3 on the node; return why not, empty when it is there."""
    if node.run(where, "python3 --version").returncode == 0:
        return ""
    folder = cache() / f"python-{rootfs.SUITE}"
    archives = folder / "var/cache/apt/archives"
    if not (folder / ".done").exists():
        say("fetching Debian's python3 for the node, which ansible needs")
        try:
            _run(
                *("debootstrap", "--download-only", "--variant=minbase", "--include=python3"),
                *(rootfs.SUITE, str(folder)),
            )
        except (OSError, subprocess.CalledProcessError) as error:
            return f"no Python on the node: {_said(error)}"
        (folder / ".done").touch()
    with io.BytesIO() as buffer:
        with tarfile.open(fileobj=buffer, mode="w") as tar:
            for package in sorted(archives.glob("*.deb")):
                tar.add(package, package.name)
        # Only what the node has not in this version; no questions. dpkg does not put
        # archives in order: those that need others configured first go in next time.
        script = (
            "set -e; cd $(mktemp -d); tar -xf -; export DEBIAN_FRONTEND=noninteractive\n"
            "for go in 1 2 3 4 last; do dpkg -iE *.deb >dpkg.log 2>&1 && break\n"
            '[ "$go" != last ] || { tail -1 dpkg.log >&2; exit 1; }; done\n'
            'python3 --version; rm -rf "$PWD"'
        )
        done = subprocess.run(
            node.ssh_argv(where, script),
            input=buffer.getvalue(),
            capture_output=True,
            timeout=600,
            check=False,
        )
    if done.returncode != 0:
        return f"no Python on the node: {done.stderr.decode('utf-8', 'replace').strip()[-200:]}"
    return ""


def environment(home: pathlib.Path) -> dict[str, str]:
    """Return the environment of every measured program: the user's settings left out."""
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "LC_ALL": "C.UTF-8",
        "PYTHONPATH": str(pathlib.Path(__file__).parents[2]),
    }


def ansible_environment(
    home: pathlib.Path, known_hosts: pathlib.Path, sockets: pathlib.Path
) -> dict[str, str]:
    """Return the environment of ansible: pipelining, and a shared connection of its own."""
    options = (
        "-F none -o ControlMaster=auto -o ControlPersist=60s -o StrictHostKeyChecking=yes "
        f"-o UserKnownHostsFile={known_hosts}"
    )
    return environment(home) | {
        "ANSIBLE_PIPELINING": "1",
        "ANSIBLE_SSH_ARGS": options,
        "ANSIBLE_SSH_CONTROL_PATH_DIR": str(sockets),
        "ANSIBLE_PYTHON_INTERPRETER": "/usr/bin/python3",
        "ANSIBLE_NOCOLOR": "1",
        "ANSIBLE_DEPRECATION_WARNINGS": "0",
    }


def end_masters(sockets: pathlib.Path) -> None:
    """End the shared connections ansible left, so that its next run starts like any other."""
    for socket in sockets.iterdir():
        subprocess.run(
            ["ssh", "-F", "none", "-o", f"ControlPath={socket}", "-O", "exit", "any"],
            capture_output=True,
            check=False,
        )


def _run(*argv: str) -> None:
    environ = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    subprocess.run(argv, check=True, capture_output=True, text=True, env=environ, timeout=900)


def _said(error: OSError | subprocess.CalledProcessError) -> str:
    if isinstance(error, subprocess.CalledProcessError):
        lines = str(error.stderr or error.stdout or "").strip().splitlines()
        return lines[-1][:120] if lines else f"status {error.returncode}"
    return str(error)

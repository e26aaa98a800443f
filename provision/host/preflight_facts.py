"""What preflight asks of a node beyond the plain facts: snippets, and how their output reads. Pure.

Each snippet prints lines of words and nothing for what it cannot tell.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from provision.host import facts, scripts

HOLDERS: Final = "port-holders"
MOUNTS: Final = "mount-options"
GPUS: Final = "gpu-vendors"


@dataclass(frozen=True, kw_only=True)
class Holder:
    """A process that listens on a port. `own`: it belongs to k3s or runs in the cluster."""

    name: str
    own: bool


def holders_snippet(ports: Iterable[int]) -> tuple[str, str]:
    """Return the snippet that names who listens on `ports`."""
    wanted = " ".join(str(port) for port in sorted(ports))
    # Asking for processes takes long on a node with many. While k3s runs, its ports are its own.
    script = f"""\
if systemctl is-active -q k3s.service; then
grep -Eqs ':(0050|01BB) [0-9A-F]+:[0-9A-F]+ 0A ' /proc/net/tcp /proc/net/tcp6 || exit 0
fi
ss -Hltnp | while read -r _ _ _ at _ users; do
port=${{at##*:}}
case " {wanted} " in *" $port "*) ;; *) continue;; esac
case $users in *'"'*pid=*) ;; *) continue;; esac
name=${{users#*'"'}}; name=${{name%%'"'*}}
pid=${{users#*pid=}}; pid=${{pid%%[!0-9]*}}
own=no
while read -r group; do
case $group in */k3s.service*|*kubepods*) own=yes;; esac
done <"/proc/$pid/cgroup"
printf '%s %s %s\\n' "$port" "$own" "$name"
done
"""
    return HOLDERS, script


def holders(found: facts.NodeFacts) -> dict[int, Holder]:
    """Return who listens on each port, where the node could tell. Another program wins."""
    result: dict[int, Holder] = {}
    for line in found.snippets.get(HOLDERS, "").splitlines():
        port, own, name = [*line.split(" ", 2), "", ""][:3]
        if port.isdigit() and (own == "no" or int(port) not in result):
            result[int(port)] = Holder(name=name, own=own == "yes")
    return result


def mounts_snippet(folders: Iterable[str]) -> tuple[str, str]:
    """Return the snippet that tells how the file systems of `folders` are mounted."""
    script = f"""\
for p in {scripts.quote(sorted(folders))}; do
q=$p
while [ -n "$q" ] && ! [ -d "$q" ]; do q=${{q%/*}}; done
at=$(timeout 5 df -P -- "${{q:-/}}" | sed -n '2s/^.* \\([0-9]*%\\|-\\)  *//p')
opts=
while read -r _ _ _ _ m o _; do [ "$m" != "$at" ] || opts=$o; done </proc/self/mountinfo
[ -z "$opts" ] || printf '%s %s\\n' "$opts" "$p"
done
"""
    return MOUNTS, script


def mount_options(found: facts.NodeFacts, folder: str) -> frozenset[str]:
    """Return the mount options where `folder` is or would be; empty where it is not known."""
    for line in found.snippets.get(MOUNTS, "").splitlines():
        options, _, path = line.partition(" ")
        if path == folder:
            return frozenset(options.split(","))
    return frozenset()


def gpus_snippet() -> tuple[str, str]:
    """Return the snippet that tells the vendors of the GPUs with a render node."""
    return GPUS, "cat /sys/class/drm/renderD*/device/vendor\n"


def gpu_vendors(found: facts.NodeFacts) -> tuple[str, ...]:
    """Return the PCI vendors (``0x8086``) of the GPUs, each once."""
    return tuple(dict.fromkeys(found.snippets.get(GPUS, "").split()))

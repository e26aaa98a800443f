"""Folders that k3s fills, by name, and folders that it must not share. Pure.

Names are shell patterns. A deletion removes what these patterns name and
nothing else, so a name that is missing here stays on the node and is listed.

Facts: the folders of real k3s servers (v1.30 to v1.36) with SQLite and etcd,
the kubelet's documentation of its files, local-path-provisioner's names of volumes.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterable
from typing import Any, Final

from provision.host import facts, scripts

DATA: Final = "/var/lib/rancher/k3s"
KUBELET: Final = "/var/lib/kubelet"

_SHA256: Final = "[0-9a-f]" + "?" * 63

INNER: Final[dict[str, tuple[str, ...]]] = {
    "agent": (
        *("client-*.crt", "client-*.key", "server-ca.crt", "serving-kubelet.crt"),
        *("serving-kubelet.key", "k3scontroller.kubeconfig", "kubelet.kubeconfig"),
        *("kubeproxy.kubeconfig", "containerd", "cri-dockerd", "images", "stargz", "pod-manifests"),
        *("tls-[0-9]*", "etc/cni", "etc/containerd", "etc/crictl.yaml", "etc/flannel"),
        *("etc/kubelet.conf.d/00-k3s-defaults.conf", "etc/kubelet.conf.d/10-cli-config.conf"),
        *("etc/kubelet.conf.d/20-cli-config-dir", "etc/resolv.conf", "etc/k3s-*load-balancer.json"),
    ),
    "data": (_SHA256, f"{_SHA256}-tmp", "current", "previous", ".lock", "cni"),
    "server": (
        *(
            "agent-token",
            "cred",
            "cred-[0-9]*",
            "db",
            "elysium-*",
            "etc/cloud-config.yaml",
            "etc/egress-selector-config.yaml",
        ),
        *("kine.sock", "manifests", "node-token", "static/charts", "tls", "tls-[0-9]*", "token"),
    ),
}
"""Folders in the data folder, and what k3s creates in each."""
STORAGE: Final = "storage"
VOLUMES: Final = "pvc-*"
"""Volumes of the local-path provisioner."""

PODS: Final = ("-".join("?" * n for n in (8, 4, 4, 4, 12)), "[0-9a-f]" + "?" * 31)
"""Folders of pods, called by their uid; those of static pods by a hash."""
KUBELET_NAMES: Final = (
    *("checkpoints", "device-plugins", "pki", "plugins", "plugins_registry", "pod-resources"),
    *("actuated_pods_state", "allocated_pods_state", "cpu_manager_state", "dra_manager_state"),
    *("image_manager", "memory_manager_state", "pod_status_manager_state", "usernamespaces"),
)
"""What the kubelet creates besides ``pods``."""

OTHERS: Final = (
    "/run/k3s",
    "/run/flannel",
    "/var/log/pods",
    "/var/log/containers",
    "/var/lib/cni",
    "/etc/rancher",
)
"""Other folders in which k3s creates something."""

_SYSTEM: Final = frozenset(
    {
        *("/", "/bin", "/boot", "/dev", "/etc", "/home", "/lib", "/lib32", "/lib64", "/libx32"),
        *("/media", "/mnt", "/opt", "/proc", "/root", "/run", "/sbin", "/snap", "/srv", "/sys"),
        *("/tmp", "/usr", "/var", "/etc/rancher", "/usr/lib", "/usr/lib64", "/usr/libexec"),  # noqa: S108 - a name
        *("/usr/local", "/usr/local/bin", "/usr/local/lib", "/usr/local/sbin", "/usr/local/share"),
        *("/usr/share", "/usr/src", "/var/backups", "/var/cache", "/var/lib", "/var/lib/docker"),
        *("/var/lib/containerd", "/var/lib/elysium", "/var/lib/kubelet", "/var/lib/rancher"),
        *("/var/local", "/var/log", "/var/mail", "/var/opt", "/var/run", "/var/spool", "/var/tmp"),  # noqa: S108 - a name
        "/var/www",
    }
)
_KERNEL: Final = ("/dev", "/proc", "/sys", "/boot", "/bin", "/sbin", "/usr/bin", "/usr/sbin")


def normal(path: str) -> str:
    """Return `path` without ``.``, ``..`` and doubled or final slashes."""
    tidy = posixpath.normpath(path)
    return f"/{tidy.lstrip('/')}" if tidy.startswith("/") else tidy


def inside(path: str, folder: str) -> bool:
    """Return whether `path` is below `folder`."""
    return path != folder and path.startswith(f"{folder.rstrip('/')}/")


def is_system(path: str) -> bool:
    """Return whether the system or everybody uses the folder `path`."""
    tidy = normal(path)
    in_home = tidy.count("/") == 2 and tidy.startswith("/home/")
    return tidy in _SYSTEM or in_home or any(inside(tidy, folder) for folder in _KERNEL)


def kubelet_root(arguments: Any) -> str:
    """Return the kubelet's folder, which ``kubelet-arg`` can move."""
    values = arguments if isinstance(arguments, (list, tuple)) else [arguments or ""]
    for value in reversed(values):
        name, _, path = str(value).lstrip("-").partition("=")
        if name == "root-dir" and path:
            return normal(path)
    return KUBELET


SNIPPET: Final = "k3s-folders"
_SHOWN: Final = 5


def snippet(data: str) -> tuple[str, str]:
    """Return the fact snippet that tells where `data` is and what in it is not k3s'."""
    known = "|".join((*INNER, STORAGE, "lost+found"))
    lines = [
        f"d={scripts.quote([data])}",
        'r=$(readlink -f -- "$d") || r=$d',
        'echo "real $r"',
        f"others() {{\n{_OTHERS}}}",
        f"for e in {_ENTRIES}; do case ${{e##*/}} in {known}) ;; *) others;; esac; done",
    ]
    for name, patterns in (*INNER.items(), (STORAGE, (VOLUMES,))):
        ours = "|".join(pattern.partition("/")[0] for pattern in patterns)
        lines.append(
            f"for e in {_ENTRIES.replace('$d', f'$d/{name}')}; do "
            f"case ${{e##*/}} in {ours}) ;; *) others;; esac; done"
        )
    return SNIPPET, "\n".join((*lines, "exit 0"))


_ENTRIES: Final = '"$d"/* "$d"/.[!.]* "$d"/..?*'
_OTHERS: Final = 'if [ -e "$e" ] || [ -L "$e" ]; then printf "other %s\\n" "$e"; fi\n'


def warnings(found: facts.NodeFacts, data: str, kubelet: str) -> tuple[str, ...]:
    """Return why k3s should not use its folders, in sentences; none for folders of its own."""
    lines = found.snippets.get(SNIPPET, "").splitlines()
    real = next((line[5:] for line in lines if line.startswith("real ")), "") or data
    others = [line[6:] for line in lines if line.startswith("other ")]
    said: list[str] = []
    uses = [(data, real, "its data (k3s.options.data-dir)")]
    if kubelet != KUBELET:
        uses.append((kubelet, kubelet, "the kubelet (root-dir of k3s.options.kubelet-arg)"))
    for path, where, what in uses:
        named = path if where == path else f"{path}, which is {where},"
        if not path.startswith("/"):
            said.append(f"{path} for {what} is not an absolute path")
        elif is_system(path) or is_system(where):
            said.append(f"{named} is a folder of the system, and k3s would use it for {what}")
    if not said and others and not real.endswith("/rancher/k3s"):
        said.append(f"{data}, k3s' data folder, holds what is not k3s': {_some(others)}")
    return tuple(said)


def _some(paths: Iterable[str]) -> str:
    names = list(paths)
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(repr(name)[1:-1] for name in names[:_SHOWN]) + more

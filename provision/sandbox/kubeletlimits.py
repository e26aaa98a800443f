"""What a machine may keep from a real k3s, and how the node starts k3s all the same.

A real k3s is not changed for the sandbox. Its unit gets a drop-in, which starts it by a script
of the node's. The stand-in does the same by itself (`containers/cgroups.go`, `config.go`).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from provision.sandbox import rootfs

_SCRIPT = f"{rootfs.K3S_PROGRAMS}/start-k3s"
_DROP_IN = "/usr/lib/systemd/system/k3s.service.d/sandbox.conf"
_UNIT = f"""\
[Service]
SyslogIdentifier=k3s
ExecStart=
ExecStart=/bin/sh {_SCRIPT} server
"""
# 1. Where this machine keeps CAP_SYS_RESOURCE (bit 24), no container gets a lower OOM score than
#    containerd's.
# 2. The node's disk is this machine's, of which others use most: k3s would evict pods at 5 %.
# 3. Controllers of cgroups that are in version 1 on this machine are seen in that version, in a
#    mount namespace in which nothing else differs. A kubelet since 1.35 has to be told.
_START = """\
program=/usr/local/bin/k3s
data=$(sed -n 's/^data-dir: *//p' /etc/rancher/k3s/config.yaml 2>/dev/null | tr -d "\\"'")
etc=${data:-/var/lib/rancher/k3s}/agent/etc

capabilities=$(sed -n 's/^CapEff:[[:space:]]*//p' /proc/self/status)
if [ $((0x$capabilities >> 24 & 1)) -eq 0 ]; then
  mkdir -p "$etc/containerd/config-v3.toml.d"
  cat >"$etc/containerd/config-v3.toml.d/sandbox.toml" <<'END'
version = 3
[plugins.'io.containerd.cri.v1.runtime']
  restrict_oom_score_adj = true
END
fi

mkdir -p "$etc/kubelet.conf.d"
cat >"$etc/kubelet.conf.d/90-sandbox.conf" <<'END'
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
failCgroupV1: false
evictionHard:
  imagefs.available: 500Mi
  nodefs.available: 500Mi
evictionMinimumReclaim:
  imagefs.available: "0"
  nodefs.available: "0"
imageGCHighThresholdPercent: 100
imageGCLowThresholdPercent: 99
END

case " $(cat /sys/fs/cgroup/cgroup.controllers 2>/dev/null) " in
*" memory "*) exec $program "$@";;
esac
hierarchies=$(awk '!/^#/ && $2 && $4 { names[$2] = names[$2] "," $1 }
  END { for (number in names) print substr(names[number], 2) }' /proc/cgroups)
[ -n "$hierarchies" ] || exec $program "$@"
export hierarchies program
exec unshare --mount --propagation unchanged sh -c '
mount --make-private /sys/fs/cgroup
mount -t tmpfs -o mode=755 cgroup /sys/fs/cgroup
for hierarchy in $hierarchies; do
  mkdir /sys/fs/cgroup/$hierarchy
  mount -t cgroup -o $hierarchy cgroup /sys/fs/cgroup/$hierarchy
  case $hierarchy in *,*)
    for name in $(echo $hierarchy | tr , " "); do ln -s $hierarchy /sys/fs/cgroup/$name; done;;
  esac
done
exec $program "$@"' sh "$@"
"""


def files() -> Mapping[str, str]:
    """Return the files that a node with a real k3s has for this, by path."""
    return {_DROP_IN: _UNIT, _SCRIPT: _START}


def place(root: Path) -> None:
    """Write the files into a node's tree at `root`.

    Raises:
        OSError: when one cannot be written.
    """
    for path, content in files().items():
        target = root / path.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(content)

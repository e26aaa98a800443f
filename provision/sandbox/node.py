"""The node: a Debian in systemd-nspawn, booted to the point where it takes logins.

Its devices, cgroups and network are its own; its kernel is this machine's. A
reboot from inside is a reboot: systemd-nspawn ends with status 133 and is
started again on the same tree (systemd-nspawn(1), ``--keep-unit``).
"""

from __future__ import annotations

import os
import secrets
import socket
import subprocess
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519

from provision import errors, progress
from provision.fileio import atomic
from provision.sandbox import gpu, jobs, kubeletlimits, model, mounts, network, processes, rootfs
from provision.sandbox.charts import trust

OPT = "/opt/elysium-sandbox"
_REBOOT = 133
_DATA = "var-lib"
# systemd-nspawn puts itself into cgroups below the one it is started in, which
# must hold no other process: the loop lives in a leaf beside it.
_LOOP = (
    "groups=$1; shift\n"
    "while :; do\n"
    """  sh -c 'for each in $0; do echo $$ >"$each" || exit 1; done; exec "$@"' "$groups" "$@"\n"""
    "  status=$?\n"
    f'  [ "$status" -eq {_REBOOT} ] || exit "$status"\n'
    "done"
)
_SETTINGS = """\
[Unit]
Description=Kernel parameters can be set that are the node's own
DefaultDependencies=no
Before=sysinit.target

[Service]
Type=oneshot
ExecStart=/bin/sh /usr/lib/elysium-sandbox/settings
"""
# A kubelet sets some parameters that are this machine's: it finds them set, in files of the node.
_OPEN = """\
mount --bind /proc/sys/net /proc/sys/net
mount -o remount,bind,rw /proc/sys/net
folder=/run/elysium-sandbox-kernel
mkdir -p $folder
while read -r name value; do
  [ -e /proc/sys/$name ] || continue
  file=$folder/$(echo $name | tr / .)
  echo $value >$file
  mount --bind $file /proc/sys/$name
done <<'END'
kernel/keys/root_maxbytes 25000000
kernel/keys/root_maxkeys 1000000
kernel/panic 10
kernel/panic_on_oops 1
vm/overcommit_memory 1
vm/panic_on_oom 0
END
"""


@dataclass(frozen=True, kw_only=True)
class Options:
    """What the node has. `binds` are (here, in the node) folders, read-only there.

    `kubelet`: a real one will run there, which sets kernel parameters of this
    machine and reads its log. `resolver` is the address of the name server that the node asks,
    `trusted` the certificate of an authority that it trusts; empty and None: none.
    """

    hostname: str = "kyrion"
    gpu: bool = True
    binds: tuple[tuple[Path, str], ...] = ()
    kubelet: bool = False
    resolver: str = ""
    trusted: Path | None = None


def start(
    net: network.Network,
    group: processes.Group,
    folder: Path,
    options: Options,
    say: progress.Progress = progress.silent,
    *,
    kept: model.Node | None = None,
) -> tuple[model.Node, processes.Process]:
    """Boot the node of a sandbox below `folder`, which must be new.

    `kept` is a node that is off, and whose disk is below `folder`: it is
    booted again, with its keys, at the network's address. Returns when its
    systemd says that it is up and its SSH server answers.

    Raises:
        errors.WaitError: with the console's output, when it does not come up.
    """
    if kept is None:
        lower = rootfs.ensure(say)
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o700)
        root = mounts.copy_on_write(lower, folder)
        node = _make_unique(root, folder, net, options.hostname)
        _copy_data(root, folder)
        if options.kubelet:
            kubeletlimits.place(root)
    else:
        root = folder / "root"
        mounts.remove_tree(folder / "gpu")  # made anew at every boot
        node = _addressed(root, folder, net, kept)
    _acquaint(root, options)
    say(f"node {options.hostname}: booting")
    argv = _command(net, root, folder, options)
    groups = " ".join(str(leaf / "cgroup.procs") for leaf in group.leaves("node"))
    address = f"\0{net.namespace}-{secrets.token_hex(8)}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notices:
        notices.bind(address)
        notices.settimeout(0)
        process = group.spawn(
            ("sh", "-c", _LOOP, "sh", groups, *argv),
            log=folder / "console.log",
            part="loop",
            environment={
                # a pure version 2 hierarchy inside, whatever this machine has
                "SYSTEMD_NSPAWN_UNIFIED_HIERARCHY": "1",
                **({"SYSTEMD_NSPAWN_API_VFS_WRITABLE": "1"} if options.kubelet else {}),
                "NOTIFY_SOCKET": "@" + address[1:],
            },
        )
        processes.wait_until(
            lambda: _is_ready(notices),
            what=f"Node {options.hostname}: the end of its boot",
            timeout=120,
            process=process,
        )
    wait_for_ssh(node, timeout=60, process=process)
    return node, process


def wait_for_ssh(
    node: model.Node, *, timeout: float, process: processes.Process | None = None
) -> None:
    """Return when the node's SSH server says its greeting.

    Raises:
        errors.WaitError: when it does not within `timeout` seconds.
    """
    processes.wait_until(
        lambda: answers_ssh(node.host, node.port),
        what=f"Node {node.hostname}: its SSH server",
        timeout=timeout,
        process=process,
    )


def answers_ssh(host: str, port: int) -> bool:
    """Return whether an SSH server greets at `host`:`port` (RFC 4253, section 4.2)."""
    try:
        with socket.create_connection((host, port), timeout=2) as connection:
            return connection.recv(4) == b"SSH-"
    except OSError:
        return False


def ssh_argv(node: model.Node, *command: str, user: str = "") -> list[str]:
    """Return the ssh(1) command line that logs in to `node`, or runs `command` there."""
    options = {
        "IdentityFile": node.identity_file,
        "IdentitiesOnly": "yes",
        "UserKnownHostsFile": node.known_hosts,
        "StrictHostKeyChecking": "yes",
        "LogLevel": "ERROR",
    }
    argv = ["ssh", "-F", "none", "-p", str(node.port)]
    for name, value in options.items():
        argv += ["-o", f"{name}={value}"]
    return [*argv, f"{user or node.user}@{node.host}", *command]


def run(
    node: model.Node, command: str, *, user: str = "", stdin: str = "", timeout: float = 60
) -> subprocess.CompletedProcess[str]:
    """Run `command` by a shell of the node over ssh(1); for tests and for looking around."""
    return subprocess.run(
        ssh_argv(node, command, user=user),
        input=stdin,
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )


def boot_id(node: model.Node) -> str:
    """Return what tells one boot of the node from the next; empty: no login now."""
    try:
        return run(node, "cat /proc/sys/kernel/random/boot_id", timeout=10).stdout.strip()
    except subprocess.TimeoutExpired:
        return ""


def reboot(node: model.Node, *, timeout: float = 120) -> None:
    """Reboot the node from inside and return when it takes logins again.

    Raises:
        errors.WaitError: when it does not within `timeout` seconds.
    """
    before = boot_id(node)
    if not before:
        raise errors.ConnectError(f"Node {node.hostname} takes no login.", host=node.host)
    run(node, "systemctl reboot")
    processes.wait_until(
        lambda: boot_id(node) not in ("", before),
        what=f"Node {node.hostname}: its next boot",
        timeout=timeout,
    )


def _is_ready(notices: socket.socket) -> bool:
    while True:
        try:
            message = notices.recv(4096)
        except BlockingIOError:
            return False
        if b"READY=1" in message.splitlines():
            return True


def _command(net: network.Network, root: Path, folder: Path, options: Options) -> Sequence[str]:
    extra = gpu.make(folder / "gpu", root) if options.gpu else ()
    return (
        *("systemd-nspawn", "--quiet", "--boot", "--register=no", "--keep-unit"),
        *("--notify-ready=yes", "--link-journal=no", "--resolv-conf=off", "--timezone=off"),
        *("--console=pipe", f"--directory={root}", f"--machine={net.namespace}"),
        f"--hostname={options.hostname}",
        f"--network-namespace-path={network.namespace_path(net.name)}",
        # Mounts, FUSE and pods need nearly all; the clock and the modules of
        # this machine are not the node's to change.
        *("--capability=all", "--drop-capability=CAP_SYS_TIME,CAP_SYS_MODULE"),
        *("--bind=/dev/fuse", "--bind=/dev/autofs", "--bind=/dev/kmsg"),
        # A container runtime gives each container a keyring, and its devices by a BPF program.
        "--system-call-filter=add_key keyctl bpf",
        f"--bind={folder / _DATA}:/var/lib",
        *(f"--bind-ro={here}:{there}" for here, there in options.binds),
        *extra,
    )


def _make_unique(root: Path, folder: Path, net: network.Network, hostname: str) -> model.Node:
    """Give the node's tree its name, keys and passwords; return how to log in."""
    (root / "etc/machine-id").write_text(uuid.uuid4().hex + "\n")
    (root / "etc/hostname").write_text(hostname + "\n")
    _write_hosts(root, net, hostname)
    _open_settings(root)
    host_key = _key_pair(root / "etc/ssh/ssh_host_ed25519_key")
    login = folder / "id_ed25519"
    authorized = _key_pair(login) + " elysium-sandbox\n"
    password = secrets.token_urlsafe(12)
    atomic.write(folder / "password", password + "\n")
    atomic.write(folder / "known_hosts", f"{net.node_address} {host_key}\n")
    for home, owner in _homes(root):
        keys = home / ".ssh"
        keys.mkdir(exist_ok=True)
        atomic.write(keys / "authorized_keys", authorized)
        for path, mode in ((keys, 0o700), (keys / "authorized_keys", 0o600)):
            path.chmod(mode)
            os.chown(path, *owner)
    jobs.run(
        ("chroot", str(root), "chpasswd"),
        stdin="".join(f"{user.name}:{password}\n" for user in rootfs.USERS),
        what="Setting the passwords of the node's users",
    )
    return model.Node(
        host=net.node_address,
        identity_file=login,
        host_key=host_key,
        hostname=hostname,
        users=rootfs.USERS,
        password_file=folder / "password",
        known_hosts=folder / "known_hosts",
    )


def _acquaint(root: Path, options: Options) -> None:
    """Tell the node's tree its name server and whom to trust."""
    if options.resolver:
        resolv = root / "etc/resolv.conf"
        resolv.unlink(missing_ok=True)  # it may be a link into the folder of a resolver
        resolv.write_text(f"nameserver {options.resolver}\n")
    if options.trusted is not None:
        there = root / trust.NODE.lstrip("/")
        there.write_bytes(options.trusted.read_bytes())
        there.chmod(0o644)


def _copy_data(root: Path, folder: Path) -> None:
    """Give the node a /var/lib of its own disk: containerd lays overlays over what is there.

    No overlay can be laid over the node's root, which is one itself.
    """
    jobs.run(
        ("cp", "-a", f"{root}/var/lib", str(folder / _DATA)), what="Copying the node's /var/lib"
    )


def _open_settings(root: Path) -> None:
    """Let the node set kernel parameters of its network, as k3s does, at every boot.

    systemd-nspawn has a mode for this, which hides the sandbox's GPU below ``/sys``.
    """
    units = root / "etc/systemd/system"
    (units / "network-settings.service").write_text(_SETTINGS)
    (root / rootfs.K3S_PROGRAMS.lstrip("/") / "settings").write_text(_OPEN)
    wanted = units / "sysinit.target.wants"
    wanted.mkdir(parents=True, exist_ok=True)
    (wanted / "network-settings.service").symlink_to("../network-settings.service")


def _addressed(root: Path, folder: Path, net: network.Network, kept: model.Node) -> model.Node:
    """Tell the tree of `kept` its address in `net`; return how to log in there."""
    _write_hosts(root, net, kept.hostname)
    atomic.write(folder / "known_hosts", f"{net.node_address} {kept.host_key}\n")
    return kept.model_copy(update={"host": net.node_address})


def _write_hosts(root: Path, net: network.Network, hostname: str) -> None:
    (root / "etc/hosts").write_text(
        f"127.0.0.1 localhost\n::1 localhost\n{net.node_address} {hostname}\n"
    )


def _homes(root: Path) -> list[tuple[Path, tuple[int, int]]]:
    homes: list[tuple[Path, tuple[int, int]]] = []
    wanted = {"root", *(user.name for user in rootfs.USERS)}
    for line in (root / "etc/passwd").read_text().splitlines():
        name, _, uid, gid, _, home, _ = line.split(":")
        if name in wanted:
            homes.append((root / home.lstrip("/"), (int(uid), int(gid))))
    return homes


def _key_pair(path: Path) -> str:
    """Write a new Ed25519 key to `path` and its public part beside it; return that."""
    key = ed25519.Ed25519PrivateKey.generate()
    atomic.write(
        path,
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.OpenSSH,
            serialization.NoEncryption(),
        ),
    )
    public = (
        key.public_key()
        .public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
        .decode()
    )
    atomic.write(path.with_name(path.name + ".pub"), public + "\n", mode=0o644)
    return public

"""What the node is: systemd, logins, devices, a network of its own."""

from __future__ import annotations

import subprocess
from collections.abc import Callable

import pytest

from provision.sandbox import model, node, rootfs

pytestmark = pytest.mark.sandbox
On = Callable[..., str]


def test_systemd_is_up_and_nothing_failed(on: On) -> None:
    assert on("cat /proc/1/comm") == "systemd"
    assert on("systemctl is-system-running --wait") == "running"
    assert on("systemctl --failed --no-legend") == ""
    assert on("hostname") == "kyrion"


def test_root_logs_in_with_the_key_and_the_pinned_host_key(box: model.Sandbox, on: On) -> None:
    assert on("id -u") == "0"
    kind, key = box.node.host_key.split()
    assert on("cut -d' ' -f1,2 /etc/ssh/ssh_host_ed25519_key.pub") == f"{kind} {key}"


@pytest.mark.parametrize(
    ("user", "password", "works"),
    [("ops", "", True), ("opspw", "", False), ("opspw", "yes", True), ("guest", "yes", False)],
)
def test_sudo_is_as_each_user_says(
    box: model.Sandbox, user: str, password: str, works: bool
) -> None:
    stdin = box.node.password().reveal() + "\n" if password else ""
    done = node.run(box.node, "sudo -S -p '' id -u", user=user, stdin=stdin)
    assert (done.returncode == 0 and done.stdout.strip() == "0") is works, done.stderr


def test_users_log_in_with_their_password(box: model.Sandbox) -> None:
    askpass = "#!/bin/sh\nexec cat " + str(box.node.password_file) + "\n"
    helper = box.node.password_file.with_name("askpass")
    helper.write_text(askpass)
    helper.chmod(0o700)
    argv = [
        *("ssh", "-F", "none", "-o", "PubkeyAuthentication=no", "-o", "NumberOfPasswordPrompts=1"),
        *("-o", f"UserKnownHostsFile={box.node.known_hosts}", f"ops@{box.node.host}", "id -un"),
    ]
    environment = {"SSH_ASKPASS": str(helper), "SSH_ASKPASS_REQUIRE": "force", "PATH": "/usr/bin"}
    done = subprocess.run(argv, env=environment, capture_output=True, text=True, timeout=30)
    assert done.stdout.strip() == "ops", done.stderr


def test_the_gpu_looks_like_one(on: On) -> None:
    assert on("stat -c '%F %t:%T' /dev/dri/renderD128") == "character special file e2:80"
    assert on("cat /sys/class/drm/card0/device/vendor") == "0x8086"
    assert on("basename $(readlink -f /sys/class/drm/card0/device)") == "0000:00:02.0"
    assert on("basename $(readlink /sys/class/drm/renderD128/device/driver)") == "i915"
    assert on("ls /sys/class/drm") == "card0\nrenderD128"
    assert "guc" in on("ls /lib/firmware/i915")
    assert on("stat -c %G /dev/dri/renderD128") == "render"


def test_the_rest_of_sysfs_is_still_there(on: On) -> None:
    assert "lo" in on("ls /sys/class/net").split()
    assert on("cat /sys/class/net/lo/mtu") == "65536"


def test_tools_of_a_fresh_node_are_there(on: On) -> None:
    for program in ("flock", "fusermount3", "sudo", "ip", "ps", "sha256sum", "tar", "modprobe"):
        assert on(f"command -v {program}")


def test_an_overlay_can_be_laid_over_its_data(on: On) -> None:
    """As the containerd of k3s does for every container, and k3s tries before it starts."""
    on("mkdir -p /var/lib/t/lower /var/lib/t/upper /var/lib/t/work /var/lib/t/all")
    options = "lowerdir=/var/lib/t/lower,upperdir=/var/lib/t/upper,workdir=/var/lib/t/work"
    on(f"mount -t overlay overlay -o {options} /var/lib/t/all")
    on("umount /var/lib/t/all && rm -rf /var/lib/t")


def test_cgroups_are_version_2_and_the_nodes_own(on: On) -> None:
    assert on("stat -fc %T /sys/fs/cgroup") == "cgroup2fs"
    assert on("cat /proc/1/cgroup").endswith("0::/init.scope")


def test_an_automount_mounts_at_first_use(on: On) -> None:
    on(
        "printf '[Mount]\\nWhat=tmpfs\\nWhere=/mnt/lazy\\nType=tmpfs\\n'"
        " >/etc/systemd/system/mnt-lazy.mount;"
        "printf '[Automount]\\nWhere=/mnt/lazy\\n[Install]\\nWantedBy=multi-user.target\\n'"
        " >/etc/systemd/system/mnt-lazy.automount;"
        "systemctl daemon-reload; systemctl enable --now mnt-lazy.automount"
    )
    assert on("systemctl is-active mnt-lazy.mount || true") == "inactive"
    on("ls /mnt/lazy")
    assert on("systemctl is-active mnt-lazy.mount") == "active"
    assert on("stat -fc %T /mnt/lazy") == "tmpfs"


def test_the_node_reaches_this_machine_and_nothing_beyond(box: model.Sandbox, on: On) -> None:
    assert on("ip -4 route show default").startswith(f"default via {box.host_address}")
    probe = "timeout 3 bash -c 'echo >/dev/tcp/{}/9' 2>&1; true"
    assert "refused" in on(probe.format(box.host_address))
    assert "refused" not in on(probe.format("192.0.2.1"))


def test_the_clock_of_this_machine_is_not_the_nodes_to_change(on: On) -> None:
    assert "not permitted" in on("date -s 2001-01-01 2>&1 || true")


def test_a_reboot_is_a_reboot_on_the_same_disk(box: model.Sandbox, on: On) -> None:
    on("echo kept >/root/marker")
    before = on("cat /etc/machine-id")
    first = node.boot_id(box.node)
    node.reboot(box.node)
    assert node.boot_id(box.node) != first
    assert on("cat /root/marker") == "kept"
    assert on("cat /etc/machine-id") == before
    assert on("cat /sys/class/drm/card0/device/vendor") == "0x8086"
    assert on("ls /mnt/lazy; systemctl is-active mnt-lazy.mount") == "active"


def test_the_cached_tree_holds_nothing_of_a_node(box: model.Sandbox) -> None:
    assert box.node.hostname
    tree = rootfs.folder()
    assert (tree / "etc/machine-id").read_text() == ""
    assert not list((tree / "etc/ssh").glob("ssh_host_*"))
    assert not (tree / "root/marker").exists()
    shadow = (tree / "etc/shadow").read_text().splitlines()
    locked = {line.split(":")[0]: line.split(":")[1] for line in shadow}
    assert all(locked[user.name] == "!" for user in rootfs.USERS)

"""A node is lost with its disk, and an empty one comes in its place."""

from __future__ import annotations

import subprocess

import pytest

from provision.sandbox import lifecycle, model, network, node, processes, renewal, rootfs

pytestmark = pytest.mark.sandbox


def answer(box: model.Sandbox, command: str) -> str:
    done = node.run(box.node, command)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_the_new_node_is_another_machine(name: str) -> None:
    old = lifecycle.up_node(name)
    answer(old, "echo here > /root/mark")
    programs = rootfs.K3S_PROGRAMS
    left = f"ip -o link; {programs}/nft list ruleset; {programs}/ipset list -n"
    fresh = answer(old, f"({left}) | grep -c .")
    answer(old, f"ip link add cni0 type bridge; {programs}/ipset create x hash:ip")
    answer(old, f"{programs}/xtables-nft-multi iptables -A INPUT -m set --match-set x src")
    machine = answer(old, "cat /etc/machine-id")
    new = renewal.replace_node(name)
    assert answer(new, f"({left}) | grep -c .") == fresh
    assert lifecycle.load(name) == new
    assert new.node.host != old.node.host
    assert new.node.host_key != old.node.host_key
    assert answer(new, "ls /root/mark 2>/dev/null || echo gone") == "gone"
    assert answer(new, "cat /etc/machine-id") != machine
    assert answer(new, "systemctl is-system-running --wait") == "running"
    assert answer(new, "ip -4 route show default").startswith(f"default via {new.host_address}")
    assert not node.answers_ssh(old.node.host, old.node.port)
    assert processes.load(lifecycle.folder_of(name) / lifecycle.PROCESSES)["node"].alive()
    status = lifecycle.status(name)
    assert status is not None and [each.answers for each in status.services] == [True]
    node.reboot(new.node)
    assert answer(new, "hostname") == "kyrion"


def test_a_disk_boots_again_at_another_address(name: str) -> None:
    old = lifecycle.up_node(name)
    answer(old, "echo here > /root/mark; sync")
    machine = answer(old, "cat /etc/machine-id")
    new = renewal.move_node(name)
    assert lifecycle.load(name) == new
    assert new.node.host != old.node.host and new.node.host_key == old.node.host_key
    assert answer(new, "cat /root/mark /etc/machine-id").split() == ["here", machine]
    assert answer(new, "systemctl is-system-running --wait") == "running"
    assert not node.answers_ssh(old.node.host, old.node.port)
    again = renewal.move_node(name, moved=False)
    assert again.node == new.node and answer(again, "cat /root/mark") == "here"


def test_a_lost_node_answers_no_more_and_can_be_replaced(name: str) -> None:
    old = lifecycle.up_node(name, node.Options(gpu=False))
    renewal.lose_node(name)
    assert not node.answers_ssh(old.node.host, old.node.port)
    assert not (lifecycle.folder_of(name) / "node").exists()
    new = renewal.replace_node(name, hostname="sirius")
    assert answer(new, "hostname") == "sirius"
    assert answer(new, "ls /dev/dri 2>/dev/null || echo none") == "none"
    assert lifecycle.down(name)
    assert not network.namespace_path(name).exists()
    mounted = subprocess.run(["mount"], capture_output=True, text=True, check=True).stdout
    assert str(lifecycle.folder_of(name)) not in mounted

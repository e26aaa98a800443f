"""Interfaces, network namespaces and sockets that k3s leaves, in a namespace."""

from __future__ import annotations

import hashlib

import pytest

from provision.provider.k3s import network
from tests.support import firewall, remains, removals

pytestmark = [pytest.mark.sandbox, pytest.mark.timeout(180)]

LINKS = "ip -o link show | sed -e 's/^[0-9]*: //' -e 's/[@:].*//' | sort; ls /run/netns"


def interfaces(tree: removals.Tree) -> None:
    """Add k3s' interfaces with one pod, and those of Docker."""
    tree.shell(
        "ip link add cni0 type bridge\n"
        "ip link add flannel.1 type vxlan id 1 dstport 8472\n"
        "ip link add docker0 type bridge\n"
        "ip link add vethabcdef1 type veth peer name vethabcdef2\n"
        "ip link set vethabcdef1 master docker0\n"
        f"ip netns add {firewall.POD_NAMESPACE}\n"
        f"ip link add veth0a1b2c3d type veth peer name eth0 netns {firewall.POD_NAMESPACE}\n"
        "ip link set veth0a1b2c3d master cni0\n"
        "ip link add veth1a1b2c3d type veth peer name veth1peer\n"
        "ip link set veth1a1b2c3d master cni0\n"
        "ip netns add cni-mine\n"
    )


def test_interfaces_and_namespaces_of_pods_go() -> None:
    tree = remains.node()
    interfaces(tree)
    done = removals.run(tree, remains.scripts()[1], usr=remains.usr(), probe=LINKS)
    assert done.status == 0, done.stderr
    assert {"cni0", "flannel.1", firewall.POD_NAMESPACE} <= set(done.probed[0].split())
    assert done.probed[1].split() == ["docker0", "lo", "vethabcdef1", "vethabcdef2", "cni-mine"]
    assert "the network namespace cni-mine stays: it is not a pod's" in remains.notes(done)


def test_a_bridge_and_a_namespace_that_others_use_stay() -> None:
    tree = remains.node()
    interfaces(tree)
    tree.shell("ip link add tap0 type veth peer name tap1\nip link set tap0 master cni0")
    busy = f"ip netns exec {firewall.POD_NAMESPACE} sleep 60 &\nother=$!\nsleep 0.2\n"
    script = f"{busy}({remains.scripts()[1]}\n)\nkill $other"
    done = removals.run(tree, script, usr=remains.usr(), probe=LINKS)
    assert done.status == 0, done.stderr
    after = set(done.probed[1].split())
    assert {"cni0", "tap0", firewall.POD_NAMESPACE} <= after and "flannel.1" not in after
    told = " ".join(remains.notes(done))
    assert "tap0, which is not a pod's" in told and "a process of others runs in it" in told


def test_a_second_run_removes_nothing_more() -> None:
    tree = remains.node()
    interfaces(tree)
    for family, kind in remains.KINDS:
        remains.seed(tree, family, kind)
    first = remains.run(tree)
    both = removals.run(
        tree,
        f"({remains.scripts()[0]}\n)\n({remains.scripts()[0]}\n)\n",
        usr=remains.usr(),
        probe=remains.PROBE,
    )
    assert both.status == 0, both.stderr
    assert remains.rules_after(both) == remains.rules_after(first)


def test_a_bridge_that_was_there_before_k3s_stays() -> None:
    tree = remains.node()
    tree.file(network.RECORD, "sysctl net/ipv4/ip_forward 0\ninterface cni0\n")
    tree.shell("ip link add cni0 type bridge")
    done = removals.run(tree, remains.scripts()[1], usr=remains.usr(), probe=LINKS)
    assert done.probed[1].split() == ["cni0", "lo"]
    assert "the interface cni0 stays: it was there before k3s" in remains.notes(done)


def test_sockets_of_shims_go_and_those_of_others_stay() -> None:
    tree = remains.node()
    folder, theirs = "/run/containerd/s", "c" * 64
    task = f"/run/k3s/containerd/io.containerd.runtime.v2.task/k8s.io/{firewall.POD}"
    tree.file(f"{task}/address", f"unix://{folder}/{'a' * 64}")
    tree.file(f"{task}/bootstrap.json", f'{{"address":"unix://{folder}/{"b" * 64}"}}')
    for name in ("a" * 64, "b" * 64, theirs):
        tree.file(f"{folder}/{name}")
    tree.file(f"/run/containerd/runc/k8s.io/{firewall.POD}/state.json")
    tree.file(f"/run/containerd/runc/k8s.io/{theirs}/state.json")
    done = remains.run(tree)
    assert {path for path in done.after if path.startswith("/run/")} == {
        f"{folder}/{theirs}",
        f"/run/containerd/runc/k8s.io/{theirs}/state.json",
    }


def test_the_socket_of_a_shim_that_was_killed_while_it_started_goes() -> None:
    """It had made the socket and not named it in a file yet; the name is a hash of these words."""
    containerd = "/run/k3s/containerd/containerd.sock"
    name = hashlib.sha256(f"{containerd}/k8s.io/{firewall.POD}".encode()).hexdigest()
    shim = f"{firewall.DATA}/data/{firewall.RELEASE}/bin/containerd-shim-runc-v2"
    arguments = f"-namespace k8s.io -address {containerd} -id {firewall.POD} start"
    tree = remains.node()
    tree.shell(f"cp /bin/sh {shim}\n{shim} -c 'sleep 300; :' shim {arguments} >/dev/null 2>&1 &")
    folder, theirs = "/run/containerd/s", "c" * 64
    tree.file(f"{folder}/{name}")
    tree.file(f"{folder}/{theirs}")
    done = remains.run(tree, killall=True)
    assert {path for path in done.after if path.startswith(folder)} == {f"{folder}/{theirs}"}


LISTEN = """perl -MIO::Socket::UNIX -e '
my $made = IO::Socket::UNIX->new(Local => "{at}", Listen => 1); sleep 300' >/dev/null 2>&1 &
until grep -q {at} /proc/net/unix; do sleep 0.05; done"""


@pytest.mark.parametrize("another", [False, True], ids=["alone", "beside another containerd"])
def test_sockets_of_shims_that_were_killed_before_the_last_start(another: bool) -> None:
    """Nothing names them: they go only where they can be nobody else's."""
    tree = remains.node()
    left = f"/run/containerd/s/{'d' * 64}"
    tree.special(left, "socket")
    if another:
        theirs = "/run/docker/containerd.sock"
        tree.folder("/run/docker")
        tree.shell(LISTEN.format(at=theirs))
    assert (left in remains.run(tree).after) is another


# -- kernel settings -----------------------------------------------------------

"""What k3s leaves in firewall, interfaces and kernel settings, on real tables in a namespace."""

from __future__ import annotations

import functools
import hashlib

import pytest

from provision.provider.k3s import files, network
from provision.sandbox import rootfs
from tests.support import firewall, removals

pytestmark = [pytest.mark.sandbox, pytest.mark.timeout(180)]

AUX = f"{firewall.DATA}/data/{firewall.RELEASE}/bin/aux"
KINDS = [(4, "nft"), (6, "nft"), (4, "legacy"), (6, "legacy")]
PROBE = "".join(f"echo '== {f} {k}'\n{firewall.save(f, k)}" for f, k in KINDS)


@functools.cache
def usr() -> str:
    """Return a ``/usr`` without a firewall's programs in its PATH."""
    return str(rootfs.ensure() / "usr")


@functools.cache
def scripts() -> tuple[str, str]:
    at = files.places({})
    return files.render_killall(at).decode(), files.render_uninstall(at).decode()


def node(*, tools: bool = True) -> removals.Tree:
    """Return a node with k3s' folders, and its programs unless `tools` is false."""
    tree = removals.Tree()
    tree.file("/usr/local/bin/k3s")
    tree.folder(AUX)
    tree.link(f"{firewall.DATA}/data/current", firewall.RELEASE)
    if tools:
        tree.shell(
            f"cd {firewall.TOOLS}\ncp xtables-* nft {AUX}/\ncp ipset {AUX}/..\n"
            f"for name in iptables ip6tables iptables-save iptables-restore; do "
            f"ln -s xtables-nft-multi {AUX}/$name; done"
        )
    return tree


def seed(tree: removals.Tree, family: int, kind: str, *, mine: bool = True) -> None:
    """Add the rules of others, then k3s', then one more of others."""
    tree.shell(firewall.restore(family, kind, firewall.others(family)))
    if mine:
        tree.shell(firewall.restore(family, kind, firewall.k3s(family)))
    tree.shell(f"{firewall.tool(family, kind)} -w -A FORWARD -i late0 -j ACCEPT")


def run(tree: removals.Tree, *, killall: bool = False, shell: str = "/bin/sh") -> removals.Done:
    script = scripts()[0 if killall else 1]
    done = removals.run(tree, script, shell=shell, usr=usr(), probe=PROBE)
    assert done.status == 0, done.stderr
    return done


def notes(done: removals.Done) -> list[str]:
    lines = done.stdout.splitlines()
    return [line.removeprefix("note ") for line in lines if line.startswith("note ")]


def rules_after(done: removals.Done) -> list[str]:
    return firewall.normal(done.probed[1])


@functools.cache
def without_k3s(*kinds: tuple[int, str]) -> list[str]:
    """Return what the probe prints where k3s never was."""
    tree = node()
    for family, kind in kinds:
        seed(tree, family, kind, mine=False)
    return rules_after(removals.run(tree, "exit 0", usr=usr(), probe=PROBE))


@pytest.mark.parametrize("killall", [False, True])
@pytest.mark.parametrize(("family", "kind"), KINDS)
def test_only_rules_and_chains_of_k3s_go(family: int, kind: str, killall: bool) -> None:
    tree = node()
    seed(tree, family, kind)
    done = run(tree, killall=killall)
    assert done.probed[0].count("KUBE-") > 60 and "CNI-DN-" in done.probed[0]
    assert rules_after(done) == without_k3s((family, kind))
    assert "/tmp/bad" not in done.after


@pytest.mark.parametrize("shell", ["/bin/sh", "/bin/bash"])
def test_both_kinds_and_families_at_once_and_the_users_chains_are_told(shell: str) -> None:
    tree = node()
    for family, kind in KINDS:
        seed(tree, family, kind)
    done = run(tree, shell=shell)
    assert rules_after(done) == without_k3s(*KINDS)
    told = notes(done)
    assert sum("KUBE-MINE" in line for line in told) == 4
    assert sum("KUBE-ROUTERS" in line for line in told) == 4
    assert not any("not checked" in line for line in told)


@pytest.mark.parametrize("killall", [False, True])
def test_what_containerd_keeps_of_k3s_pods_goes_and_that_of_others_stays(killall: bool) -> None:
    """Each pod has a loopback besides: its network has a name that every containerd uses."""
    tree = node(tools=False)
    results, other = "/var/lib/cni/results", "f" * 64
    ours = [f"{results}/cbr0-{firewall.POD}-eth0", f"{results}/cni-loopback-{firewall.POD}-lo"]
    theirs = [f"{results}/podman-{other}-eth0", f"{results}/cni-loopback-{other}-lo"]
    for path in (*ours, *theirs):
        tree.file(path)
    done = run(tree, killall=killall)
    assert not [path for path in ours if path in done.after]
    assert [path for path in theirs if path in done.after] == theirs


def test_a_table_that_nobody_uses_is_not_made() -> None:
    names = "/proc/net/ip_tables_names /proc/net/ip6_tables_names"
    probe = f"cat {names}; {firewall.TOOLS}/nft list ruleset"
    done = removals.run(node(), scripts()[1], usr=usr(), probe=probe)
    assert done.status == 0 and done.probed == ("", "")


@pytest.mark.parametrize(("family", "kind"), KINDS)
def test_a_chain_that_a_rule_of_others_leads_to_stays_and_is_told(family: int, kind: str) -> None:
    tree = node()
    seed(tree, family, kind)
    tool = firewall.tool(family, kind)
    mine = "-A DOCKER-USER -p tcp -m tcp --dport 99 -j KUBE-FORWARD"
    other = "-A INPUT -p tcp -m tcp --dport 98 -g KUBE-FIREWALL"
    tree.shell(f"{tool} -w {mine}\n{tool} -w {other}")
    done = run(tree)
    lines = rules_after(done)
    assert mine in lines and other in lines
    left = [line for line in lines if "KUBE-F" in line and line[0] == ":"]
    assert [line.split()[0] for line in left] == [":KUBE-FIREWALL", ":KUBE-FORWARD"]
    assert not any(line.startswith("-A KUBE-F") for line in lines)
    for chain, rule in (("KUBE-FORWARD", mine), ("KUBE-FIREWALL", other)):
        place = f"the table filter (IPv{family}, {kind})"
        text = f"chain {chain} of {place} stays: a rule of others leads to it: {rule}"
        assert text in notes(done)


@pytest.mark.parametrize(("family", "kind"), KINDS)
def test_a_rule_of_the_users_that_resembles_one_of_k3s_stays(family: int, kind: str) -> None:
    tree = node()
    seed(tree, family, kind)
    tool = firewall.tool(family, kind)
    comment = '-m comment --comment "kubernetes forwarding rules"'
    rules = [
        f"-A FORWARD -i mine0 {comment} -j KUBE-FORWARD",
        f"-A FORWARD {comment} -j ACCEPT",
        f"-A DOCKER-USER {comment} -j RETURN",
    ]
    tree.shell("\n".join(f"{tool} -w {rule}" for rule in rules))
    done = run(tree)
    assert set(rules) <= set(done.probed[1].splitlines())
    assert any(line.startswith("chain KUBE-FORWARD ") for line in notes(done))


@pytest.mark.parametrize("kind", ["nft", "legacy"])
def test_ports_of_podmans_containers_stay(kind: str) -> None:
    tree = node()
    name = f'dnat name: \\"podman\\" id: \\"{firewall.POD}\\"'
    podman = f'-A CNI-HOSTPORT-DNAT -p tcp -m comment --comment "{name}" -j {firewall.PODMAN}'
    rules = [podman, f"-A {firewall.PODMAN} -p tcp -j CNI-HOSTPORT-SETMARK"]
    seed(tree, 4, kind)
    tree.shell(firewall.restore(4, kind, {"nat": firewall.table("nat", [firewall.PODMAN], rules)}))
    done = run(tree)
    after = done.probed[1]
    assert set(rules) <= set(after.splitlines())
    assert "-A PREROUTING -m addrtype --dst-type LOCAL -j CNI-HOSTPORT-DNAT" in after
    assert firewall.DNAT not in after and "cbr0" not in after
    assert any("CNI-HOSTPORT-DNAT" in line and "others" in line for line in notes(done))


@pytest.mark.parametrize("own", [False, True])
@pytest.mark.parametrize("kind", ["nft", "legacy"])
def test_what_others_add_meanwhile_stays(kind: str, own: bool) -> None:
    """A table that is restored whole loses what was added since it was read."""
    tree = node(tools=not own)
    seed(tree, 4, kind)
    for end in ("", "-save", "-restore") if own else ():
        tree.stub(f"iptables{end}", f'exec {firewall.tool(4, kind)}{end} "$@"')
    tool = firewall.tool(4, kind)
    tree.shell(f"{tool} -w -N MEANWHILE")
    adding = (
        "(for n in $(seq 2000 2119); do "
        f"{tool} -w -A MEANWHILE -p tcp --dport $n -j ACCEPT; "
        f"{tool} -w -I INPUT -p tcp --dport $n -j MEANWHILE; done) &\n"
    )
    done = removals.run(tree, f"{adding}({scripts()[1]}\n)\nwait", usr=usr(), probe=PROBE)
    assert done.status == 0, done.stderr
    after = done.probed[1]
    assert after.count("-j MEANWHILE") == 120 and after.count("-A MEANWHILE") == 120
    rest = [line for line in rules_after(done) if "MEANWHILE" not in line]
    assert rest == without_k3s((4, kind))


def test_without_programs_nothing_is_said_to_be_removed() -> None:
    tree = node(tools=False)
    for family, kind in KINDS:
        seed(tree, family, kind)
    done = run(tree)
    assert rules_after(done) == firewall.normal(done.probed[0])
    told = [line for line in notes(done) if line.startswith("not checked: the firewall")]
    assert [f"(IPv{family}, {kind})" in " ".join(told) for family, kind in KINDS] == [True] * 4


def test_rules_of_nftables_in_the_same_table_stay() -> None:
    """Iptables prints such a rule as one that accepts everything."""
    tree = node()
    seed(tree, 4, "nft")
    nft = f"{firewall.TOOLS}/nft"
    tree.shell(f"{nft} add chain ip filter mine")
    tree.shell(f"{nft} add rule ip filter mine tcp dport '{{ 1, 2 }}' accept")
    probe = f"{nft} list chain ip filter mine"
    done = removals.run(tree, scripts()[1], usr=usr(), probe=probe)
    assert "tcp dport { 1, 2 } accept" in done.probed[1] and done.probed[0] == done.probed[1]


@pytest.mark.parametrize("fault", ["-S", "-D", "-X"])
def test_a_table_that_cannot_be_read_or_changed_is_told(fault: str) -> None:
    tree = node()
    seed(tree, 4, "nft")
    words = "table is incompatible, use 'nft' tool"
    refuse = f'case " $* " in *" {fault} "*) echo "{words}" >&2; exit 1;; esac'
    tree.stub("iptables-nft", f'{refuse}\nexec {firewall.tool(4, "nft")} "$@"')
    done = run(tree)
    told = " ".join(notes(done))
    if fault == "-S":
        assert firewall.normal(done.probed[0]) == rules_after(done)
        place = "the table filter (IPv4, nft)"
        assert f"not checked: {place}, which iptables cannot read: {words}" in notes(done)
    elif fault == "-D":
        assert "iptables refused to remove it: -A INPUT -j KUBE-FIREWALL" in told
        assert "chain KUBE-FIREWALL of the table filter (IPv4, nft) stays" in told
    else:
        assert "chain KUBE-SVC-" in told and "the kernel refused to remove it" in told


def test_sets_and_tables_of_nftables_go_by_name() -> None:
    tree = node()
    ipset, nft = f"{firewall.TOOLS}/ipset", f"{firewall.TOOLS}/nft"
    h = firewall.HASHES[0]
    own = [f"KUBE-SRC-{h}", f"inet6:KUBE-DST-{h}", "KUBE-6-CLUSTER-IP"]
    others = ["KUBE-SRC-mine", "docker-ext", "used"]
    tree.shell("\n".join(f"{ipset} create {name} hash:ip" for name in (*own, *others)))
    tree.shell(f"{ipset} create KUBE-DST-{h} hash:ip")
    match = f"-m set --match-set KUBE-DST-{h} src"
    tree.shell(f"{firewall.tool(4, 'nft')} -A INPUT {match} -j ACCEPT")
    for table in (*network.NFT_TABLES, "table inet mine", "table ip kube-proxy-mine"):
        tree.shell(f"{nft} add {table}")
    probe = f"{ipset} list -n; {nft} list tables"
    done = removals.run(tree, scripts()[1], usr=usr(), probe=probe)
    assert done.status == 0, done.stderr
    assert set(own) <= set(done.probed[0].splitlines())
    after = ["table inet mine", "table ip filter", "table ip kube-proxy-mine"]
    assert sorted(done.probed[1].splitlines()) == sorted([*others, f"KUBE-DST-{h}", *after])
    assert f"the ipset KUBE-DST-{h} stays: something still uses it" in notes(done)


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
    tree = node()
    interfaces(tree)
    done = removals.run(tree, scripts()[1], usr=usr(), probe=LINKS)
    assert done.status == 0, done.stderr
    assert {"cni0", "flannel.1", firewall.POD_NAMESPACE} <= set(done.probed[0].split())
    assert done.probed[1].split() == ["docker0", "lo", "vethabcdef1", "vethabcdef2", "cni-mine"]
    assert "the network namespace cni-mine stays: it is not a pod's" in notes(done)


def test_a_bridge_and_a_namespace_that_others_use_stay() -> None:
    tree = node()
    interfaces(tree)
    tree.shell("ip link add tap0 type veth peer name tap1\nip link set tap0 master cni0")
    busy = f"ip netns exec {firewall.POD_NAMESPACE} sleep 60 &\nother=$!\nsleep 0.2\n"
    script = f"{busy}({scripts()[1]}\n)\nkill $other"
    done = removals.run(tree, script, usr=usr(), probe=LINKS)
    assert done.status == 0, done.stderr
    after = set(done.probed[1].split())
    assert {"cni0", "tap0", firewall.POD_NAMESPACE} <= after and "flannel.1" not in after
    told = " ".join(notes(done))
    assert "tap0, which is not a pod's" in told and "a process of others runs in it" in told


def test_a_second_run_removes_nothing_more() -> None:
    tree = node()
    interfaces(tree)
    for family, kind in KINDS:
        seed(tree, family, kind)
    first = run(tree)
    both = removals.run(tree, f"({scripts()[0]}\n)\n({scripts()[0]}\n)\n", usr=usr(), probe=PROBE)
    assert both.status == 0, both.stderr
    assert rules_after(both) == rules_after(first)


def test_a_bridge_that_was_there_before_k3s_stays() -> None:
    tree = node()
    tree.file(network.RECORD, "sysctl net/ipv4/ip_forward 0\ninterface cni0\n")
    tree.shell("ip link add cni0 type bridge")
    done = removals.run(tree, scripts()[1], usr=usr(), probe=LINKS)
    assert done.probed[1].split() == ["cni0", "lo"]
    assert "the interface cni0 stays: it was there before k3s" in notes(done)


def test_sockets_of_shims_go_and_those_of_others_stay() -> None:
    tree = node()
    folder, theirs = "/run/containerd/s", "c" * 64
    task = f"/run/k3s/containerd/io.containerd.runtime.v2.task/k8s.io/{firewall.POD}"
    tree.file(f"{task}/address", f"unix://{folder}/{'a' * 64}")
    tree.file(f"{task}/bootstrap.json", f'{{"address":"unix://{folder}/{"b" * 64}"}}')
    for name in ("a" * 64, "b" * 64, theirs):
        tree.file(f"{folder}/{name}")
    tree.file(f"/run/containerd/runc/k8s.io/{firewall.POD}/state.json")
    tree.file(f"/run/containerd/runc/k8s.io/{theirs}/state.json")
    done = run(tree)
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
    tree = node()
    tree.shell(f"cp /bin/sh {shim}\n{shim} -c 'sleep 300; :' shim {arguments} >/dev/null 2>&1 &")
    folder, theirs = "/run/containerd/s", "c" * 64
    tree.file(f"{folder}/{name}")
    tree.file(f"{folder}/{theirs}")
    done = run(tree, killall=True)
    assert {path for path in done.after if path.startswith(folder)} == {f"{folder}/{theirs}"}


LISTEN = """perl -MIO::Socket::UNIX -e '
my $made = IO::Socket::UNIX->new(Local => "{at}", Listen => 1); sleep 300' >/dev/null 2>&1 &
until grep -q {at} /proc/net/unix; do sleep 0.05; done"""


@pytest.mark.parametrize("another", [False, True], ids=["alone", "beside another containerd"])
def test_sockets_of_shims_that_were_killed_before_the_last_start(another: bool) -> None:
    """Nothing names them: they go only where they can be nobody else's."""
    tree = node()
    left = f"/run/containerd/s/{'d' * 64}"
    tree.special(left, "socket")
    if another:
        theirs = "/run/docker/containerd.sock"
        tree.folder("/run/docker")
        tree.shell(LISTEN.format(at=theirs))
    assert (left in run(tree).after) is another


# -- kernel settings -----------------------------------------------------------

ESTABLISHED = "net/netfilter/nf_conntrack_tcp_timeout_established"
FAKE = ("kernel/panic", "kernel/panic_on_oops", "vm/overcommit_memory")


def settings(tree: removals.Tree, values: dict[str, str], *, record: str) -> str:
    """Give the node settings, those that are this machine's as files; return the probe."""
    for folder in ("kernel", "vm"):
        for path in FAKE:
            if path.startswith(folder):
                tree.file(f"/fake/{path}", values[path] + "\n")
        tree.shell(f"mount --bind /fake/{folder} /proc/sys/{folder}")
    for path, value in values.items():
        if path not in FAKE:
            tree.shell(f"echo {value} >/proc/sys/{path}")
    if record:
        tree.file(network.RECORD, record)
    return "\n".join(f"echo {path} $(cat /proc/sys/{path})" for path in sorted(values))


K3S = {
    "net/ipv4/ip_forward": "1",
    "net/ipv4/conf/all/route_localnet": "1",
    ESTABLISHED: "86400",
    "kernel/panic": "10",
    "kernel/panic_on_oops": "1",
    "vm/overcommit_memory": "1",
}
BEFORE = K3S | {
    "net/ipv4/ip_forward": "0",
    "net/ipv4/conf/all/route_localnet": "0",
    ESTABLISHED: "432000",
    "kernel/panic": "0",
    "kernel/panic_on_oops": "0",
    "vm/overcommit_memory": "0",
}
RECORD = "".join(f"sysctl {path} {value}\n" for path, value in BEFORE.items())


def after(done: removals.Done) -> dict[str, str]:
    return dict(line.split(" ", 1) for line in done.probed[1].splitlines())


def test_settings_are_set_back_but_for_routing() -> None:
    tree = node()
    probe = settings(tree, K3S, record=RECORD)
    done = removals.run(tree, scripts()[1], usr=usr(), probe=probe)
    assert done.status == 0, done.stderr
    assert after(done) == BEFORE | {"net/ipv4/ip_forward": "1"}
    told = [line for line in notes(done) if "kernel setting " in line]
    assert told == [
        "the kernel setting net.ipv4.ip_forward stays 1, before k3s it was 0: "
        "the node may route for others by now"
    ]
    assert network.RECORD not in done.after and "/var/lib/elysium" not in done.folders


def test_settings_that_the_user_or_others_need_stay() -> None:
    tree = node()
    probe = settings(tree, K3S | {"kernel/panic": "30"}, record=RECORD)
    tree.file("/etc/sysctl.d/90-mine.conf", "# mine\nvm.overcommit_memory = 1\n")
    tree.shell("ip link add docker0 type bridge")
    done = removals.run(tree, scripts()[1], usr=usr(), probe=probe)
    expected = K3S | {"kernel/panic": "30", "kernel/panic_on_oops": "0", ESTABLISHED: "432000"}
    assert after(done) == expected
    told = "\n".join(notes(done))
    for words in (
        "kernel.panic stays 30, before k3s it was 0: it is not k3s' value",
        "vm.overcommit_memory stays 1, before k3s it was 0: /etc/sysctl.d/90-mine.conf sets it",
        "route_localnet stays 1, before k3s it was 0: the bridge docker0 may need it",
    ):
        assert words in told


def test_settings_without_a_record_stay_and_are_told() -> None:
    tree = node()
    probe = settings(tree, K3S, record="")
    done = removals.run(tree, scripts()[1], usr=usr(), probe=probe)
    assert after(done) == K3S
    (told,) = [line for line in notes(done) if "kernel settings" in line]
    assert "kernel.panic" in told and "nothing says what they were before" in told


def test_the_record_is_of_before_the_first_start() -> None:
    tree = removals.Tree()
    settings(tree, BEFORE, record="")
    script = network.render_record(files.STARTED)
    done = removals.run(tree, script, usr=usr())
    recorded = done.after[network.RECORD]
    assert set(RECORD.splitlines()) <= set(recorded.splitlines())
    later = removals.Tree()
    later.file(files.STARTED)
    assert network.RECORD not in removals.run(later, script, usr=usr()).after
    kept = removals.Tree()
    kept.file(network.RECORD, "sysctl kernel/panic 7\n")
    assert removals.run(kept, script, usr=usr()).after == {
        network.RECORD: "sysctl kernel/panic 7\n"
    }

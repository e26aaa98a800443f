"""Rules and sets that k3s leaves in the firewall, on real tables in a namespace."""

from __future__ import annotations

import pytest

from provision.provider.k3s import network
from tests.support import firewall, remains, removals

pytestmark = [pytest.mark.sandbox, pytest.mark.timeout(180)]


@pytest.mark.parametrize("killall", [False, True])
@pytest.mark.parametrize(("family", "kind"), remains.KINDS)
def test_only_rules_and_chains_of_k3s_go(family: int, kind: str, killall: bool) -> None:
    tree = remains.node()
    remains.seed(tree, family, kind)
    done = remains.run(tree, killall=killall)
    assert done.probed[0].count("KUBE-") > 60 and "CNI-DN-" in done.probed[0]
    assert remains.rules_after(done) == remains.without_k3s((family, kind))
    assert "/tmp/bad" not in done.after


@pytest.mark.parametrize("shell", ["/bin/sh", "/bin/bash"])
def test_both_kinds_and_families_at_once_and_the_users_chains_are_told(shell: str) -> None:
    tree = remains.node()
    for family, kind in remains.KINDS:
        remains.seed(tree, family, kind)
    done = remains.run(tree, shell=shell)
    assert remains.rules_after(done) == remains.without_k3s(*remains.KINDS)
    told = remains.notes(done)
    assert sum("KUBE-MINE" in line for line in told) == 4
    assert sum("KUBE-ROUTERS" in line for line in told) == 4
    assert not any("not checked" in line for line in told)


@pytest.mark.parametrize("killall", [False, True])
def test_what_containerd_keeps_of_k3s_pods_goes_and_that_of_others_stays(killall: bool) -> None:
    """Each pod has a loopback besides: its network has a name that every containerd uses."""
    tree = remains.node(tools=False)
    results, other = "/var/lib/cni/results", "f" * 64
    ours = [f"{results}/cbr0-{firewall.POD}-eth0", f"{results}/cni-loopback-{firewall.POD}-lo"]
    theirs = [f"{results}/podman-{other}-eth0", f"{results}/cni-loopback-{other}-lo"]
    for path in (*ours, *theirs):
        tree.file(path)
    done = remains.run(tree, killall=killall)
    assert not [path for path in ours if path in done.after]
    assert [path for path in theirs if path in done.after] == theirs


def test_a_table_that_nobody_uses_is_not_made() -> None:
    names = "/proc/net/ip_tables_names /proc/net/ip6_tables_names"
    probe = f"cat {names}; {firewall.TOOLS}/nft list ruleset"
    done = removals.run(remains.node(), remains.scripts()[1], usr=remains.usr(), probe=probe)
    assert done.status == 0 and done.probed == ("", "")


@pytest.mark.parametrize(("family", "kind"), remains.KINDS)
def test_a_chain_that_a_rule_of_others_leads_to_stays_and_is_told(family: int, kind: str) -> None:
    tree = remains.node()
    remains.seed(tree, family, kind)
    tool = firewall.tool(family, kind)
    mine = "-A DOCKER-USER -p tcp -m tcp --dport 99 -j KUBE-FORWARD"
    other = "-A INPUT -p tcp -m tcp --dport 98 -g KUBE-FIREWALL"
    tree.shell(f"{tool} -w {mine}\n{tool} -w {other}")
    done = remains.run(tree)
    lines = remains.rules_after(done)
    assert mine in lines and other in lines
    left = [line for line in lines if "KUBE-F" in line and line[0] == ":"]
    assert [line.split()[0] for line in left] == [":KUBE-FIREWALL", ":KUBE-FORWARD"]
    assert not any(line.startswith("-A KUBE-F") for line in lines)
    for chain, rule in (("KUBE-FORWARD", mine), ("KUBE-FIREWALL", other)):
        place = f"the table filter (IPv{family}, {kind})"
        text = f"chain {chain} of {place} stays: a rule of others leads to it: {rule}"
        assert text in remains.notes(done)


@pytest.mark.parametrize(("family", "kind"), remains.KINDS)
def test_a_rule_of_the_users_that_resembles_one_of_k3s_stays(family: int, kind: str) -> None:
    tree = remains.node()
    remains.seed(tree, family, kind)
    tool = firewall.tool(family, kind)
    comment = '-m comment --comment "kubernetes forwarding rules"'
    rules = [
        f"-A FORWARD -i mine0 {comment} -j KUBE-FORWARD",
        f"-A FORWARD {comment} -j ACCEPT",
        f"-A DOCKER-USER {comment} -j RETURN",
    ]
    tree.shell("\n".join(f"{tool} -w {rule}" for rule in rules))
    done = remains.run(tree)
    assert set(rules) <= set(done.probed[1].splitlines())
    assert any(line.startswith("chain KUBE-FORWARD ") for line in remains.notes(done))


@pytest.mark.parametrize("kind", ["nft", "legacy"])
def test_ports_of_podmans_containers_stay(kind: str) -> None:
    tree = remains.node()
    name = f'dnat name: \\"podman\\" id: \\"{firewall.POD}\\"'
    podman = f'-A CNI-HOSTPORT-DNAT -p tcp -m comment --comment "{name}" -j {firewall.PODMAN}'
    rules = [podman, f"-A {firewall.PODMAN} -p tcp -j CNI-HOSTPORT-SETMARK"]
    remains.seed(tree, 4, kind)
    tree.shell(firewall.restore(4, kind, {"nat": firewall.table("nat", [firewall.PODMAN], rules)}))
    done = remains.run(tree)
    after = done.probed[1]
    assert set(rules) <= set(after.splitlines())
    assert "-A PREROUTING -m addrtype --dst-type LOCAL -j CNI-HOSTPORT-DNAT" in after
    assert firewall.DNAT not in after and "cbr0" not in after
    assert any("CNI-HOSTPORT-DNAT" in line and "others" in line for line in remains.notes(done))


@pytest.mark.parametrize("own", [False, True])
@pytest.mark.parametrize("kind", ["nft", "legacy"])
def test_what_others_add_meanwhile_stays(kind: str, own: bool) -> None:
    """A table that is restored whole loses what was added since it was read."""
    tree = remains.node(tools=not own)
    remains.seed(tree, 4, kind)
    for end in ("", "-save", "-restore") if own else ():
        tree.stub(f"iptables{end}", f'exec {firewall.tool(4, kind)}{end} "$@"')
    tool = firewall.tool(4, kind)
    tree.shell(f"{tool} -w -N MEANWHILE")
    adding = (
        "(for n in $(seq 2000 2119); do "
        f"{tool} -w -A MEANWHILE -p tcp --dport $n -j ACCEPT; "
        f"{tool} -w -I INPUT -p tcp --dport $n -j MEANWHILE; done) &\n"
    )
    done = removals.run(
        tree, f"{adding}({remains.scripts()[1]}\n)\nwait", usr=remains.usr(), probe=remains.PROBE
    )
    assert done.status == 0, done.stderr
    after = done.probed[1]
    assert after.count("-j MEANWHILE") == 120 and after.count("-A MEANWHILE") == 120
    rest = [line for line in remains.rules_after(done) if "MEANWHILE" not in line]
    assert rest == remains.without_k3s((4, kind))


def test_without_programs_nothing_is_said_to_be_removed() -> None:
    tree = remains.node(tools=False)
    for family, kind in remains.KINDS:
        remains.seed(tree, family, kind)
    done = remains.run(tree)
    assert remains.rules_after(done) == firewall.normal(done.probed[0])
    told = [line for line in remains.notes(done) if line.startswith("not checked: the firewall")]
    assert [f"(IPv{family}, {kind})" in " ".join(told) for family, kind in remains.KINDS] == [
        True
    ] * 4


def test_rules_of_nftables_in_the_same_table_stay() -> None:
    """Iptables prints such a rule as one that accepts everything."""
    tree = remains.node()
    remains.seed(tree, 4, "nft")
    nft = f"{firewall.TOOLS}/nft"
    tree.shell(f"{nft} add chain ip filter mine")
    tree.shell(f"{nft} add rule ip filter mine tcp dport '{{ 1, 2 }}' accept")
    probe = f"{nft} list chain ip filter mine"
    done = removals.run(tree, remains.scripts()[1], usr=remains.usr(), probe=probe)
    assert "tcp dport { 1, 2 } accept" in done.probed[1] and done.probed[0] == done.probed[1]


@pytest.mark.parametrize("fault", ["-S", "-D", "-X"])
def test_a_table_that_cannot_be_read_or_changed_is_told(fault: str) -> None:
    tree = remains.node()
    remains.seed(tree, 4, "nft")
    words = "table is incompatible, use 'nft' tool"
    refuse = f'case " $* " in *" {fault} "*) echo "{words}" >&2; exit 1;; esac'
    tree.stub("iptables-nft", f'{refuse}\nexec {firewall.tool(4, "nft")} "$@"')
    done = remains.run(tree)
    told = " ".join(remains.notes(done))
    if fault == "-S":
        assert firewall.normal(done.probed[0]) == remains.rules_after(done)
        place = "the table filter (IPv4, nft)"
        assert f"not checked: {place}, which iptables cannot read: {words}" in remains.notes(done)
    elif fault == "-D":
        assert "iptables refused to remove it: -A INPUT -j KUBE-FIREWALL" in told
        assert "chain KUBE-FIREWALL of the table filter (IPv4, nft) stays" in told
    else:
        assert "chain KUBE-SVC-" in told and "the kernel refused to remove it" in told


def test_sets_and_tables_of_nftables_go_by_name() -> None:
    tree = remains.node()
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
    done = removals.run(tree, remains.scripts()[1], usr=remains.usr(), probe=probe)
    assert done.status == 0, done.stderr
    assert set(own) <= set(done.probed[0].splitlines())
    after = ["table inet mine", "table ip filter", "table ip kube-proxy-mine"]
    assert sorted(done.probed[1].splitlines()) == sorted([*others, f"KUBE-DST-{h}", *after])
    assert f"the ipset KUBE-DST-{h} stays: something still uses it" in remains.notes(done)

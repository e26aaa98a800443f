"""Rules, interfaces and sets as k3s makes them, and as others do, for tests in a namespace.

Facts: ``iptables-save`` of real k3s servers, and the sources that `provision.provider.k3s.network`
names.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

TOOLS = "/usr/lib/elysium-sandbox"
"""Where the sandbox's Debian has iptables, which its PATH does not name."""
RELEASE = "ab12" * 16
DATA = "/var/lib/rancher/k3s"
HASHES = ("ERIFXISQEP7F7OF4", "JD5MR3NA4I4DYORP", "NPX46M4PTMTKRN6Y", "TCOU7JCQXEZGVUNU")
POD = "0123456789abcdef" * 4
DNAT = "CNI-DN-468dd58cba3917282a108"
PODMAN = "CNI-DN-dae2e2caa00ed8d022728"
POD_NAMESPACE = "cni-1c0ffee1-2222-3333-4444-55556666aaaa"


def k3s(family: int) -> dict[str, str]:
    """Return each table of k3s in the form of ``iptables-restore``."""
    pod, everything = ("10.42.0.5/32", "0.0.0.0/0") if family == 4 else ("fd42::5/128", "::/0")
    comment = "-m comment --comment"
    nat = [
        f'-A PREROUTING {comment} "kubernetes service portals" -j KUBE-SERVICES',
        f'-A OUTPUT {comment} "kubernetes service portals" -j KUBE-SERVICES',
        f'-A POSTROUTING {comment} "flanneld masq" -j FLANNEL-POSTRTG',
        f'-A POSTROUTING {comment} "kubernetes postrouting rules" -j KUBE-POSTROUTING',
        "-A PREROUTING -m addrtype --dst-type LOCAL -j CNI-HOSTPORT-DNAT",
        "-A OUTPUT -m addrtype --dst-type LOCAL -j CNI-HOSTPORT-DNAT",
        f'-A POSTROUTING {comment} "CNI portfwd requiring masquerade" -j CNI-HOSTPORT-MASQ',
        f'-A CNI-HOSTPORT-DNAT -p tcp {comment} "dnat name: \\"cbr0\\" id: \\"{POD}\\"" '
        f"-m multiport --dports 80,443 -j {DNAT}",
        "-A CNI-HOSTPORT-MASQ -m mark --mark 0x2000/0x2000 -j MASQUERADE",
        f'-A CNI-HOSTPORT-SETMARK {comment} "CNI portfwd masquerade mark" '
        "-j MARK --set-xmark 0x2000/0x2000",
        f"-A {DNAT} -s {pod} -p tcp -m tcp --dport 80 -j CNI-HOSTPORT-SETMARK",
        f'-A FLANNEL-POSTRTG -m mark --mark 0x4000/0x4000 {comment} "flanneld masq" -j RETURN',
        "-A KUBE-MARK-MASQ -j MARK --set-xmark 0x4000/0x4000",
        "-A KUBE-POSTROUTING -m mark ! --mark 0x4000/0x4000 -j RETURN",
        f'-A KUBE-POSTROUTING {comment} "kubernetes service traffic requiring SNAT" '
        "-j MASQUERADE --random-fully",
        f'-A KUBE-SERVICES {comment} "kubernetes service nodeports; NOTE: this must be the last '
        'rule in this chain" -m addrtype --dst-type LOCAL -j KUBE-NODEPORTS',
    ]
    chains = ["CNI-HOSTPORT-DNAT", "CNI-HOSTPORT-MASQ", "CNI-HOSTPORT-SETMARK", DNAT]
    chains += ["FLANNEL-POSTRTG", "KUBE-KUBELET-CANARY", "KUBE-MARK-MASQ", "KUBE-NODEPORTS"]
    chains += ["KUBE-POSTROUTING", "KUBE-PROXY-CANARY", "KUBE-SERVICES"]
    for hash_ in HASHES:
        chains += [f"KUBE-SVC-{hash_}", f"KUBE-SEP-{hash_}", f"KUBE-EXT-{hash_}"]
        nat += [
            f'-A KUBE-SERVICES {comment} "default/x:http cluster IP" -j KUBE-SVC-{hash_}',
            f"-A KUBE-EXT-{hash_} -j KUBE-SVC-{hash_}",
            f'-A KUBE-SVC-{hash_} {comment} "default/x -> y" -j KUBE-SEP-{hash_}',
            f'-A KUBE-SEP-{hash_} {comment} "default/x" -j KUBE-MARK-MASQ',
        ]
    new = "-m conntrack --ctstate NEW"
    portals = "kubernetes externally-visible service portals"
    accept = "KUBE-ROUTER rule to explicitly ACCEPT traffic that comply to network policies"
    filters = [
        "-A INPUT -j KUBE-FIREWALL",
        "-A OUTPUT -j KUBE-FIREWALL",
        f'-A INPUT {comment} "kubernetes health check service ports" -j KUBE-NODEPORTS',
        f'-A INPUT {new} {comment} "{portals}" -j KUBE-EXTERNAL-SERVICES',
        f'-A FORWARD {new} {comment} "{portals}" -j KUBE-EXTERNAL-SERVICES',
        f'-A FORWARD {comment} "kubernetes forwarding rules" -j KUBE-FORWARD',
        f'-A FORWARD {comment} "flanneld forward" -j FLANNEL-FWD',
        f"-A KUBE-ROUTER-FORWARD -s {everything} -j KUBE-POD-FW-{HASHES[0]}",
        f"-A KUBE-POD-FW-{HASHES[0]} -j KUBE-NWPLCY-{HASHES[1]}",
        f"-A KUBE-POD-FW-{HASHES[0]} -j KUBE-NWPLCY-DEFAULT",
    ]
    for chain, hash_ in zip(("INPUT", "FORWARD", "OUTPUT"), HASHES, strict=False):
        filters += [
            f'-A {chain} {comment} "kube-router netpol - {hash_}" -j KUBE-ROUTER-{chain}',
            f'-A {chain} {new} {comment} "kubernetes load balancer firewall" '
            "-j KUBE-PROXY-FIREWALL",
            f'-A {chain} {comment} "{accept}" -m mark --mark 0x20000/0x20000 -j ACCEPT',
        ]
    own = ["KUBE-FIREWALL", "KUBE-NODEPORTS", "KUBE-EXTERNAL-SERVICES", "KUBE-FORWARD"]
    own += ["FLANNEL-FWD", "KUBE-PROXY-FIREWALL", "KUBE-KUBELET-CANARY", "KUBE-NWPLCY-DEFAULT"]
    own += [f"KUBE-ROUTER-{chain}" for chain in ("INPUT", "FORWARD", "OUTPUT")]
    own += [f"KUBE-POD-FW-{HASHES[0]}", f"KUBE-NWPLCY-{HASHES[1]}"]
    mangle = ["KUBE-IPTABLES-HINT", "KUBE-KUBELET-CANARY", "KUBE-PROXY-CANARY"]
    return {
        "nat": table("nat", chains, nat),
        "filter": table("filter", own, filters),
        "mangle": table("mangle", mangle, ()),
    }


def others(family: int) -> dict[str, str]:
    """Return rules of Docker, libvirt, Podman and the user, some of which speak of k3s."""
    comment = "-m comment --comment"
    hostile = 'it\'s \\"quoted\\" \\\\ $(touch /tmp/bad) `id`'
    word = "not k3s': KUBE-SERVICES, CNI- and flannel"
    local = "172.17.0.0/16" if family == 4 else "fd17::/64"
    nat = [
        "-A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER",
        f"-A POSTROUTING -s {local} ! -o docker0 -j MASQUERADE",
        f'-A PREROUTING -p tcp -m tcp --dport 7 {comment} "{word}" -j DOCKER',
        "-A KUBE-MINE -p tcp -m tcp --dport 8 -j RETURN",
        "-A DOCKER -i docker0 -j RETURN",
    ]
    filters = [
        f'-A INPUT -p tcp -m tcp --dport 22 {comment} "KUBE-FIREWALL -j KUBE-FORWARD" -j ACCEPT',
        f'-A INPUT -p udp {comment} "{hostile}" -j LIBVIRT_INP',
        "-A FORWARD -j DOCKER-USER",
        "-A FORWARD -i virbr0 -m mark --mark 0x20000/0x20000 -j ACCEPT",
        '-A INPUT -p tcp -j LOG --log-prefix " -j KUBE-FORWARD"',
        "-A DOCKER-USER -j RETURN",
    ]
    return {
        "nat": table("nat", ("DOCKER", "KUBE-MINE"), nat),
        "filter": table("filter", ("DOCKER-USER", "LIBVIRT_INP", "KUBE-ROUTERS"), filters),
    }


def table(name: str, chains: Iterable[str], rules: Iterable[str]) -> str:
    """Return one table in the form of ``iptables-restore``."""
    made = "".join(f":{chain} - [0:0]\n" for chain in chains)
    return f"*{name}\n{made}" + "".join(f"{rule}\n" for rule in rules) + "COMMIT\n"


def tool(family: int, kind: str) -> str:
    """Return iptables of a family and a kind (nft, legacy), as words for a shell."""
    return f"{TOOLS}/xtables-{kind}-multi {'iptables' if family == 4 else 'ip6tables'}"


def restore(family: int, kind: str, tables: dict[str, str]) -> str:
    """Return the script that adds `tables`."""
    text = "".join(tables.values())
    return f"{tool(family, kind)}-restore -w --noflush <<'END'\n{text}END\n"


def save(family: int, kind: str) -> str:
    """Return the script that prints all rules."""
    return f"{tool(family, kind)}-save 2>/dev/null\n"


def normal(saved: str) -> list[str]:
    """Return saved rules without counters, dates, the kernel's chains and empty tables."""
    lines = [re.sub(r" \[[0-9:]*\]$", "", line) for line in saved.splitlines()]
    kept = [line for line in lines if line[:2] != "# " and not line.endswith(" ACCEPT")]
    text = "".join(f"{line}\n" for line in kept)
    return re.sub(r"^\*\w+\nCOMMIT\n", "", text, flags=re.MULTILINE).splitlines()

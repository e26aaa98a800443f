"""What k3s adds to a node's firewall, interfaces and kernel settings, by name. Pure.

Names are shell patterns. A removal takes what these patterns name and nothing
else, so a name that is missing here stays on the node and is listed.

Facts: k3s' ``pkg/agent/syssetup``, the kubelet, kube-proxy (iptables, ipvs,
nftables), kube-router's network policies, flannel, the ``portmap`` and
``firewall`` plug-ins of CNI, and rules of real k3s servers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from provision.provider import node_templates

RECORD: Final = "/var/lib/elysium/k3s-before"
"""What the node had before k3s started for the first time."""

_HASH: Final = "[A-Z0-9]" * 16
_HEX: Final = "[0-9a-f]"

CHAINS: Final = (
    # kube-proxy and the kubelet
    *("KUBE-SERVICES", "KUBE-EXTERNAL-SERVICES", "KUBE-NODEPORTS", "KUBE-POSTROUTING"),
    *("KUBE-MARK-MASQ", "KUBE-MARK-DROP", "KUBE-FORWARD", "KUBE-FIREWALL"),
    *("KUBE-PROXY-FIREWALL", "KUBE-PROXY-CANARY", "KUBE-KUBELET-CANARY", "KUBE-IPTABLES-HINT"),
    *("KUBE-LOAD-BALANCER", "KUBE-NODE-PORT", "KUBE-SOURCE-RANGES-FIREWALL"),
    *("KUBE-IPVS-FILTER", "KUBE-IPVS-OUT-FILTER"),
    *(f"KUBE-{kind}-{_HASH}" for kind in ("SVC", "SVL", "SEP", "EXT", "FW", "XLB")),
    # kube-router
    *("KUBE-ROUTER-INPUT", "KUBE-ROUTER-FORWARD", "KUBE-ROUTER-OUTPUT"),
    *("KUBE-NWPLCY-DEFAULT", "KUBE-NWPLCY-COMMON", "KUBE-NWPLCY-TAIL"),
    *(f"KUBE-NWPLCY-{_HASH}", f"KUBE-POD-FW-{_HASH}"),
    # flannel
    *("FLANNEL-FWD", "FLANNEL-POSTRTG"),
)
"""Chains of k3s alone."""

JUMPS: Final = (
    *("kubernetes service portals", "kubernetes externally-visible service portals"),
    *("kubernetes health check service ports", "kubernetes forwarding rules"),
    *("kubernetes load balancer firewall", "kubernetes postrouting rules"),
    *("kubernetes ipvs access filter", "kube-proxy firewall rules"),
    *("flanneld masq", "flanneld forward"),
)
"""Comments of the rules that lead from the kernel's chains to these."""

ACCEPTS: Final = tuple(
    f'-A {chain} -m comment --comment "{owner}rule to explicitly ACCEPT traffic that comply to '
    'network policies" -m mark --mark 0x20000/0x20000 -j ACCEPT'
    for chain in ("INPUT", "FORWARD", "OUTPUT")
    for owner in ("KUBE-ROUTER ", "")
)
"""Rules of kube-router in the kernel's chains that lead to no chain of its own."""

CNI_CHAINS: Final = (f"CNI-DN-{_HEX * 21}", f"CNI-SN-{_HEX * 21}", f"CNI-{_HEX * 24}")
"""Chains of one container. Podman and nerdctl have such chains as well."""

NFT_TABLES: Final = (
    *("table ip kube-proxy", "table ip6 kube-proxy"),
    *("table ip kube-router-filter-ipv4", "table ip6 kube-router-filter-ipv6"),
    *("table ip flannel-ipv4", "table ip6 flannel-ipv6"),
)

_IPVS_SETS: Final = (
    *("LOOP-BACK", "CLUSTER-IP", "EXTERNAL-IP", "EXTERNAL-IP-LOCAL", "LOAD-BALANCER"),
    *("LOAD-BALANCER-LOCAL", "LOAD-BALANCER-FW", "LOAD-BALANCER-SOURCE-IP"),
    *("LOAD-BALANCER-SOURCE-CIDR", "NODE-PORT-TCP", "NODE-PORT-LOCAL-TCP", "NODE-PORT-UDP"),
    *("NODE-PORT-LOCAL-UDP", "NODE-PORT-SCTP-HASH", "NODE-PORT-LOCAL-SCTP-HASH"),
    *("HEALTH-CHECK-NODE-PORT", "IPVS-IPS"),
)
IPSETS: Final = (
    *(f"{family}KUBE-{end}-{_HASH}" for family in ("", "inet6:") for end in ("SRC", "DST")),
    *("kube-router-local-pods", "inet6:kube-router-local-pods"),
    *(f"KUBE-{family}{name}" for family in ("", "6-") for name in _IPVS_SETS),
)

INTERFACES: Final = (
    *("cni0", "flannel.1", "flannel-v6.1", "flannel-wg", "flannel-wg-v6", "kube-ipvs0"),
)
VETH: Final = f"veth{_HEX * 8}"
"""The node's end of a pod's interface, as the bridge plug-in of CNI calls it."""
NAMESPACE: Final = "cni-" + "-".join(_HEX * n for n in (8, 4, 4, 4, 12))
"""A pod's network namespace, as containerd calls it."""


@dataclass(frozen=True, kw_only=True)
class Setting:
    """A kernel setting that k3s changes: its name, k3s' value, and who else may need it.

    `needed_by`: ``routing`` for what every router needs, which stays; ``bridges``
    for what another bridge on the node needs; ``kubelet`` for what another
    kubelet needs; empty for nobody.
    """

    name: str
    value: str
    needed_by: Literal["", "routing", "bridges", "kubelet"] = ""
    is_default: bool = False

    @property
    def path(self) -> str:
        """Its path below ``/proc/sys``."""
        return self.name.replace(".", "/")


CONNTRACK_MAX: Final = "conntrack-max"
"""Stands for kube-proxy's value of ``nf_conntrack_max``, which depends on the processors."""

SETTINGS: Final = (
    *(
        Setting(name=f"net.{name}", value="1", needed_by="routing")
        for name in (
            *("ipv4.ip_forward", "ipv4.conf.all.forwarding", "ipv4.conf.default.forwarding"),
            *("ipv6.conf.all.forwarding", "ipv6.conf.default.forwarding"),
        )
    ),
    Setting(name="net.ipv4.conf.all.route_localnet", value="1", needed_by="bridges"),
    Setting(
        name="net.bridge.bridge-nf-call-iptables", value="1", needed_by="bridges", is_default=True
    ),
    Setting(
        name="net.bridge.bridge-nf-call-ip6tables", value="1", needed_by="bridges", is_default=True
    ),
    Setting(name="net.core.devconf_inherit_init_net", value="1", needed_by="bridges"),
    Setting(name="net.netfilter.nf_conntrack_max", value=CONNTRACK_MAX),
    Setting(name="net.netfilter.nf_conntrack_tcp_timeout_established", value="86400"),
    Setting(name="net.netfilter.nf_conntrack_tcp_timeout_close_wait", value="3600"),
    Setting(name="vm.overcommit_memory", value="1", needed_by="kubelet"),
    Setting(name="vm.panic_on_oom", value="0", needed_by="kubelet", is_default=True),
    Setting(name="kernel.panic", value="10", needed_by="kubelet"),
    Setting(name="kernel.panic_on_oops", value="1", needed_by="kubelet"),
    *(
        Setting(name=f"kernel.keys.{name}", value=value, needed_by="kubelet", is_default=True)
        for name, value in (("root_maxkeys", "1000000"), ("root_maxbytes", "25000000"))
    ),
)


def render_removal() -> str:
    """Return the part of a script that removes k3s' rules, interfaces, slices and sockets.

    The script sets ``data`` to k3s' data folder and ends what runs in pods first. The part
    prints a line ``note SENTENCE`` for what stays and for what it could not check.
    """
    return node_templates.render(
        "k3s-network.sh",
        interfaces=INTERFACES,
        veth=VETH,
        namespace=NAMESPACE,
        record=RECORD,
        hex_name=_HEX * 64,
        firewall=node_templates.render(
            "k3s-firewall.sh",
            chains=CHAINS,
            jumps=JUMPS,
            policy_hash=_HASH,
            accepts=ACCEPTS,
            cni_chains=CNI_CHAINS,
            ipsets=IPSETS,
            nft_tables=NFT_TABLES,
        ),
    )


def render_settings() -> str:
    """Return the part of a script that sets back kernel settings, and notes those that stay."""
    return node_templates.render(
        "k3s-settings.sh", settings=SETTINGS, record=RECORD, interfaces=INTERFACES
    )


def render_record(started: str) -> str:
    """Return the script that writes `RECORD` before k3s' first start.

    `started` is a file that a start of k3s leaves until the next boot.
    """
    return node_templates.render(
        "k3s-record.sh",
        settings=SETTINGS,
        record=RECORD,
        interfaces=INTERFACES,
        started=started,
    )

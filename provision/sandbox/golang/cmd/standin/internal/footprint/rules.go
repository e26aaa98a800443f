package footprint

import (
	"crypto/sha256"
	"encoding/base32"
	"fmt"
	"strings"
)

// family is IPv4 or IPv6, with the addresses that the rules name.
type family struct {
	command string // of iptables
	cluster string // all pods
	pods    []string
}

var families = []family{
	{command: "iptables", cluster: "10.42.0.0/16", pods: []string{"10.42.0.2", "10.42.0.3", "10.42.0.4"}},
	{command: "ip6tables", cluster: "fd42::/56"},
}

// services have cluster addresses of IPv4 only, as on a default server.
var services = []string{
	"default/kubernetes:https", "kube-system/kube-dns:dns", "kube-system/kube-dns:dns-tcp",
	"kube-system/kube-dns:metrics", "kube-system/metrics-server:https", "kube-system/traefik:web",
	"kube-system/traefik:websecure", "flux-system/source-controller:http",
	"flux-system/notification-controller:http", "flux-system/webhook-receiver:http",
}

// container is the pod whose port ServiceLB maps.
const container = "5eedc0de5eedc0de5eedc0de5eedc0de5eedc0de5eedc0de5eedc0de5eedc0de"

const (
	commented = `-m comment --comment "%s" `
	fresh     = "-m conntrack --ctstate NEW "
)

// table is what one table of the firewall gets.
type table struct {
	name   string
	chains []string
	rules  []string // of those chains
	jumps  []string // of the kernel's chains
}

func (t *table) add(format string, values ...any) {
	t.rules = append(t.rules, fmt.Sprintf(format, values...))
}
func (t *table) lead(format string, values ...any) {
	t.jumps = append(t.jumps, fmt.Sprintf(format, values...))
}

// hash is how kube-proxy and kube-router name the chains of an object.
func hash(text string) string {
	sum := sha256.Sum256([]byte(text))
	return base32.StdEncoding.EncodeToString(sum[:])[:16]
}

func (f family) tables() []*table { return []*table{f.nat(), f.filter(), f.mangle()} }

func (f family) nat() *table {
	t := &table{name: "nat", chains: strings.Fields(`FLANNEL-POSTRTG KUBE-KUBELET-CANARY KUBE-MARK-MASQ
		KUBE-NODEPORTS KUBE-POSTROUTING KUBE-PROXY-CANARY KUBE-SERVICES`)}
	for _, chain := range []string{"PREROUTING", "OUTPUT"} {
		t.lead("-A %s "+commented+"-j KUBE-SERVICES", chain, "kubernetes service portals")
	}
	t.lead("-A POSTROUTING "+commented+"-j KUBE-POSTROUTING", "kubernetes postrouting rules")
	t.lead("-A POSTROUTING "+commented+"-j FLANNEL-POSTRTG", "flanneld masq")
	t.add("-A FLANNEL-POSTRTG -m mark --mark 0x4000/0x4000 "+commented+"-j RETURN", "flanneld masq")
	t.add("-A FLANNEL-POSTRTG -s %s -d %s "+commented+"-j RETURN", f.cluster, f.cluster, "flanneld masq")
	t.add("-A KUBE-MARK-MASQ -j MARK --set-xmark 0x4000/0x4000")
	t.add("-A KUBE-POSTROUTING -m mark ! --mark 0x4000/0x4000 -j RETURN")
	t.add("-A KUBE-POSTROUTING -j MARK --set-xmark 0x4000/0x0")
	t.add("-A KUBE-POSTROUTING "+commented+"-j MASQUERADE --random-fully", "kubernetes service traffic requiring SNAT")
	t.add("-A KUBE-SERVICES "+commented+"-m addrtype --dst-type LOCAL -j KUBE-NODEPORTS",
		"kubernetes service nodeports; NOTE: this must be the last rule in this chain")
	if f.pods == nil {
		return t
	}
	for number, service := range services {
		svc, sep := "KUBE-SVC-"+hash(service), "KUBE-SEP-"+hash("endpoint of "+service)
		address, pod := fmt.Sprintf("10.43.0.%d/32", number+1), f.pods[number%len(f.pods)]
		t.chains = append(t.chains, svc, sep)
		t.add("-A KUBE-SERVICES -d %s -p tcp "+commented+"-m tcp --dport 443 -j %s", address, service+" cluster IP", svc)
		t.add("-A %s ! -s %s -d %s -p tcp "+commented+"-m tcp --dport 443 -j KUBE-MARK-MASQ", svc, f.cluster, address, service+" cluster IP")
		t.add("-A %s "+commented+"-j %s", svc, service+" -> "+pod+":443", sep)
		t.add("-A %s -s %s/32 "+commented+"-j KUBE-MARK-MASQ", sep, pod, service)
		t.add("-A %s -p tcp "+commented+"-m tcp -j DNAT --to-destination %s:443", sep, service, pod)
	}
	t.portMap(f.pods[0])
	return t
}

// portMap is what the port map of CNI adds for a pod of ServiceLB.
func (t *table) portMap(pod string) {
	chain := "CNI-DN-5eedc0de5eedc0de5eedc"
	t.chains = append(t.chains, "CNI-HOSTPORT-DNAT", "CNI-HOSTPORT-MASQ", "CNI-HOSTPORT-SETMARK", chain)
	for _, from := range []string{"PREROUTING", "OUTPUT"} {
		t.lead("-A %s -m addrtype --dst-type LOCAL -j CNI-HOSTPORT-DNAT", from)
	}
	t.lead("-A POSTROUTING "+commented+"-j CNI-HOSTPORT-MASQ", "CNI portfwd requiring masquerade")
	t.add("-A CNI-HOSTPORT-DNAT -p tcp "+commented+"-m multiport --dports 80,443 -j %s",
		fmt.Sprintf(`dnat name: \"cbr0\" id: \"%s\"`, container), chain)
	t.add("-A CNI-HOSTPORT-MASQ -m mark --mark 0x2000/0x2000 -j MASQUERADE")
	t.add("-A CNI-HOSTPORT-SETMARK "+commented+"-j MARK --set-xmark 0x2000/0x2000", "CNI portfwd masquerade mark")
	for _, port := range []string{"80", "443"} {
		t.add("-A %s -s 10.42.0.0/24 -p tcp -m tcp --dport %s -j CNI-HOSTPORT-SETMARK", chain, port)
		t.add("-A %s -p tcp -m tcp --dport %s -j DNAT --to-destination %s:%s", chain, port, pod, port)
	}
}

func (f family) filter() *table {
	t := &table{name: "filter", chains: strings.Fields(`FLANNEL-FWD KUBE-EXTERNAL-SERVICES KUBE-FIREWALL KUBE-FORWARD
		KUBE-KUBELET-CANARY KUBE-NODEPORTS KUBE-NWPLCY-COMMON KUBE-NWPLCY-DEFAULT KUBE-PROXY-CANARY KUBE-PROXY-FIREWALL
		KUBE-ROUTER-FORWARD KUBE-ROUTER-INPUT KUBE-ROUTER-OUTPUT KUBE-SERVICES`)}
	for _, chain := range []string{"INPUT", "FORWARD", "OUTPUT"} {
		t.lead("-A %s "+commented+"-j KUBE-ROUTER-%s", chain, "kube-router netpol - "+hash(chain), chain)
		t.lead("-A %s "+fresh+commented+"-j KUBE-PROXY-FIREWALL", chain, "kubernetes load balancer firewall")
	}
	t.lead("-A INPUT "+commented+"-j KUBE-NODEPORTS", "kubernetes health check service ports")
	t.lead("-A FORWARD "+commented+"-j KUBE-FORWARD", "kubernetes forwarding rules")
	for _, chain := range []string{"FORWARD", "OUTPUT"} {
		t.lead("-A %s "+fresh+commented+"-j KUBE-SERVICES", chain, "kubernetes service portals")
	}
	for _, chain := range []string{"INPUT", "FORWARD"} {
		t.lead("-A %s "+fresh+commented+"-j KUBE-EXTERNAL-SERVICES", chain, "kubernetes externally-visible service portals")
	}
	t.lead("-A INPUT -j KUBE-FIREWALL")
	t.lead("-A OUTPUT -j KUBE-FIREWALL")
	t.lead("-A FORWARD "+commented+"-j FLANNEL-FWD", "flanneld forward")
	for _, chain := range []string{"INPUT", "FORWARD", "OUTPUT"} {
		t.lead("-A %s "+commented+"-m mark --mark 0x20000/0x20000 -j ACCEPT", chain,
			"KUBE-ROUTER rule to explicitly ACCEPT traffic that comply to network policies")
	}
	t.add("-A FLANNEL-FWD -s %s "+commented+"-j ACCEPT", f.cluster, "flanneld forward")
	t.add("-A FLANNEL-FWD -d %s "+commented+"-j ACCEPT", f.cluster, "flanneld forward")
	t.add("-A KUBE-FORWARD -m conntrack --ctstate INVALID -j DROP")
	t.add("-A KUBE-NWPLCY-DEFAULT "+commented+"-j MARK --set-xmark 0x10000/0x10000", "rule to mark traffic matching a network policy")
	for _, pod := range f.pods {
		chain, policy := "KUBE-POD-FW-"+hash(pod), "KUBE-NWPLCY-"+hash("policy of "+pod)
		t.chains = append(t.chains, chain, policy)
		for _, from := range []string{"INPUT", "FORWARD", "OUTPUT"} {
			t.add("-A KUBE-ROUTER-%s -s %s/32 -j %s", from, pod, chain)
			t.add("-A KUBE-ROUTER-%s -d %s/32 -j %s", from, pod, chain)
		}
		t.add("-A %s -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT", chain)
		t.add("-A %s -j %s", chain, policy)
		t.add("-A %s -m mark ! --mark 0x10000/0x10000 -j KUBE-NWPLCY-DEFAULT", chain)
		t.add("-A %s -m set --match-set %s src -j MARK --set-xmark 0x10000/0x10000", policy, sourceSet(pod))
	}
	return t
}

func (f family) mangle() *table {
	return &table{name: "mangle", chains: []string{"KUBE-IPTABLES-HINT", "KUBE-KUBELET-CANARY", "KUBE-PROXY-CANARY"}}
}

// sourceSet is the ipset of who may reach a pod, as kube-router names it.
func sourceSet(pod string) string { return "KUBE-SRC-" + hash(pod) }

// script is the table in the form of iptables-restore, which keeps what else is in it (--noflush).
// Of the jumps only those are added that are not among the rules that are there.
func (t *table) script(there string) string {
	var text strings.Builder
	fmt.Fprintf(&text, "*%s\n", t.name)
	for _, chain := range t.chains {
		fmt.Fprintf(&text, ":%s - [0:0]\n", chain)
	}
	for _, rule := range t.rules {
		fmt.Fprintln(&text, rule)
	}
	for _, jump := range t.jumps {
		if !strings.Contains("\n"+there+"\n", "\n"+jump+"\n") {
			fmt.Fprintln(&text, jump)
		}
	}
	text.WriteString("COMMIT\n")
	return text.String()
}

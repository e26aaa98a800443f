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

const commented = `-m comment --comment "%s" `

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

func (f family) tables() []*table { return []*table{f.nat(), f.filter()} }

// nat is what flannel adds; kube-proxy, the kubelet and CNI are real.
func (f family) nat() *table {
	t := &table{name: "nat", chains: []string{"FLANNEL-POSTRTG"}}
	t.lead("-A POSTROUTING "+commented+"-j FLANNEL-POSTRTG", "flanneld masq")
	t.add("-A FLANNEL-POSTRTG -m mark --mark 0x4000/0x4000 "+commented+"-j RETURN", "flanneld masq")
	t.add("-A FLANNEL-POSTRTG -s %s -d %s "+commented+"-j RETURN", f.cluster, f.cluster, "flanneld masq")
	return t
}

func (f family) filter() *table {
	t := &table{name: "filter", chains: strings.Fields(`FLANNEL-FWD KUBE-NWPLCY-COMMON KUBE-NWPLCY-DEFAULT
		KUBE-ROUTER-FORWARD KUBE-ROUTER-INPUT KUBE-ROUTER-OUTPUT`)}
	for _, chain := range []string{"INPUT", "FORWARD", "OUTPUT"} {
		t.lead("-A %s "+commented+"-j KUBE-ROUTER-%s", chain, "kube-router netpol - "+hash(chain), chain)
	}
	t.lead("-A FORWARD "+commented+"-j FLANNEL-FWD", "flanneld forward")
	for _, chain := range []string{"INPUT", "FORWARD", "OUTPUT"} {
		t.lead("-A %s "+commented+"-m mark --mark 0x20000/0x20000 -j ACCEPT", chain,
			"KUBE-ROUTER rule to explicitly ACCEPT traffic that comply to network policies")
	}
	t.add("-A FLANNEL-FWD -s %s "+commented+"-j ACCEPT", f.cluster, "flanneld forward")
	t.add("-A FLANNEL-FWD -d %s "+commented+"-j ACCEPT", f.cluster, "flanneld forward")
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

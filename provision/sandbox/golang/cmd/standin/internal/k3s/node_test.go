package k3s

import (
	"slices"
	"testing"
)

func TestTheNodesPodsHaveASliceOfTheClusters(t *testing.T) {
	for cidr, want := range map[string]string{
		"10.42.0.0/16": "10.42.0.0/24", "10.1.0.0/16,fd42::/56": "10.1.0.0/24", "10.9.8.0/25": "10.9.8.0/25",
	} {
		if got, err := firstNode(cidr); err != nil || got != want {
			t.Errorf("%s: %s %v", cidr, got, err)
		}
	}
	for _, cidr := range []string{"fd42::/56", "none"} {
		if got, err := firstNode(cidr); err == nil {
			t.Errorf("%s: %s", cidr, got)
		}
	}
}

func TestTheKubeletsOwnArgumentsComeLast(t *testing.T) {
	o := &options{
		serviceCIDR: "10.43.0.0/16", nodeName: "kyrion", kubeletArgs: []string{"max-pods=9"},
		labels: map[string]string{"b": "2", "a": "1"}, taints: []string{"k=v:NoSchedule"},
	}
	args := kubeletArgs(o)
	for _, want := range []string{
		"--cluster-dns=10.43.0.10", "--node-labels=a=1,b=2", "--register-with-taints=k=v:NoSchedule",
	} {
		if !slices.Contains(args, want) {
			t.Errorf("no %s in %q", want, args)
		}
	}
	if last := args[len(args)-1]; last != "--max-pods=9" {
		t.Errorf("last is %s", last)
	}
}

package k3s

import (
	"context"
	"fmt"
	"maps"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"elysium.invalid/sandbox/cmd/standin/internal/containers"
	"elysium.invalid/sandbox/cmd/standin/internal/spawn"
)

// agentAt is a path below the agent's data.
func (o *options) agentAt(parts ...string) string {
	return filepath.Join(append([]string{o.dataDir, "agent"}, parts...)...)
}

// containerd is the runtime of this node's pods.
func (o *options) containerd() (containers.Runtime, error) {
	pods, err := firstNode(o.clusterCIDR)
	return containers.Runtime{DataDir: o.dataDir, PodCIDR: pods}, err
}

// firstNode is the network that the first node's pods get of the cluster's: as
// with k3s, a /24.
func firstNode(clusterCIDR string) (string, error) {
	first, _, _ := strings.Cut(clusterCIDR, ",")
	_, network, err := net.ParseCIDR(first)
	if err != nil {
		return "", fmt.Errorf("cluster-cidr: %w", err)
	}
	size, all := network.Mask.Size()
	if all != 32 {
		return "", fmt.Errorf("cluster-cidr %s: the sandbox knows networks of IPv4 only", first)
	}
	return fmt.Sprintf("%s/%d", network.IP, max(size, 24)), nil
}

// runNode runs what makes the machine a node, until ctx is done.
func (s *server) runNode(ctx context.Context, runtime containers.Runtime, version string) error {
	child, err := runtime.Start(ctx, s.spawner, logf)
	if child != nil {
		s.watch(child)
	}
	if err != nil {
		return err
	}
	if err := agentFiles(s.options); err != nil {
		return err
	}
	for name, args := range map[string][]string{
		"kube-scheduler": schedulerArgs(s.options),
		"kubelet":        kubeletArgs(s.options),
		"kube-proxy":     proxyArgs(s.options),
	} {
		environment := []string{"PATH=" + runtime.Path(), "ELYSIUM_SANDBOX_VERSION=" + version}
		if err := s.startWith(name, args, environment...); err != nil {
			return err
		}
	}
	return nil
}

// agentFiles are the kubeconfigs and folders of the programs below.
func agentFiles(o *options) error {
	for _, folder := range []string{"pod-manifests", "etc"} {
		if err := os.MkdirAll(o.agentAt(folder), 0o700); err != nil {
			return err
		}
	}
	if err := findNameServers(o); err != nil {
		return err
	}
	for path, client := range map[string]string{
		o.agentAt("kubelet.kubeconfig"):      "client-kubelet",
		o.agentAt("kubeproxy.kubeconfig"):    "client-kube-proxy",
		o.at("cred", "scheduler.kubeconfig"): "client-scheduler",
	} {
		if err := kubeconfig(o, path, o.apiURL(), client, 0o600); err != nil {
			return err
		}
	}
	return nil
}

func schedulerArgs(o *options) []string {
	kubeconfig := o.at("cred", "scheduler.kubeconfig")
	return []string{
		"--authentication-kubeconfig=" + kubeconfig,
		"--authorization-kubeconfig=" + kubeconfig,
		"--bind-address=127.0.0.1",
		"--kubeconfig=" + kubeconfig,
		"--leader-elect=false", // as the controller manager's
		"--profiling=false",
		"--secure-port=10259",
	}
}

// kubeletArgs follow what k3s gives its kubelet. Its own come last: they win.
func kubeletArgs(o *options) []string {
	labels := make([]string, 0, len(o.labels))
	for _, key := range slices.Sorted(maps.Keys(o.labels)) {
		labels = append(labels, key+"="+o.labels[key])
	}
	args := []string{
		"--address=" + o.nodeIP,
		"--anonymous-auth=false",
		"--authentication-token-webhook=true",
		"--authorization-mode=Webhook",
		"--cgroup-driver=cgroupfs",
		"--client-ca-file=" + o.tls("client-ca.crt"),
		"--cluster-dns=" + o.dnsAddress(),
		"--cluster-domain=cluster.local",
		"--container-runtime-endpoint=unix://" + containers.Socket,
		// k3s has 5 %. The disk is this machine's, which may be large and nearly full.
		"--eviction-hard=imagefs.available<500Mi,nodefs.available<500Mi",
		"--fail-cgroupv1=false", // such a machine may run a sandbox
		"--fail-swap-on=false",
		"--healthz-bind-address=127.0.0.1",
		"--hostname-override=" + o.nodeName,
		"--image-gc-high-threshold=100", // the disk is this machine's: full is nothing of the node's doing
		"--kubeconfig=" + o.agentAt("kubelet.kubeconfig"),
		"--node-ip=" + o.nodeIP,
		"--pod-manifest-path=" + o.agentAt("pod-manifests"),
		"--read-only-port=0",
		"--resolv-conf=" + o.resolvConf,
		"--serialize-image-pulls=false",
		"--tls-cert-file=" + o.tls("serving-kubelet.crt"),
		"--tls-private-key-file=" + o.tls("serving-kubelet.key"),
	}
	if len(labels) > 0 {
		args = append(args, "--node-labels="+strings.Join(labels, ","))
	}
	if len(o.taints) > 0 {
		args = append(args, "--register-with-taints="+strings.Join(o.taints, ","))
	}
	return append(args, dashed(o.kubeletArgs)...)
}

func proxyArgs(o *options) []string {
	return append([]string{
		"--cluster-cidr=" + o.clusterCIDR,
		// Those of connection tracking are this machine's, or set by k3s itself.
		"--conntrack-max-per-core=0",
		"--conntrack-tcp-timeout-close-wait=0s",
		"--conntrack-tcp-timeout-established=0s",
		"--healthz-bind-address=127.0.0.1",
		"--hostname-override=" + o.nodeName,
		"--kubeconfig=" + o.agentAt("kubeproxy.kubeconfig"),
		"--proxy-mode=iptables",
	}, dashed(o.proxyArgs)...)
}

// dnsAddress is the tenth address of the services, as with k3s.
func (o *options) dnsAddress() string {
	first, _, _ := strings.Cut(o.serviceCIDR, ",")
	_, network, err := net.ParseCIDR(first)
	if err != nil {
		return ""
	}
	address := slices.Clone(network.IP)
	address[len(address)-1] += 10
	return address.String()
}

// startWith starts a component with more in its environment.
func (s *server) startWith(name string, args []string, environment ...string) error {
	child, err := component(s.spawner, s.options, name, args, environment...)
	if err != nil {
		return err
	}
	s.watch(child)
	return nil
}

// watch has the server end when a component does.
func (s *server) watch(child *spawn.Child) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	s.children = append(s.children, child)
	go func() {
		<-child.Ended
		s.ended <- child
	}()
}

package k3s

import (
	"fmt"
	"os"
	"strings"
)

// kubeletFlags are those of the kubelet
// (https://kubernetes.io/docs/reference/command-line-tools-reference/kubelet/).
var kubeletFlags = toSet(`address allowed-unsafe-sysctls anonymous-auth authentication-token-webhook
	authentication-token-webhook-cache-ttl authorization-mode authorization-webhook-cache-authorized-ttl
	authorization-webhook-cache-unauthorized-ttl bootstrap-kubeconfig cert-dir cgroup-driver cgroup-root
	cgroups-per-qos client-ca-file cloud-config cloud-provider cluster-dns cluster-domain config config-dir
	container-log-max-files container-log-max-size container-runtime-endpoint contention-profiling
	cpu-cfs-quota cpu-cfs-quota-period cpu-manager-policy cpu-manager-policy-options
	cpu-manager-reconcile-period enable-controller-attach-detach enable-debugging-handlers enable-server
	enforce-node-allocatable event-burst event-qps eviction-hard eviction-max-pod-grace-period
	eviction-minimum-reclaim eviction-pressure-transition-period eviction-soft eviction-soft-grace-period
	exit-on-lock-contention fail-cgroupv1 fail-swap-on feature-gates file-check-frequency hairpin-mode
	healthz-bind-address healthz-port hostname-override http-check-frequency
	image-credential-provider-bin-dir image-credential-provider-config image-gc-high-threshold
	image-gc-low-threshold image-service-endpoint kernel-memcg-notification kube-api-burst
	kube-api-content-type kube-api-qps kube-reserved kube-reserved-cgroup kubeconfig kubelet-cgroups
	local-storage-capacity-isolation lock-file log-flush-frequency logging-format
	make-iptables-util-chains manifest-url manifest-url-header max-open-files max-pods
	maximum-dead-containers maximum-dead-containers-per-container memory-manager-policy
	minimum-container-ttl-duration minimum-image-ttl-duration node-ip node-labels node-status-max-images
	node-status-update-frequency oom-score-adj pod-cidr pod-infra-container-image pod-manifest-path
	pod-max-pids pods-per-core port protect-kernel-defaults provider-id qos-reserved read-only-port
	register-node register-schedulable register-with-taints registry-burst registry-qps reserved-cpus
	reserved-memory resolv-conf root-dir rotate-certificates rotate-server-certificates runonce
	runtime-cgroups runtime-request-timeout seccomp-default serialize-image-pulls
	streaming-connection-idle-timeout sync-frequency system-cgroups system-reserved
	system-reserved-cgroup tls-cert-file tls-cipher-suites tls-min-version tls-private-key-file
	topology-manager-policy topology-manager-policy-options topology-manager-scope v vmodule
	volume-plugin-dir volume-stats-agg-period`)

// proxyFlags are those of kube-proxy
// (https://kubernetes.io/docs/reference/command-line-tools-reference/kube-proxy/).
var proxyFlags = toSet(`bind-address bind-address-hard-fail cleanup cluster-cidr config config-sync-period
	conntrack-max-per-core conntrack-min conntrack-tcp-be-liberal conntrack-tcp-timeout-close-wait
	conntrack-tcp-timeout-established conntrack-udp-timeout conntrack-udp-timeout-stream
	detect-local-mode feature-gates healthz-bind-address hostname-override init-only
	iptables-localhost-nodeports iptables-masquerade-bit iptables-min-sync-period iptables-sync-period
	ipvs-exclude-cidrs ipvs-min-sync-period ipvs-scheduler ipvs-strict-arp ipvs-sync-period
	ipvs-tcp-timeout ipvs-tcpfin-timeout ipvs-udp-timeout kube-api-burst kube-api-content-type
	kube-api-qps kubeconfig log-flush-frequency logging-format masquerade-all master metrics-bind-address
	nodeport-addresses oom-score-adj pod-bridge-interface pod-interface-name-prefix profiling proxy-mode
	proxy-port-range show-hidden-metrics-for-version v vmodule write-config-to`)

// agentEnds says whether an argument of the agent's parts ends k3s, after
// READY, as it does there: the kubelet with status 0, kube-proxy with 1.
func (o *options) agentEnds() (bool, error) {
	if name := unknownFlag(o.kubeletArgs, kubeletFlags); name != "" {
		fmt.Fprintf(os.Stderr, "time=\"-\" level=error msg=\"kubelet exited: failed to parse kubelet flag: unknown flag: --%s\"\n", name)
		return true, nil
	}
	if name := unknownFlag(o.proxyArgs, proxyFlags); name != "" {
		return true, fmt.Errorf("kube-proxy exited: unknown flag: --%s", name)
	}
	return false, nil
}

func unknownFlag(args []string, known map[string]bool) string {
	for _, arg := range args {
		name, _, _ := strings.Cut(strings.TrimLeft(arg, "-"), "=")
		if !known[name] {
			return name
		}
	}
	return ""
}

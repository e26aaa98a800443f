package k3s

import "strings"

// kind is how a flag takes its value.
type kind int

const (
	text kind = iota
	flag
	list
)

// knownFlags are the flags of `k3s server`, as its documentation lists them
// (https://docs.k3s.io/cli/server), with the kind of their value.
var knownFlags = flagTable()

// honoured names the flags that change what the stand-in does. The others are
// accepted, because a real node would take them, and named in the log.
var honoured = toSet(`bind-address config data-dir datastore-endpoint debug disable disable-agent
	https-listen-port kube-apiserver-arg kube-controller-manager-arg kube-controller-arg node-ip node-label
	node-name node-taint secrets-encryption service-cidr cluster-cidr advertise-address tls-san token token-file
	write-kubeconfig write-kubeconfig-mode v cluster-init cluster-reset
	cluster-reset-restore-path server kubelet-arg kube-proxy-arg system-default-registry default-local-storage-path
	resolv-conf`)

// shortFlags are the one-letter forms.
var shortFlags = map[string]string{
	"c": "config", "d": "data-dir", "o": "write-kubeconfig", "t": "token", "l": "log",
	"i": "node-ip", "s": "server",
}

func flagTable() map[string]kind {
	table := map[string]kind{}
	for _, name := range strings.Fields(`advertise-address advertise-port agent-token agent-token-file airgap-extra-registry bind-address
		cluster-domain cluster-reset-restore-path config container-runtime-endpoint data-dir
		datastore-cafile datastore-certfile datastore-endpoint datastore-keyfile
		default-local-storage-path default-runtime egress-selector-mode etcd-s3-access-key etcd-s3-bucket
		etcd-s3-bucket-lookup-type etcd-s3-config-secret etcd-s3-endpoint etcd-s3-endpoint-ca
		etcd-s3-folder etcd-s3-proxy etcd-s3-region etcd-s3-retention etcd-s3-secret-key
		etcd-s3-session-token etcd-s3-timeout etcd-snapshot-dir etcd-snapshot-name
		etcd-snapshot-reconcile-interval etcd-snapshot-retention etcd-snapshot-schedule-cron
		flannel-backend flannel-cni-conf flannel-conf flannel-iface helm-job-image https-listen-port
		image-credential-provider-bin-dir image-credential-provider-config image-service-endpoint
		kube-cloud-controller-manager-arg lb-server-port log log-file log-file-max-size node-name
		nonroot-devices pause-image private-registry resolv-conf secrets-encryption-provider server
		service-node-port-range servicelb-namespace snapshotter system-default-registry token token-file v
		vmodule vpn-auth vpn-auth-file write-kubeconfig write-kubeconfig-group write-kubeconfig-mode`) {
		table[name] = text
	}
	for _, name := range strings.Fields(`alsologtostderr cluster-init cluster-reset debug disable-agent disable-apiserver
		disable-apiserver-lb disable-cloud-controller disable-controller-manager
		disable-default-registry-endpoint disable-etcd disable-helm-controller disable-kube-proxy
		disable-network-policy disable-scheduler docker embedded-registry enable-pprof
		etcd-disable-snapshots etcd-expose-metrics etcd-s3 etcd-s3-insecure etcd-s3-skip-ssl-verify
		etcd-snapshot-compress flannel-external-ip flannel-ipv6-masq kine-tls multi-cluster-cidr
		prefer-bundled-bin protect-kernel-defaults rootless secrets-encryption selinux supervisor-metrics
		tls-san-security`) {
		table[name] = flag
	}
	for _, name := range strings.Fields(`cluster-cidr cluster-dns disable etcd-arg kube-apiserver-arg kube-cloud-controller-arg
		kube-controller-arg kube-controller-manager-arg kube-proxy-arg kube-scheduler-arg kubelet-arg
		node-external-dns node-external-ip node-internal-dns node-ip node-label node-taint service-cidr
		tls-san`) {
		table[name] = list
	}
	return table
}

func toSet(words string) map[string]bool {
	set := map[string]bool{}
	for _, word := range strings.Fields(words) {
		set[word] = true
	}
	return set
}

// longName is the full name of a flag written as on a command line, without
// its dashes.
func longName(name string) string {
	if long, ok := shortFlags[name]; ok {
		return long
	}
	return name
}

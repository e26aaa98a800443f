package k3s

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// options are the settings `k3s server` runs with.
type options struct {
	dataDir        string
	kubeconfig     string
	kubeconfigMode os.FileMode
	token          string
	nodeName       string
	nodeIP         string
	advertise      string
	bindAddress    string
	port           int
	tlsSAN         []string
	disable        []string
	encrypt        bool
	etcd           bool
	known          bool // the datastore is that of a server that ran before
	wasReset       bool // the datastore was reset since the last start
	agent          bool
	labels         map[string]string
	taints         []string
	clusterCIDR    string
	serviceCIDR    string
	apiserverArgs  []string
	controllerArgs []string
	kubeletArgs    []string
	proxyArgs      []string
	registry       string // where the images of the built-in components come from
	storage        string // the folder of the local-path storage class
	resolvConf     string // the file that gives pods their name servers
}

// resolve turns settings into options, refusing what the stand-in cannot do.
func resolve(s *settings, hostname string, hostIP func() (string, error)) (*options, error) {
	for name, why := range map[string]string{
		"datastore-endpoint": "the sandbox has no external datastore: leave datastore-endpoint out",
		"server":             "joining another server is not part of the sandbox",
	} {
		if value := s.text(name, ""); value != "" && value != "false" {
			return nil, errors.New(why)
		}
	}
	result := &options{
		dataDir:        s.text("data-dir", defaultDataDir),
		kubeconfig:     s.text("write-kubeconfig", "/etc/rancher/k3s/k3s.yaml"),
		kubeconfigMode: 0o600,
		token:          s.text("token", ""),
		nodeName:       strings.ToLower(s.text("node-name", hostname)),
		bindAddress:    s.text("bind-address", "0.0.0.0"),
		tlsSAN:         s.list("tls-san"),
		disable:        s.list("disable"),
		encrypt:        s.enabled("secrets-encryption"),
		agent:          !s.enabled("disable-agent"),
		labels:         map[string]string{},
		taints:         s.list("node-taint"),
		clusterCIDR:    strings.Join(s.list("cluster-cidr", "10.42.0.0/16"), ","),
		serviceCIDR:    strings.Join(s.list("service-cidr", "10.43.0.0/16"), ","),
		apiserverArgs:  s.list("kube-apiserver-arg"),
		kubeletArgs:    s.list("kubelet-arg"),
		proxyArgs:      s.list("kube-proxy-arg"),
		registry:       s.text("system-default-registry", ""),
		resolvConf:     s.text("resolv-conf", ""),
		controllerArgs: slices.Concat(s.list("kube-controller-manager-arg"), s.list("kube-controller-arg")),
	}
	if file := s.text("token-file", ""); file != "" && result.token == "" {
		content, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		result.token = strings.TrimSpace(string(content))
	}
	if mode := s.text("write-kubeconfig-mode", ""); mode != "" {
		bits, err := strconv.ParseUint(mode, 8, 32)
		if err != nil {
			return nil, fmt.Errorf("write-kubeconfig-mode %q is not an octal mode", mode)
		}
		result.kubeconfigMode = os.FileMode(bits)
	}
	resetting := s.enabled("cluster-reset")
	result.etcd = usesEtcd(result, s.enabled("cluster-init") || resetting)
	if path := s.text("cluster-reset-restore-path", ""); path != "" && !resetting {
		return nil, errors.New("cluster-reset-restore-path goes with cluster-reset")
	}
	result.storage = s.text("default-local-storage-path", filepath.Join(result.dataDir, "storage"))
	port, err := strconv.Atoi(s.text("https-listen-port", "6443"))
	if err != nil || port < 1 || port > 65535 {
		return nil, fmt.Errorf("https-listen-port %q is not a port", s.text("https-listen-port", ""))
	}
	result.port = port
	for _, label := range s.list("node-label") {
		key, value, _ := strings.Cut(label, "=")
		result.labels[key] = value
	}
	if result.nodeIP = s.text("node-ip", ""); result.nodeIP == "" {
		if result.nodeIP, err = hostIP(); err != nil {
			return nil, err
		}
	}
	if net.ParseIP(result.nodeIP) == nil {
		return nil, fmt.Errorf("node-ip %q is not an IP address", result.nodeIP)
	}
	result.advertise = s.text("advertise-address", result.nodeIP)
	return result, nil
}

// at is a path below the server's data.
func (o *options) at(parts ...string) string {
	return filepath.Join(append([]string{o.dataDir, "server"}, parts...)...)
}

// tls is a path of the server's certificates and keys.
func (o *options) tls(name string) string { return o.at("tls", name) }

// apiPort is where the API server itself listens, on loopback; k3s, too, has it
// one above its own.
func (o *options) apiPort() int { return o.port + 1 }

// hostIP is the first IPv4 address of this machine that is not loopback.
func hostIP() (string, error) {
	addresses, err := net.InterfaceAddrs()
	if err != nil {
		return "", err
	}
	for _, address := range addresses {
		if network, ok := address.(*net.IPNet); ok && network.IP.To4() != nil && network.IP.IsGlobalUnicast() {
			return network.IP.String(), nil
		}
	}
	return "", errors.New("this machine has no IPv4 address but loopback: give node-ip")
}

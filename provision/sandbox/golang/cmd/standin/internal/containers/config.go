package containers

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// write writes containerd's configuration and that of the pods' network.
func (r Runtime) write() error {
	network, err := r.network()
	if err != nil {
		return err
	}
	spec := ""
	if madeUp("/proc/self/mountinfo") {
		if spec, err = r.nodesSysfs(); err != nil {
			return err
		}
	}
	for path, content := range map[string]string{
		r.at("etc", "containerd", "config.toml"):                        r.config(mayRaise("/proc/self/status"), spec != ""),
		r.at("etc", "cni", "net.d", "10-flannel.conflist"):              network,
		r.at("etc", "containerd", "certs.d", "docker.io", "hosts.toml"): hub,
		r.baseSpec(): spec,
	} {
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			return err
		}
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			return err
		}
	}
	for _, folder := range []string{r.at("containerd"), filepath.Dir(Socket)} {
		if err := os.MkdirAll(folder, 0o711); err != nil {
			return err
		}
	}
	return nil
}

// config is containerd's configuration. The node's root may be an overlay, over
// which no other can be laid: snapshots are copies. Where the machine keeps
// CAP_SYS_RESOURCE from the node, no container gets a lower OOM score than
// containerd's own.
func (r Runtime) config(raise, sysfs bool) string {
	var text strings.Builder
	fmt.Fprintf(&text, "version = 2\nroot = %q\nstate = %q\n", r.at("containerd"), filepath.Dir(Socket))
	fmt.Fprintf(&text, "[grpc]\n  address = %q\n", Socket)
	fmt.Fprintf(&text, "[plugins.\"io.containerd.internal.v1.opt\"]\n  path = %q\n", r.at("containerd"))
	const cri = `plugins."io.containerd.grpc.v1.cri"`
	fmt.Fprintf(&text, "[%s]\n  sandbox_image = %q\n  restrict_oom_score_adj = %t\n", cri, Pause, !raise)
	fmt.Fprintf(&text, "  stream_server_address = \"127.0.0.1\"\n  stream_server_port = \"10010\"\n")
	fmt.Fprintf(&text, "  enable_unprivileged_icmp = true\n  enable_unprivileged_ports = true\n")
	fmt.Fprintf(&text, "[%s.cni]\n  bin_dir = %q\n  conf_dir = %q\n", cri, r.Bin(), r.at("etc", "cni", "net.d"))
	fmt.Fprintf(&text, "[%s.containerd]\n  snapshotter = \"native\"\n", cri)
	fmt.Fprintf(&text, "[%s.containerd.runtimes.runc]\n  runtime_type = \"io.containerd.runc.v2\"\n", cri)
	if sysfs {
		fmt.Fprintf(&text, "  base_runtime_spec = %q\n", r.baseSpec())
	}
	fmt.Fprintf(&text, "[%s.containerd.runtimes.runc.options]\n  BinaryName = %q\n", cri, filepath.Join(r.Bin(), "runc"))
	fmt.Fprintf(&text, "[%s.registry]\n  config_path = %q\n", cri, r.at("etc", "containerd", "certs.d"))
	return text.String()
}

// hub has the node's own registry asked before Docker Hub.
const hub = `server = "https://registry-1.docker.io"
[host."http://` + registry + `"]
  capabilities = ["pull", "resolve"]
`

// mayRaise says whether a process may get a better OOM score than it has:
// whether CAP_SYS_RESOURCE (bit 24) is among its capabilities (proc(5)).
func mayRaise(status string) bool {
	content, err := os.ReadFile(status)
	if err != nil {
		return false
	}
	for _, line := range strings.Split(string(content), "\n") {
		name, value, _ := strings.Cut(line, ":")
		var bits uint64
		if _, err := fmt.Sscanf(strings.TrimSpace(value), "%x", &bits); name == "CapEff" && err == nil {
			return bits&(1<<24) != 0
		}
	}
	return false
}

// network is the configuration that k3s' flannel writes for CNI, with what
// flannel delegates to written out.
func (r Runtime) network() (string, error) {
	content, err := json.MarshalIndent(map[string]any{
		"name":       "cbr0",
		"cniVersion": "1.0.0",
		"plugins": []any{
			map[string]any{
				"type": "bridge", "bridge": "cni0", "isDefaultGateway": true, "hairpinMode": true,
				"forceAddress": true, "ipMasq": true,
				"ipam": map[string]any{"type": "host-local", "subnet": r.PodCIDR},
			},
			map[string]any{"type": "portmap", "capabilities": map[string]any{"portMappings": true}},
		},
	}, "", "  ")
	return string(content) + "\n", err
}

package k3s

import (
	"net"
	"os"
	"strings"
)

// hostResolvConfs are the files that may name the machine's name servers.
var hostResolvConfs = []string{"/etc/resolv.conf", "/run/systemd/resolve/resolv.conf"}

// generatedResolvConf names a public name server, as the file that k3s makes.
const generatedResolvConf = "nameserver 8.8.8.8\n"

// findNameServers chooses the file that gives pods their name servers. As with
// k3s, that is the machine's where pods can reach every name server of it;
// else it is made.
func findNameServers(o *options) error {
	if o.resolvConf != "" {
		return nil
	}
	for _, path := range hostResolvConfs {
		if content, err := os.ReadFile(path); err == nil && forPods(string(content)) {
			o.resolvConf = path
			return nil
		}
	}
	o.resolvConf = o.agentAt("etc", "resolv.conf")
	logf("no file of this machine names a name server that pods can reach: the kubelet uses %s", o.resolvConf)
	return os.WriteFile(o.resolvConf, []byte(generatedResolvConf), 0o600)
}

// forPods tells whether a resolv.conf names name servers, and none that only
// this machine reaches.
func forPods(content string) bool {
	found := false
	for line := range strings.Lines(content) {
		words := strings.Fields(line)
		if len(words) < 2 || words[0] != "nameserver" {
			continue
		}
		address, _, _ := strings.Cut(words[1], "%")
		parsed := net.ParseIP(address)
		if parsed == nil || !parsed.IsGlobalUnicast() {
			return false
		}
		found = true
	}
	return found
}

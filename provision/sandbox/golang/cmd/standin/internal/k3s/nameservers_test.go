package k3s

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
)

func TestPodsGetNameServersThatTheyReach(t *testing.T) {
	for content, want := range map[string]bool{
		"nameserver 10.0.0.1\n":                        true,
		"search lan\nnameserver 10.0.0.1\noptions x\n": true,
		"nameserver 10.0.0.1\nnameserver 127.0.0.53\n": false,
		"nameserver ::1\n":                             false,
		"nameserver 224.0.0.1\n":                       false,
		"nameserver dns.lan\n":                         false,
		"# a node of a sandbox has no name server\n":   false,
		"": false,
	} {
		o := someOptions(t)
		if err := os.MkdirAll(o.agentAt("etc"), 0o700); err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(t.TempDir(), "resolv.conf")
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		before := hostResolvConfs
		hostResolvConfs = []string{path}
		err := findNameServers(o)
		hostResolvConfs = before
		if err != nil {
			t.Fatal(err)
		}
		if got := o.resolvConf == path; got != want {
			t.Errorf("%q: the kubelet gets %s", content, o.resolvConf)
		}
		if !slices.Contains(kubeletArgs(o), "--resolv-conf="+o.resolvConf) {
			t.Errorf("%q: the kubelet is not told", content)
		}
		if made, err := os.ReadFile(o.resolvConf); err != nil || !forPods(string(made)) {
			t.Errorf("%q: %s has no name server: %v", content, o.resolvConf, err)
		}
	}
}

func TestTheFileOfTheConfigurationIsTaken(t *testing.T) {
	o, err := resolve(&settings{values: map[string][]string{"resolv-conf": {"/srv/resolv.conf"}}}, "kyrion",
		func() (string, error) { return "10.0.0.2", nil })
	if err != nil {
		t.Fatal(err)
	}
	if err := findNameServers(o); err != nil || o.resolvConf != "/srv/resolv.conf" {
		t.Errorf("the kubelet gets %s: %v", o.resolvConf, err)
	}
}

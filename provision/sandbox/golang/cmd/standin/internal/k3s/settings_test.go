package k3s

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// configured reads settings from files in a folder, the first of which is the
// configuration file.
func configured(t *testing.T, files map[string]string, args ...string) *settings {
	t.Helper()
	folder := t.TempDir()
	for name, content := range files {
		path := filepath.Join(folder, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	args = append(args, "--config="+filepath.Join(folder, "config.yaml"))
	result, err := readSettings(args, func(string) string { return "" })
	if err != nil {
		t.Fatal(err)
	}
	return result
}

func TestDropInsReplaceOrGrow(t *testing.T) {
	found := configured(t, map[string]string{
		"config.yaml":             "token: first\ntls-san: [a.lan]\ndisable: [traefik]\n",
		"config.yaml.d/10.yaml":   "token: second\ntls-san+: [b.lan]\ndisable: [servicelb]\n",
		"config.yaml.d/20.ignore": "token: third\n",
	}, "--tls-san=c.lan")
	if got := found.text("token", ""); got != "second" {
		t.Errorf("token %q", got)
	}
	if got := found.list("tls-san"); !slices.Equal(got, []string{"a.lan", "b.lan", "c.lan"}) {
		t.Errorf("tls-san %q", got)
	}
	if got := found.list("disable"); !slices.Equal(got, []string{"servicelb"}) {
		t.Errorf("disable %q", got)
	}
}

func TestTheCommandLineWinsOverTheFile(t *testing.T) {
	found := configured(t, map[string]string{"config.yaml": "node-name: file\nsecrets-encryption: true\n"},
		"--node-name", "given", "--disable=a,b")
	if found.text("node-name", "") != "given" || !found.enabled("secrets-encryption") {
		t.Errorf("%v", found.values)
	}
	if got := found.list("disable"); !slices.Equal(got, []string{"a", "b"}) {
		t.Errorf("disable %q", got)
	}
}

func TestUnknownKeysOfAFileAreSkippedWithAWarning(t *testing.T) {
	found := configured(t, map[string]string{"config.yaml": "tls-sam: [a]\nflannel-backend: none\n"})
	all := strings.Join(found.warnings, "\n")
	for _, want := range []string{"Unknown flag --tls-sam found in config.yaml", "--flannel-backend is accepted and has no effect"} {
		if !strings.Contains(all, want) {
			t.Errorf("%q does not say %q", all, want)
		}
	}
}

func TestBadCommandLinesAreRefused(t *testing.T) {
	for _, args := range [][]string{
		{"--tls-sam=a"}, {"--token"}, {"stray"}, {"--secrets-encryption=perhaps"},
	} {
		if _, err := readSettings(args, func(string) string { return "" }); err == nil {
			t.Errorf("%q was taken", args)
		}
	}
}

func TestTheEnvironmentCounts(t *testing.T) {
	found, err := readSettings([]string{"--config=/nonexistent/config.yaml"}, func(name string) string {
		return map[string]string{"K3S_TOKEN": "secret"}[name]
	})
	if err != nil || found.text("token", "") != "secret" {
		t.Errorf("%v, %v", found, err)
	}
}

func resolved(t *testing.T, args ...string) (*options, error) {
	t.Helper()
	found, err := readSettings(append(args, "--config=/nonexistent/config.yaml"), func(string) string { return "" })
	if err != nil {
		t.Fatal(err)
	}
	return resolve(found, "KYRION", func() (string, error) { return "10.0.0.2", nil })
}

func TestDefaultsAreThoseOfK3s(t *testing.T) {
	o, err := resolved(t)
	if err != nil {
		t.Fatal(err)
	}
	if o.nodeName != "kyrion" || o.port != 6443 || o.kubeconfigMode != 0o600 || o.encrypt || !o.agent ||
		o.kubeconfig != "/etc/rancher/k3s/k3s.yaml" || o.at("token") != "/var/lib/rancher/k3s/server/token" {
		t.Errorf("%+v", o)
	}
}

func TestWhatTheSandboxHasNotIsRefused(t *testing.T) {
	for _, arg := range []string{
		"--cluster-reset-restore-path=/snapshot", "--datastore-endpoint=mysql://x", "--server=https://x", "--write-kubeconfig-mode=rw",
		"--https-listen-port=0", "--node-ip=here",
	} {
		if _, err := resolved(t, arg); err == nil {
			t.Errorf("%s was taken", arg)
		}
	}
}

func TestComponentArgumentsGetTheirDashes(t *testing.T) {
	o, err := resolved(t, "--kube-apiserver-arg=audit-log-path=/a,b", "--kube-apiserver-arg=--v=2")
	if err != nil {
		t.Fatal(err)
	}
	args := apiserverArgs(o)
	if got := args[len(args)-2:]; !slices.Equal(got, []string{"--audit-log-path=/a,b", "--v=2"}) {
		t.Errorf("%q", got)
	}
}

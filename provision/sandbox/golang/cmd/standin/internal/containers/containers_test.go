package containers

import (
	"encoding/json"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestTheScoreIsRestrictedWhereTheMachineKeepsTheCapability(t *testing.T) {
	for status, want := range map[string]bool{
		"Name:\tx\nCapEff:\t000001fffeffffff\n": false,
		"Name:\tx\nCapEff:\t000001ffffffffff\n": true,
		"Name:\tx\n":                            false,
	} {
		path := filepath.Join(t.TempDir(), "status")
		if err := os.WriteFile(path, []byte(status), 0o600); err != nil {
			t.Fatal(err)
		}
		if got := mayRaise(path); got != want {
			t.Errorf("%q: %t", status, got)
		}
	}
	text := Runtime{DataDir: "/data"}.config(false, false)
	for _, line := range []string{
		"restrict_oom_score_adj = true", `snapshotter = "native"`, `root = "/data/agent/containerd"`,
		`bin_dir = "/data/data/current/bin"`, `sandbox_image = "rancher/mirrored-pause:3.6"`,
	} {
		if !strings.Contains(text, line) {
			t.Errorf("no %s in\n%s", line, text)
		}
	}
}

func TestTheNetworkIsThatOfTheNode(t *testing.T) {
	text, err := Runtime{PodCIDR: "10.42.0.0/24"}.network()
	if err != nil || !json.Valid([]byte(text)) || !strings.Contains(text, `"subnet": "10.42.0.0/24"`) {
		t.Errorf("%v %s", err, text)
	}
}

func TestArchivesAreKnownByTheirEndings(t *testing.T) {
	folder := t.TempDir()
	for _, name := range []string{"a.tar", "b.tar.zst", "c.tgz", "d.txt", ".cache.json"} {
		if err := os.WriteFile(filepath.Join(folder, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	found, err := archivesIn(folder)
	for i := range found {
		found[i] = filepath.Base(found[i])
	}
	if err != nil || strings.Join(found, " ") != "a.tar b.tar.zst c.tgz" {
		t.Errorf("%q %v", found, err)
	}
	if found, err := archivesIn(filepath.Join(folder, "none")); err != nil || found != nil {
		t.Errorf("%q %v", found, err)
	}
}

func TestThePlaceholdersManifestNamesBlobsThatAreThere(t *testing.T) {
	layer := filepath.Join(t.TempDir(), "layer")
	if err := os.WriteFile(layer, []byte("layer"), 0o600); err != nil {
		t.Fatal(err)
	}
	digest, size, err := about(layer)
	if err != nil {
		t.Fatal(err)
	}
	get := func(kind, reference string) *httptest.ResponseRecorder {
		out := httptest.NewRecorder()
		config := json.RawMessage(`{"Entrypoint":["/placeholder"]}`)
		answer(out, httptest.NewRequest("GET", "/", nil), kind, reference, config, layer, digest, size)
		return out
	}
	manifest := get("manifests", "any-tag").Body.Bytes()
	var found struct {
		Config struct{ Digest string }
		Layers []struct{ Digest string }
	}
	if err := json.Unmarshal(manifest, &found); err != nil {
		t.Fatal(err)
	}
	for _, wanted := range []string{found.Config.Digest, found.Layers[0].Digest} {
		if got := digestOf(get("blobs", wanted).Body.Bytes()); got != wanted {
			t.Errorf("blob %s is %s", wanted, got)
		}
	}
	if code := get("blobs", "sha256:0").Code; code != 404 {
		t.Errorf("another blob: %d", code)
	}
}

func TestWhereVersionTwoHasNoControllersThoseOfVersionOneAreNamed(t *testing.T) {
	const both = "#subsys_name\thierarchy\tnum_cgroups\tenabled\n" +
		"cpuset\t3\t1\t1\ncpu\t1\t2\t1\ncpuacct\t1\t1\t1\nmemory\t4\t9\t1\nhugetlb\t0\t30\t1\nrdma\t5\t1\t0\n"
	if got := legacyHierarchies("", both); got != "cpuset cpu,cpuacct memory" {
		t.Error(got)
	}
	if got := legacyHierarchies("cpuset cpu io memory pids\n", both); got != "" {
		t.Error(got)
	}
}

func TestContainersGetTheNodesSysfsWhereItsClassesAreMadeUp(t *testing.T) {
	path := filepath.Join(t.TempDir(), "mountinfo")
	for line, want := range map[string]bool{
		"36 35 0:21 / /sys ro,nosuid - sysfs sysfs ro\n":                                           false,
		"36 35 0:21 / /sys ro - sysfs sysfs ro\n40 36 0:50 / /sys/class ro - overlay overlay ro\n": true,
	} {
		if err := os.WriteFile(path, []byte(line), 0o600); err != nil {
			t.Fatal(err)
		}
		if got := madeUp(path); got != want {
			t.Errorf("%q: %t", line, got)
		}
	}
	const spec = `{"process":{"cwd":"/"},"mounts":[{"destination":"/proc","type":"proc","source":"proc"},` +
		`{"destination":"/sys","type":"sysfs","source":"sysfs","options":["ro"]}]}`
	text, err := withNodesSysfs([]byte(spec))
	if err != nil || !strings.Contains(text, `"rbind"`) || strings.Contains(text, `"sysfs"`) ||
		!strings.Contains(text, `"cwd":"/"`) || !strings.Contains(text, `"type":"proc"`) {
		t.Errorf("%v %s", err, text)
	}
	if !strings.Contains(Runtime{DataDir: "/data"}.config(true, true), "base_runtime_spec") {
		t.Error("not in the configuration")
	}
}

package k3s

import (
	"encoding/json"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

func builtin(t *testing.T, o *options, kind, name string) *unstructured.Unstructured {
	t.Helper()
	objects, err := builtinObjects(o)
	if err != nil {
		t.Fatal(err)
	}
	for _, object := range objects {
		if object.GetKind() == kind && object.GetName() == name {
			return object
		}
	}
	return nil
}

func field(t *testing.T, object *unstructured.Unstructured, path ...string) string {
	t.Helper()
	if object == nil {
		t.Fatal("the object is missing")
	}
	value, _, err := unstructured.NestedString(object.Object, path...)
	if err != nil {
		t.Fatal(err)
	}
	return value
}

func TestTheVolumesAreInTheFolderOfTheOptions(t *testing.T) {
	for _, folder := range []string{"/var/lib/rancher/k3s/storage", `/srv/with "quotes"`} {
		o := someOptions(t)
		o.storage = folder
		config := field(t, builtin(t, o, "ConfigMap", storageConfig), "data", "config.json")
		var decoded struct {
			NodePathMap []struct {
				Paths []string `json:"paths"`
			} `json:"nodePathMap"`
		}
		if err := json.Unmarshal([]byte(config), &decoded); err != nil {
			t.Fatal(err)
		}
		if got := decoded.NodePathMap[0].Paths[0]; got != folder {
			t.Errorf("the folder is %q, not %q", got, folder)
		}
	}
}

func TestTheStorageOfTheDataFolderIsTheDefault(t *testing.T) {
	for given, wanted := range map[string]string{"": "/data/storage", "/srv/volumes": "/srv/volumes"} {
		values := map[string][]string{"data-dir": {"/data"}}
		if given != "" {
			values["default-local-storage-path"] = []string{given}
		}
		o, err := resolve(&settings{values: values}, "kyrion", func() (string, error) { return "10.0.0.2", nil })
		if err != nil {
			t.Fatal(err)
		}
		if o.storage != wanted {
			t.Errorf("the folder is %q, not %q", o.storage, wanted)
		}
	}
}

func TestOnlyTheNameServerHasAFixedAddress(t *testing.T) {
	o := someOptions(t)
	for name, wanted := range map[string]string{dnsService: "10.43.0.10", "metrics-server": ""} {
		if got := field(t, builtin(t, o, "Service", name), "spec", "clusterIP"); got != wanted {
			t.Errorf("%s has the address %q, not %q", name, got, wanted)
		}
	}
}

func TestARegistryIsThatOfHelperPodsToo(t *testing.T) {
	o := someOptions(t)
	o.registry = "registry.example.org"
	pod := field(t, builtin(t, o, "ConfigMap", storageConfig), "data", helperPod)
	if !strings.Contains(pod, "image: registry.example.org/rancher/mirrored-library-busybox:") {
		t.Errorf("the helper pod's image is elsewhere:\n%s", pod)
	}
}

func TestDisabledComponentsLeaveNothing(t *testing.T) {
	o := someOptions(t)
	o.disable = []string{"local-storage", "metrics-server"}
	objects, err := builtinObjects(o)
	if err != nil {
		t.Fatal(err)
	}
	for _, object := range objects {
		for _, word := range []string{"local-path", "metrics"} {
			if strings.Contains(object.GetName(), word) {
				t.Errorf("there is %s %s", object.GetKind(), object.GetName())
			}
		}
	}
}

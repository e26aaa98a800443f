package fluxcli

import (
	"bytes"
	"errors"
	"io"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/yaml"

	"elysium.invalid/sandbox/cmd/standin/internal/attach"
)

// someDefinitions have the names of the real ones and nothing else.
func someDefinitions() map[string]string {
	result := map[string]string{}
	for _, name := range strings.Fields(`buckets.source externalartifacts.source gitrepositories.source
		helmcharts.source helmrepositories.source ocirepositories.source kustomizations.kustomize
		helmreleases.helm alerts.notification providers.notification receivers.notification
		imagepolicies.image imagerepositories.image imageupdateautomations.image`) {
		result[name+".yaml"] = "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata:\n  name: " + name + ".toolkit.fluxcd.io\n"
	}
	result["other.yaml"] = "kind: CustomResourceDefinition\nmetadata:\n  name: sealedsecrets.bitnami.com\n"
	return result
}

func export(t *testing.T, args ...string) (string, map[string]int) {
	t.Helper()
	var out bytes.Buffer
	if err := install(append([]string{"--export"}, args...), "v2.9.3", someDefinitions(), &out); err != nil {
		t.Fatal(err)
	}
	kinds := map[string]int{}
	documents := yaml.NewYAMLOrJSONDecoder(bytes.NewReader(out.Bytes()), 4096)
	for {
		object := &unstructured.Unstructured{}
		if err := documents.Decode(&object.Object); errors.Is(err, io.EOF) {
			return out.String(), kinds
		} else if err != nil {
			t.Fatal(err)
		}
		if object.GetAPIVersion() == "" || object.GetKind() == "" || object.GetName() == "" {
			t.Errorf("no object with apiVersion, kind and name: %v", object.Object)
		}
		if object.GetLabels()["app.kubernetes.io/part-of"] != "flux" {
			t.Errorf("%s %s is not labelled as a part of flux", object.GetKind(), object.GetName())
		}
		kinds[object.GetKind()]++
	}
}

func TestTheFullInstallationHasFluxOwnObjects(t *testing.T) {
	text, kinds := export(t, "--components-extra=image-reflector-controller,image-automation-controller")
	want := map[string]int{
		"Namespace": 1, "CustomResourceDefinition": 14, "Deployment": 6, "ServiceAccount": 6, "Service": 3,
		"NetworkPolicy": 3, "ResourceQuota": 1, "ClusterRole": 3, "ClusterRoleBinding": 2,
	}
	if !maps.Equal(kinds, want) {
		t.Errorf("%v", kinds)
	}
	header := "# Flux Version: v2.9.3\n# Components: source-controller,kustomize-controller,helm-controller," +
		"notification-controller,image-reflector-controller,image-automation-controller\n"
	if !strings.Contains(text, header) {
		t.Errorf("header: %.300s", text)
	}
	if !strings.Contains(text, "image: ghcr.io/fluxcd/kustomize-controller:v") {
		t.Error("no image of kustomize-controller")
	}
}

// objects are the objects of a manifest of all components, by kind and name.
func objects(t *testing.T) map[string]*unstructured.Unstructured {
	t.Helper()
	text, _ := export(t, "--components-extra=image-reflector-controller,image-automation-controller")
	result := map[string]*unstructured.Unstructured{}
	for _, document := range strings.Split(text, "\n---\n") {
		object := &unstructured.Unstructured{}
		if err := yaml.Unmarshal([]byte(document), &object.Object); err != nil {
			t.Fatal(err)
		}
		result[object.GetKind()+" "+object.GetName()] = object
	}
	return result
}

func TestPrioritiesAndGracePeriodsAreThoseOfFlux(t *testing.T) {
	const critical = "system-cluster-critical"
	all := objects(t)
	for name, want := range map[string]struct {
		priority string
		grace    int64
	}{
		"source-controller":           {critical, 10},
		"kustomize-controller":        {critical, 60},
		"helm-controller":             {critical, 600},
		"notification-controller":     {"", 10},
		"image-reflector-controller":  {"", 10},
		"image-automation-controller": {"", 10},
	} {
		object := all["Deployment "+name]
		if object == nil {
			t.Errorf("%s is not there", name)
			continue
		}
		priority, _, _ := unstructured.NestedString(object.Object, "spec", "template", "spec", "priorityClassName")
		grace, _, _ := unstructured.NestedInt64(
			object.Object, "spec", "template", "spec", "terminationGracePeriodSeconds")
		if priority != want.priority || grace != want.grace {
			t.Errorf("%s: %q, %v s", name, priority, grace)
		}
	}
}

func TestWebhooksReachOnePort(t *testing.T) {
	rules, _, _ := unstructured.NestedSlice(objects(t)["NetworkPolicy allow-webhooks"].Object, "spec", "ingress")
	want := []any{map[string]any{"port": int64(9292), "protocol": "TCP"}}
	if len(rules) != 1 || !reflect.DeepEqual(rules[0].(map[string]any)["ports"], want) {
		t.Errorf("%v", rules)
	}
}

func TestOnlyWhatIsAskedForIsInstalled(t *testing.T) {
	text, kinds := export(t, "--components=source-controller,kustomize-controller", "--namespace=gitops",
		"--network-policy=false")
	if kinds["Deployment"] != 2 || kinds["CustomResourceDefinition"] != 7 || kinds["NetworkPolicy"] != 0 {
		t.Errorf("%v", kinds)
	}
	if strings.Contains(text, "flux-system") || strings.Contains(text, "--events-addr") {
		t.Error("another namespace or an absent component is named")
	}
}

func TestComponentsMayBeGivenOneByOne(t *testing.T) {
	one, _ := export(t, "--components=source-controller", "--components=kustomize-controller")
	list, _ := export(t, "--components", "source-controller,kustomize-controller")
	if one != list {
		t.Error("two ways to say the same give two manifests")
	}
}

func TestTheSameInputGivesTheSameBytes(t *testing.T) {
	first, _ := export(t)
	for range 10 {
		if again, _ := export(t); again != first {
			t.Fatal("another manifest")
		}
	}
}

func TestAnotherVersionGoesIntoHeaderAndLabels(t *testing.T) {
	text, kinds := export(t, "--version=v2.10.0")
	if !strings.Contains(text, "# Flux Version: v2.10.0\n") || strings.Contains(text, "v2.9.3") {
		t.Errorf("header: %.200s", text)
	}
	// Deployments carry it twice, on themselves and on their pods.
	want := kinds["Deployment"]
	for _, count := range kinds {
		want += count
	}
	if got := strings.Count(text, "app.kubernetes.io/version: v2.10.0\n"); got != want {
		t.Errorf("%d labels with the version, not %d", got, want)
	}
}

func TestWhatFluxRefusesIsRefused(t *testing.T) {
	for named, args := range map[string][]string{
		"kustomize-controller": {"--export", "--components=source-controller"},
		"image-something":      {"--export", "--components-extra=image-something"},
		"--nonsense":           {"--export", "--nonsense"},
		"stray":                {"--export", "stray"},
		"2.9.3":                {"--export", "--version=2.9.3"},
		"Not_A_Name":           {"--export", "--namespace=Not_A_Name"},
		"loud":                 {"--export", "--log-level=loud"},
		"a: b":                 {"--export", "--registry=a: b"},
		"give --export":        {},
	} {
		var out bytes.Buffer
		err := install(args, "v2.9.3", someDefinitions(), &out)
		if err == nil || !strings.Contains(err.Error(), named) || out.Len() != 0 {
			t.Errorf("%q: %v, and %d bytes of output", args, err, out.Len())
		}
	}
}

func TestMissingDefinitionsAreNamedAndNothingIsPrinted(t *testing.T) {
	definitions := someDefinitions()
	delete(definitions, "helmreleases.helm.yaml")
	var out bytes.Buffer
	err := install([]string{"--export"}, "v2.9.3", definitions, &out)
	if err == nil || !strings.Contains(err.Error(), "helm-controller") || out.Len() != 0 {
		t.Errorf("%v, and %d bytes of output", err, out.Len())
	}
}

func TestDefinitionsAreReadFromTheFolderNamed(t *testing.T) {
	folder := t.TempDir()
	for name, text := range someDefinitions() {
		if err := os.WriteFile(filepath.Join(folder, name), []byte("---\n"+text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("ELYSIUM_SANDBOX_CRDS", folder)
	var out bytes.Buffer
	if err := run([]string{"install", "--export"}, attach.Data{}, &out); err != nil {
		t.Fatal(err)
	}
	if want, _ := export(t); out.String() != want {
		t.Error("the folder's definitions give another manifest than the attached ones")
	}
}

func TestTheVersionIsTheAttachedOne(t *testing.T) {
	for attached, want := range map[string]string{"": "2.9.3", "v2.9.1": "2.9.1"} {
		var out bytes.Buffer
		if err := run([]string{"--version"}, attach.Data{Version: attached}, &out); err != nil {
			t.Fatal(err)
		}
		if first, _, _ := strings.Cut(out.String(), "\n"); first != "flux version "+want {
			t.Errorf("%q", first)
		}
	}
}

func TestUnknownCommandsAreNamed(t *testing.T) {
	for _, command := range []string{"bootstrap github", "version --nonsense", "--nonsense"} {
		err := run(strings.Fields(command), attach.Data{}, io.Discard)
		if err == nil || !strings.Contains(err.Error(), "flux "+command) || !strings.Contains(err.Error(), "sandbox") {
			t.Errorf("%s: %v", command, err)
		}
	}
}

package fluxcli

import (
	"bytes"
	"errors"
	"io"
	"maps"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/yaml"
)

// someDefinitions have the names of the real ones and nothing else.
func someDefinitions() map[string]string {
	result := map[string]string{}
	for _, name := range strings.Fields(`buckets.source externalartifacts.source gitrepositories.source
		helmcharts.source helmrepositories.source ocirepositories.source kustomizations.kustomize
		helmreleases.helm alerts.notification providers.notification receivers.notification
		imagepolicies.image imagerepositories.image imageupdateautomations.image`) {
		result[name+".yaml"] = "kind: CustomResourceDefinition\nmetadata:\n  name: " + name + ".toolkit.fluxcd.io\n"
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

func TestWhatFluxRefusesIsRefused(t *testing.T) {
	for _, args := range [][]string{
		{"--export", "--components=source-controller"},
		{"--export", "--components-extra=image-something"},
		{"--export", "--nonsense"},
		{},
	} {
		if err := install(args, "v2.9.3", someDefinitions(), io.Discard); err == nil {
			t.Errorf("%q was taken", args)
		}
	}
}

package fluxd

import (
	"slices"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

func kindsAndNames(objects []*unstructured.Unstructured) []string {
	var result []string
	for _, one := range objects {
		if one.GetKind() != "CustomResourceDefinition" {
			result = append(result, one.GetKind()+" "+one.GetNamespace()+"/"+one.GetName())
		}
	}
	return result
}

func TestSealedSecretsIsNamedAsItsChartNamesIt(t *testing.T) {
	for _, test := range []struct {
		release  string
		override any
		want     string
	}{
		{"sealed-secrets", nil, "sealed-secrets"},
		{"kube", nil, "kube-sealed-secrets"},
		{"sealed-secrets", "sealed-secrets-controller", "sealed-secrets-controller"},
	} {
		got := kindsAndNames(sealedSecrets(release{
			name: test.release, namespace: "flux-system", values: map[string]any{"fullnameOverride": test.override},
		}))
		for _, kind := range []string{"Deployment", "Service", "ServiceAccount"} {
			if !slices.Contains(got, kind+" flux-system/"+test.want) {
				t.Errorf("%+v: %q", test, got)
			}
		}
	}
}

func TestTheGPUPluginSharesItsDevices(t *testing.T) {
	objects := intelGPU(release{namespace: "intel", values: map[string]any{"sharedDevNum": int64(10)}})
	containers, _, _ := unstructured.NestedSlice(objects[0].Object, "spec", "template", "spec", "containers")
	args := containers[0].(map[string]any)["args"].([]any)
	if args[0] != "-shared-dev-num=10" {
		t.Errorf("%v", args)
	}
}

func TestReleaseNames(t *testing.T) {
	subject := objectOf(map[string]any{"metadata": map[string]any{"name": "web"}, "spec": map[string]any{}})
	if got := releaseName(subject, "flux-system"); got != "web" {
		t.Error(got)
	}
	set(subject, "apps", "spec", "targetNamespace")
	if got := releaseName(subject, "apps"); got != "apps-web" {
		t.Error(got)
	}
	set(subject, "mine", "spec", "releaseName")
	if got := releaseName(subject, "apps"); got != "mine" {
		t.Error(got)
	}
}

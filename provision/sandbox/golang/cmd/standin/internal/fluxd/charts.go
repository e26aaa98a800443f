package fluxd

import (
	"bytes"
	_ "embed"
	"errors"
	"io"
	"os"
	"strings"
	"text/template"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/yaml"
)

const sealedSecretsCRD = "/opt/elysium-sandbox/crds/bitnami.com_sealedsecrets.yaml"

//go:embed sealed-secrets.yaml
var sealedSecretsText string

//go:embed intel-gpu.yaml
var intelGPUText string

// release is what a chart is rendered with.
type release struct {
	name      string
	namespace string
	values    map[string]any
}

// localCharts are the charts that have a meaning in the sandbox, and what they
// install there.
var localCharts = map[string]func(release) []*unstructured.Unstructured{
	"sealed-secrets":           sealedSecrets,
	"intel-device-plugins-gpu": intelGPU,
}

// sealedSecrets is the real controller with its definition. Names follow the
// chart: fullnameOverride, else the release's name.
func sealedSecrets(r release) []*unstructured.Unstructured {
	name := stringOf(r.values["fullnameOverride"])
	switch {
	case name != "":
	case strings.Contains(r.name, "sealed-secrets"):
		name = r.name
	default:
		name = r.name + "-sealed-secrets"
	}
	objects := render(sealedSecretsText, map[string]any{"Name": name, "Namespace": r.namespace, "Release": r.name})
	definition, err := os.ReadFile(sealedSecretsCRD)
	if err != nil {
		return objects // the controller says what it misses
	}
	return append(render(string(definition), nil), objects...)
}

// intelGPU is the device plugin that the operator would run for the chart's
// GpuDevicePlugin.
func intelGPU(r release) []*unstructured.Unstructured {
	name := stringOf(r.values["name"])
	if name == "" {
		name = "gpudeviceplugin-sample"
	}
	shared := r.values["sharedDevNum"]
	if shared == nil {
		shared = 1
	}
	return render(intelGPUText, map[string]any{"Name": name, "Namespace": r.namespace, "Shared": shared})
}

// render makes objects of a template of ours.
func render(source string, values map[string]any) []*unstructured.Unstructured {
	var filled bytes.Buffer
	if values == nil {
		filled.WriteString(source)
	} else if err := template.Must(template.New("chart").Parse(source)).Execute(&filled, values); err != nil {
		panic(err) // the templates are part of this program, and tested
	}
	var objects []*unstructured.Unstructured
	documents := yaml.NewYAMLOrJSONDecoder(&filled, 4096)
	for {
		object := &unstructured.Unstructured{}
		if err := documents.Decode(&object.Object); errors.Is(err, io.EOF) {
			return objects
		} else if err != nil {
			panic(err)
		}
		if object.Object != nil {
			objects = append(objects, object)
		}
	}
}

// releaseName is Helm's name of a release.
func releaseName(object *unstructured.Unstructured, namespace string) string {
	if name := text(object, "spec", "releaseName"); name != "" {
		return name
	}
	if text(object, "spec", "targetNamespace") != "" {
		return namespace + "-" + object.GetName()
	}
	return object.GetName()
}

// valuesOf are the release's own values; those it refers to are not read.
func valuesOf(object *unstructured.Unstructured) map[string]any {
	values, _, _ := unstructured.NestedMap(object.Object, "spec", "values")
	return values
}

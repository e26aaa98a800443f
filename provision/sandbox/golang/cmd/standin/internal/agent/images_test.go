package agent

import (
	"slices"
	"testing"
)

func TestProgramOfAnImage(t *testing.T) {
	for image, want := range map[string]string{
		"ghcr.io/fluxcd/kustomize-controller:v1.9.6":                      "kustomize-controller",
		"ghcr.io/fluxcd/source-controller@sha256:abc":                     "source-controller",
		"ghcr.io/fluxcd/source-controller:v1.9.6":                         "source-controller",
		"registry.local:5000/fluxcd/helm-controller:v1.6.5@sha256:abc":    "helm-controller",
		"docker.io/bitnami/sealed-secrets-controller:0.27.1":              "controller",
		"plexinc/pms-docker:latest":                                       "",
		"intel/intel-gpu-plugin:0.32.0":                                   "",
		"example.org/not-the-source-controller/but-something-else:latest": "",
	} {
		found, ok := programOf(image)
		if ok != (want != "") || found.name != want {
			t.Errorf("%s: %q", image, found.name)
		}
	}
}

func TestGPUPluginIsKnownByItsImage(t *testing.T) {
	if !isGPUPlugin("intel/intel-gpu-plugin:0.32.0") || isGPUPlugin("intel/intel-npu-plugin:0.32.0") {
		t.Error("wrong image")
	}
}

func TestArgumentsExpandAndEndWithOurs(t *testing.T) {
	program := program{name: "x", extra: []string{"--last=$(NS)"}}
	got := program.arguments([]string{"x", "--first"}, []string{"--addr=$(NS).svc", "$$(NS)", "$(NONE)"},
		map[string]string{"NS": "flux-system"})
	want := []string{"--first", "--addr=flux-system.svc", "$(NS)", "$(NONE)", "--last=flux-system"}
	if !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
}

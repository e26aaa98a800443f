package k3s

import (
	"bytes"
	"context"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// builtins are objects a k3s server brings: the definitions its Helm and
// addon controllers use, which repositories count on (HelmChartConfig), and
// CoreDNS, the local-path provisioner, metrics-server and Traefik.
//
//go:embed builtins.yaml local-storage.yaml metrics-server.yaml
var builtins embed.FS

const (
	// componentLabel marks the objects that the "disable" option leaves out.
	componentLabel = "sandbox.elysium.invalid/component"
	dnsService     = "kube-dns"
	storageConfig  = "local-path-config"
	helperPod      = "helperPod.yaml"
)

// addBuiltins applies the objects above.
func addBuiltins(ctx context.Context, config *rest.Config, o *options) error {
	objects, err := builtinObjects(o)
	if err != nil {
		return err
	}
	api, err := client.New(config, client.Options{})
	if err != nil {
		return err
	}
	for _, object := range objects {
		applied := client.ApplyConfigurationFromUnstructured(object)
		err := api.Apply(ctx, applied, client.FieldOwner("k3s"), client.ForceOwnership)
		// The API server makes kube-system when it is ready already.
		for deadline := time.Now().Add(10 * time.Second); apierrors.IsNotFound(err) && time.Now().Before(deadline); {
			time.Sleep(50 * time.Millisecond)
			err = api.Apply(ctx, applied, client.FieldOwner("k3s"), client.ForceOwnership)
		}
		if err != nil {
			return fmt.Errorf("apply %s %s: %w", object.GetKind(), object.GetName(), err)
		}
	}
	return nil
}

// builtinObjects returns the objects above as the options ask for them.
func builtinObjects(o *options) ([]*unstructured.Unstructured, error) {
	var result []*unstructured.Unstructured
	files, err := builtins.ReadDir(".")
	if err != nil {
		return nil, err
	}
	for _, file := range files {
		content, err := builtins.ReadFile(file.Name())
		if err != nil {
			return nil, err
		}
		documents := yaml.NewYAMLOrJSONDecoder(bytes.NewReader(content), 4096)
		for {
			object := &unstructured.Unstructured{}
			if err := documents.Decode(&object.Object); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				return nil, fmt.Errorf("%s: %w", file.Name(), err)
			}
			if slices.Contains(o.disable, object.GetLabels()[componentLabel]) {
				continue
			}
			if err := adjust(object, o); err != nil {
				return nil, fmt.Errorf("%s %s: %w", object.GetKind(), object.GetName(), err)
			}
			result = append(result, object)
		}
	}
	return result, nil
}

// adjust writes the options into an object.
func adjust(object *unstructured.Unstructured, o *options) error {
	switch kind, name := object.GetKind(), object.GetName(); {
	case kind == "Service" && name == dnsService:
		return unstructured.SetNestedField(object.Object, o.dnsAddress(), "spec", "clusterIP")
	case kind == "ConfigMap" && name == storageConfig:
		return configureStorage(object, o)
	case kind == "Deployment" && o.registry != "":
		return pullFrom(object, o.registry)
	}
	return nil
}

// configureStorage tells the local-path provisioner its folder, and where the
// image of its helper pods comes from.
func configureStorage(object *unstructured.Unstructured, o *options) error {
	paths := map[string]any{"node": "DEFAULT_PATH_FOR_NON_LISTED_NODES", "paths": []string{o.storage}}
	config, err := json.Marshal(map[string]any{"nodePathMap": []any{paths}})
	if err != nil {
		return err
	}
	if err := unstructured.SetNestedField(object.Object, string(config), "data", "config.json"); err != nil {
		return err
	}
	pod, found, err := unstructured.NestedString(object.Object, "data", helperPod)
	if err != nil || !found {
		return fmt.Errorf("%s is missing: %w", helperPod, err)
	}
	if o.registry != "" {
		pod = strings.ReplaceAll(pod, "image: ", "image: "+o.registry+"/")
	}
	return unstructured.SetNestedField(object.Object, pod, "data", helperPod)
}

// pullFrom puts the registry before the names of a Deployment's images.
func pullFrom(object *unstructured.Unstructured, registry string) error {
	path := []string{"spec", "template", "spec", "containers"}
	containers, _, err := unstructured.NestedSlice(object.Object, path...)
	if err != nil {
		return err
	}
	for _, each := range containers {
		container, ok := each.(map[string]any)
		if !ok {
			return fmt.Errorf("%s has a container that is none", object.GetName())
		}
		container["image"] = fmt.Sprintf("%s/%v", registry, container["image"])
	}
	return unstructured.SetNestedSlice(object.Object, containers, path...)
}

package k3s

import (
	"bytes"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// builtins are objects a k3s server brings: the definitions its Helm and
// addon controllers use, which repositories count on (HelmChartConfig), the
// storage class of its local-path provisioner, and the Deployments of what it
// brings along: CoreDNS, the provisioner, metrics-server and Traefik. Their pods
// are said to run, as others are.
//
//go:embed builtins.yaml
var builtins []byte

// componentLabel marks the objects that the "disable" option leaves out.
const componentLabel = "sandbox.elysium.invalid/component"

// addBuiltins applies the objects above.
func addBuiltins(ctx context.Context, config *rest.Config, o *options) error {
	api, err := client.New(config, client.Options{})
	if err != nil {
		return err
	}
	documents := yaml.NewYAMLOrJSONDecoder(bytes.NewReader(builtins), 4096)
	for {
		object := &unstructured.Unstructured{}
		if err := documents.Decode(&object.Object); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		if slices.Contains(o.disable, object.GetLabels()[componentLabel]) {
			continue
		}
		if object.GetKind() == "Service" {
			if err := unstructured.SetNestedField(object.Object, o.dnsAddress(), "spec", "clusterIP"); err != nil {
				return err
			}
		}
		if o.registry != "" && object.GetKind() == "Deployment" {
			if err := pullFrom(object, o.registry); err != nil {
				return err
			}
		}
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

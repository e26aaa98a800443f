package k3s

import (
	"bytes"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"slices"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// builtins are objects a k3s server brings: the definitions its Helm and
// addon controllers use, which repositories count on (HelmChartConfig), and
// the storage class of its local-path provisioner.
//
//go:embed builtins.yaml
var builtins []byte

// componentLabel marks the objects that the "disable" option leaves out.
const componentLabel = "sandbox.elysium.invalid/component"

// addBuiltins applies the objects above.
func addBuiltins(ctx context.Context, config *rest.Config, disabled []string) error {
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
		if slices.Contains(disabled, object.GetLabels()[componentLabel]) {
			continue
		}
		applied := client.ApplyConfigurationFromUnstructured(object)
		err := api.Apply(ctx, applied, client.FieldOwner("k3s"), client.ForceOwnership)
		if err != nil {
			return fmt.Errorf("apply %s %s: %w", object.GetKind(), object.GetName(), err)
		}
	}
}

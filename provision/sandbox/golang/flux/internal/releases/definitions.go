package releases

import (
	"bytes"
	"context"
	"fmt"
	"time"

	helmv2 "github.com/fluxcd/helm-controller/api/v2"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/util/wait"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

const definitionsTimeout = time.Minute

// applyDefinitions applies what is in the folder "crds" of the chart, by the
// policy of the release, and waits until the API server serves it.
func (a *attempt) applyDefinitions(ctx context.Context, policy helmv2.CRDsPolicy) error {
	switch policy {
	case helmv2.Skip:
		return nil
	case helmv2.Create, helmv2.CreateReplace:
	default:
		return fmt.Errorf("unknown policy for CRDs: %q", policy)
	}
	var names []string
	for _, file := range a.chart.CRDObjects() {
		objects, err := decode(bytes.NewReader(file.File.Data))
		if err != nil {
			return fmt.Errorf("failed to parse CustomResourceDefinitions from %s: %w", file.Name, err)
		}
		for _, object := range objects {
			rendered{a.object}.label(object)
			if err := a.applyDefinition(ctx, object, policy); err != nil {
				return fmt.Errorf("failed to apply %s %s: %w", object.GetKind(), object.GetName(), err)
			}
			if object.GetKind() == "CustomResourceDefinition" {
				names = append(names, object.GetName())
			}
		}
	}
	for _, name := range names {
		if err := a.established(ctx, name); err != nil {
			return err
		}
	}
	return nil
}

func (a *attempt) applyDefinition(ctx context.Context, object *unstructuredObject, policy helmv2.CRDsPolicy) error {
	if policy == helmv2.Create {
		err := a.client.Create(ctx, object, client.FieldOwner(fieldManager))
		if apierrors.IsAlreadyExists(err) {
			return nil
		}
		return err
	}
	return a.client.Apply(ctx, client.ApplyConfigurationFromUnstructured(object),
		client.FieldOwner(fieldManager), client.ForceOwnership)
}

// established returns when the API server serves the kinds of a definition.
func (a *attempt) established(ctx context.Context, name string) error {
	err := wait.PollUntilContextTimeout(ctx, 100*time.Millisecond, definitionsTimeout, true,
		func(ctx context.Context) (bool, error) {
			found := &apiextensionsv1.CustomResourceDefinition{}
			if err := a.client.Get(ctx, client.ObjectKey{Name: name}, found); err != nil {
				return false, err
			}
			for _, condition := range found.Status.Conditions {
				if condition.Type == apiextensionsv1.Established {
					return condition.Status == apiextensionsv1.ConditionTrue, nil
				}
			}
			return false, nil
		})
	if err != nil {
		return fmt.Errorf("CustomResourceDefinition %s is not established: %w", name, err)
	}
	return nil
}

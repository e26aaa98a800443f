package releases

import (
	"context"
	"fmt"

	helmv2 "github.com/fluxcd/helm-controller/api/v2"
	"github.com/fluxcd/pkg/runtime/cel"
	"github.com/fluxcd/pkg/runtime/conditions"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
)

// missingDependency says which release has to be ready first, or returns an
// empty text.
func (r *Reconciler) missingDependency(ctx context.Context, object *helmv2.HelmRelease) (string, error) {
	for _, dependency := range object.Spec.DependsOn {
		key := types.NamespacedName{Namespace: dependency.Namespace, Name: dependency.Name}
		if key.Namespace == "" {
			key.Namespace = object.Namespace
		}
		other := &helmv2.HelmRelease{}
		if err := r.Reader.Get(ctx, key, other); err != nil {
			return fmt.Sprintf("unable to get '%s' dependency: %s", key, err), nil
		}
		if dependency.ReadyExpr != "" {
			ready, err := evaluate(ctx, dependency.ReadyExpr, object, other)
			if err != nil {
				return "", &terminalError{
					reason: "InvalidCELExpression", message: fmt.Sprintf("dependency '%s': %s", key, err),
				}
			}
			if !ready {
				return fmt.Sprintf("dependency '%s' is not ready according to readyExpr eval", key), nil
			}
			continue
		}
		if other.Status.ObservedGeneration != other.Generation || !conditions.IsReady(other) {
			return fmt.Sprintf("dependency '%s' is not ready", key), nil
		}
	}
	return "", nil
}

// evaluate computes a CEL expression over the release and its dependency.
func evaluate(ctx context.Context, expression string, object, dependency *helmv2.HelmRelease) (bool, error) {
	compiled, err := cel.NewExpression(expression, cel.WithCompile(), cel.WithStructVariables("self", "dep"))
	if err != nil {
		return false, err
	}
	variables := map[string]any{}
	for name, one := range map[string]*helmv2.HelmRelease{"self": object, "dep": dependency} {
		if variables[name], err = runtime.DefaultUnstructuredConverter.ToUnstructured(one); err != nil {
			return false, err
		}
	}
	return compiled.EvaluateBoolean(ctx, variables)
}

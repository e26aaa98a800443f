package fluxd

import (
	"context"
	"fmt"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// acting is an actor that is a function.
type acting func(ctx context.Context, object *unstructured.Unstructured) (outcome, error)

func (a acting) act(ctx context.Context, object *unstructured.Unstructured) (outcome, error) {
	return a(ctx, object)
}

// succeeded is the outcome of what the stand-in counts as done.
func succeeded(reason, format string, values ...any) outcome {
	return outcome{status: metav1.ConditionTrue, reason: reason, message: fmt.Sprintf(format, values...)}
}

// saying marks objects Ready and says what is not done for them.
func saying(what string) actor {
	return acting(func(context.Context, *unstructured.Unstructured) (outcome, error) {
		return succeeded("Succeeded", "stood in by the elysium sandbox: %s", what), nil
	})
}

// tagAnnotation on an ImagePolicy names the tag that is the latest, as though
// a registry had it. Without it each run of an automation finds the next one.
const tagAnnotation = "sandbox.elysium.invalid/latest-tag"

// imagePolicy marks policies Ready; with the annotation above it gives their
// latest image.
type imagePolicy struct {
	reader client.Reader
	mapper meta.RESTMapper
}

func (p imagePolicy) act(ctx context.Context, object *unstructured.Unstructured) (outcome, error) {
	tag := object.GetAnnotations()[tagAnnotation]
	if tag == "" {
		return succeeded("Succeeded", "stood in by the elysium sandbox: no tags are known, "+
			"annotate %s to name the latest", tagAnnotation), nil
	}
	version, err := versionOf(p.mapper, "image.toolkit.fluxcd.io", "ImageRepository")
	if err != nil {
		return outcome{}, err
	}
	repository := &unstructured.Unstructured{}
	repository.SetGroupVersionKind(version)
	key := client.ObjectKey{
		Namespace: text(object, "spec", "imageRepositoryRef", "namespace"),
		Name:      text(object, "spec", "imageRepositoryRef", "name"),
	}
	if key.Namespace == "" {
		key.Namespace = object.GetNamespace()
	}
	if err := p.reader.Get(ctx, key, repository); err != nil {
		return outcome{}, &failure{reason: "DependencyNotReady", message: err.Error()}
	}
	image := text(repository, "spec", "image")
	set(object, map[string]any{"name": image, "tag": tag}, "status", "latestRef")
	return succeeded("Succeeded", "Latest image tag for %s resolved to %s (elysium sandbox: named by annotation)",
		image, tag), nil
}

package fluxd

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

const (
	helmFinalizer = "finalizers.fluxcd.io"
	// releaseLabel and namespaceLabel are on what a release has brought.
	releaseLabel   = "helm.toolkit.fluxcd.io/name"
	namespaceLabel = "helm.toolkit.fluxcd.io/namespace"
	// helmPause is between two looks at what a release waits for.
	helmPause = 500 * time.Millisecond
)

// helmRelease does of a release what others depend on: the order, the
// namespace, the values it refers to, and the objects of the charts that have
// a meaning in the sandbox.
type helmRelease struct {
	api    client.Client
	reader client.Reader
	mapper meta.RESTMapper
}

func (h *helmRelease) act(ctx context.Context, object *unstructured.Unstructured) (outcome, error) {
	waiting, err := h.waitsFor(ctx, object)
	if err != nil {
		return outcome{}, err
	}
	if waiting != "" {
		return outcome{
			status: metav1.ConditionFalse, reason: "DependencyNotReady", again: helmPause,
			message: "dependencies do not meet ready condition: " + waiting,
		}, nil
	}
	chart, err := h.chart(ctx, object)
	if err != nil {
		return outcome{}, &failure{reason: "SourceNotReady", message: err.Error()}
	}
	if err := h.values(ctx, object); err != nil {
		return outcome{}, &failure{reason: "ValuesError", message: err.Error()}
	}
	namespace, err := h.namespace(ctx, object)
	if err != nil {
		return outcome{}, &failure{reason: "InstallFailed", message: err.Error()}
	}
	install, local := localCharts[chart]
	if !local {
		return succeeded("InstallSucceeded", "stood in by the elysium sandbox: namespace %s is there, "+
			"nothing of chart %s is installed", namespace, chart), nil
	}
	ready, err := h.install(ctx, object, install(release{
		name: releaseName(object, namespace), namespace: namespace, values: valuesOf(object),
	}))
	if err != nil {
		return outcome{}, &failure{reason: "InstallFailed", message: err.Error()}
	}
	if !ready {
		return outcome{
			status: metav1.ConditionUnknown, reason: "Progressing", again: helmPause,
			message: "waiting for what chart " + chart + " installs",
		}, nil
	}
	return succeeded("InstallSucceeded", "stood in by the elysium sandbox: of chart %s the parts that run here "+
		"are installed in namespace %s", chart, namespace), nil
}

// waitsFor names a dependency that is not Ready.
func (h *helmRelease) waitsFor(ctx context.Context, object *unstructured.Unstructured) (string, error) {
	dependencies, _, _ := unstructured.NestedSlice(object.Object, "spec", "dependsOn")
	for _, each := range dependencies {
		entry, ok := each.(map[string]any)
		if !ok {
			continue
		}
		name, namespace := stringOf(entry["name"]), stringOf(entry["namespace"])
		if namespace == "" {
			namespace = object.GetNamespace()
		}
		other := &unstructured.Unstructured{}
		other.SetGroupVersionKind(object.GroupVersionKind())
		err := h.reader.Get(ctx, client.ObjectKey{Namespace: namespace, Name: name}, other)
		if apierrors.IsNotFound(err) {
			return fmt.Sprintf("unable to get '%s/%s' dependency: %v", namespace, name, err), nil
		} else if err != nil {
			return "", err
		}
		if !isReady(other) {
			return fmt.Sprintf("dependency '%s/%s' is not ready", namespace, name), nil
		}
	}
	return "", nil
}

// chart is the name of the release's chart. Its source must be there.
func (h *helmRelease) chart(ctx context.Context, object *unstructured.Unstructured) (string, error) {
	reference := []string{"spec", "chart", "spec", "sourceRef"}
	if text(object, "spec", "chartRef", "kind") != "" {
		reference = []string{"spec", "chartRef"}
	}
	at := func(name string) string { return text(object, append(slices.Clone(reference), name)...) }
	key := client.ObjectKey{Namespace: at("namespace"), Name: at("name")}
	if key.Namespace == "" {
		key.Namespace = object.GetNamespace()
	}
	version, err := versionOf(h.mapper, "source.toolkit.fluxcd.io", at("kind"))
	if err != nil {
		return "", err
	}
	source := &unstructured.Unstructured{}
	source.SetGroupVersionKind(version)
	if err := h.reader.Get(ctx, key, source); err != nil {
		return "", fmt.Errorf("could not get Source object: %w", err)
	}
	name := text(object, "spec", "chart", "spec", "chart")
	if name == "" {
		name = text(source, "spec", "url")
	}
	name = strings.TrimRight(name, "/")
	return name[strings.LastIndex(name, "/")+1:], nil
}

// values looks for the Secrets and ConfigMaps that values come from.
func (h *helmRelease) values(ctx context.Context, object *unstructured.Unstructured) error {
	sources, _, _ := unstructured.NestedSlice(object.Object, "spec", "valuesFrom")
	for _, each := range sources {
		entry, ok := each.(map[string]any)
		if !ok || entry["optional"] == true {
			continue
		}
		key := client.ObjectKey{Namespace: object.GetNamespace(), Name: stringOf(entry["name"])}
		field := stringOf(entry["valuesKey"])
		if field == "" {
			field = "values.yaml"
		}
		found, err := false, error(nil)
		if entry["kind"] == "Secret" {
			secret := &corev1.Secret{}
			err = h.reader.Get(ctx, key, secret)
			_, found = secret.Data[field]
		} else {
			config := &corev1.ConfigMap{}
			err = h.reader.Get(ctx, key, config)
			_, found = config.Data[field]
		}
		if err == nil && !found {
			err = fmt.Errorf("missing key '%s'", field)
		}
		if err != nil {
			return fmt.Errorf("could not resolve %v chart values reference '%s/%s' with key '%s': %w",
				entry["kind"], key.Namespace, key.Name, field, err)
		}
	}
	return nil
}

// namespace is where the release goes, made when the release says so.
func (h *helmRelease) namespace(ctx context.Context, object *unstructured.Unstructured) (string, error) {
	name := text(object, "spec", "targetNamespace")
	if name == "" {
		return object.GetNamespace(), nil
	}
	namespace := &corev1.Namespace{}
	err := h.reader.Get(ctx, client.ObjectKey{Name: name}, namespace)
	create, _, _ := unstructured.NestedBool(object.Object, "spec", "install", "createNamespace")
	if apierrors.IsNotFound(err) && create {
		err = h.api.Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{
			Name: name, Labels: map[string]string{"name": name},
		}})
	}
	if apierrors.IsAlreadyExists(err) {
		err = nil
	}
	return name, err
}

// install applies the objects and says whether their workloads are up.
func (h *helmRelease) install(
	ctx context.Context, object *unstructured.Unstructured, objects []*unstructured.Unstructured,
) (bool, error) {
	before := object.DeepCopy()
	if !slices.Contains(object.GetFinalizers(), helmFinalizer) {
		object.SetFinalizers(append(object.GetFinalizers(), helmFinalizer))
		if err := h.api.Patch(ctx, object, client.MergeFrom(before)); err != nil {
			return false, err
		}
	}
	up := true
	for _, one := range objects {
		if one.GetKind() != "CustomResourceDefinition" {
			labels := map[string]string{releaseLabel: object.GetName(), namespaceLabel: object.GetNamespace()}
			for name, value := range one.GetLabels() {
				labels[name] = value
			}
			one.SetLabels(labels)
		}
		applied := client.ApplyConfigurationFromUnstructured(one)
		err := h.api.Apply(ctx, applied, client.FieldOwner("helm-controller"), client.ForceOwnership)
		if err != nil {
			return false, fmt.Errorf("%s %s: %w", one.GetKind(), one.GetName(), err)
		}
		if one.GetKind() == "Deployment" {
			available, _, _ := unstructured.NestedInt64(one.Object, "status", "availableReplicas")
			up = up && available > 0
		}
	}
	return up, nil
}

// finalize removes what the release brought, but for definitions, as Helm does.
func (h *helmRelease) finalize(ctx context.Context, object *unstructured.Unstructured) error {
	if !slices.Contains(object.GetFinalizers(), helmFinalizer) {
		return nil
	}
	labels := client.MatchingLabels{releaseLabel: object.GetName(), namespaceLabel: object.GetNamespace()}
	for _, kind := range []schema.GroupVersionKind{
		{Group: "apps", Version: "v1", Kind: "Deployment"},
		{Group: "apps", Version: "v1", Kind: "DaemonSet"},
		{Version: "v1", Kind: "Service"},
		{Version: "v1", Kind: "ServiceAccount"},
		{Group: "rbac.authorization.k8s.io", Version: "v1", Kind: "ClusterRoleBinding"},
		{Group: "rbac.authorization.k8s.io", Version: "v1", Kind: "ClusterRole"},
	} {
		list := &unstructured.UnstructuredList{}
		list.SetGroupVersionKind(kind)
		if err := h.reader.List(ctx, list, labels); err != nil {
			return err
		}
		for i := range list.Items {
			err := h.api.Delete(ctx, &list.Items[i], client.PropagationPolicy(metav1.DeletePropagationBackground))
			if client.IgnoreNotFound(err) != nil {
				return err
			}
		}
	}
	before := object.DeepCopy()
	object.SetFinalizers(slices.DeleteFunc(object.GetFinalizers(), func(name string) bool { return name == helmFinalizer }))
	return h.api.Patch(ctx, object, client.MergeFrom(before))
}

func stringOf(value any) string {
	word, _ := value.(string)
	return word
}

package releases

import (
	"context"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	helmv2 "github.com/fluxcd/helm-controller/api/v2"
	"github.com/fluxcd/pkg/apis/kustomize"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// objects returns what the newest release in the storage consists of, as Helm
// applied it, each in the namespace it is in.
func (a *attempt) objects() ([]*unstructuredObject, error) {
	newest, err := a.newest()
	if err != nil || newest == nil {
		return nil, err
	}
	found, err := decode(strings.NewReader(newest.Manifest))
	if err != nil {
		return nil, err
	}
	for _, object := range found {
		kind := object.GroupVersionKind()
		mapping, err := a.client.RESTMapper().RESTMapping(kind.GroupKind(), kind.Version)
		if err != nil {
			return nil, err
		}
		if mapping.Scope.Name() != apimeta.RESTScopeNameNamespace {
			object.SetNamespace("")
		} else if object.GetNamespace() == "" {
			object.SetNamespace(newest.Namespace)
		}
		// Helm adds these to all objects of a release.
		set := func(all map[string]string, key, value string) map[string]string {
			if all == nil {
				all = map[string]string{}
			}
			all[key] = value
			return all
		}
		object.SetLabels(set(object.GetLabels(), "app.kubernetes.io/managed-by", "Helm"))
		annotations := set(object.GetAnnotations(), "meta.helm.sh/release-name", newest.Name)
		object.SetAnnotations(set(annotations, "meta.helm.sh/release-namespace", newest.Namespace))
	}
	return found, nil
}

// inventory lists the objects of the release in its status.
func (a *attempt) inventory(_ context.Context) {
	objects, err := a.objects()
	if err != nil {
		return // the inventory is for people: the release does not depend on it
	}
	result := &helmv2.ResourceInventory{Entries: []helmv2.ResourceRef{}}
	for _, object := range objects {
		kind := object.GroupVersionKind()
		name := strings.ReplaceAll(object.GetName(), ":", "__")
		result.Entries = append(result.Entries, helmv2.ResourceRef{
			ID:      strings.Join([]string{object.GetNamespace(), name, kind.Group, kind.Kind}, "_"),
			Version: kind.Version,
		})
	}
	a.object.Status.Inventory = result
}

// correctDrift compares the objects in the cluster with the release, and
// repairs them where the release asks for it.
func (r *Reconciler) correctDrift(ctx context.Context, a *attempt) error {
	detection := a.object.GetDriftDetection()
	if !detection.MustDetectChanges() {
		return nil
	}
	objects, err := a.objects()
	if err != nil {
		return err
	}
	var drifted []string
	for _, object := range objects {
		if disabled(object) {
			continue
		}
		differs, err := a.drifted(ctx, object, detection.Ignore)
		if err != nil {
			return fmt.Errorf("could not compare %s %s: %w", object.GetKind(), object.GetName(), err)
		}
		if !differs {
			continue
		}
		drifted = append(drifted, fmt.Sprintf("%s/%s/%s", object.GetKind(), object.GetNamespace(), object.GetName()))
		if detection.GetMode() != helmv2.DriftDetectionEnabled {
			continue
		}
		err = a.client.Apply(ctx, client.ApplyConfigurationFromUnstructured(object.DeepCopy()),
			client.FieldOwner(fieldManager), client.ForceOwnership)
		if err != nil {
			return fmt.Errorf("could not correct %s %s: %w", object.GetKind(), object.GetName(), err)
		}
	}
	if len(drifted) == 0 {
		mark(a.object, helmv2.DriftedCondition, metav1.ConditionFalse, helmv2.NoDriftDetectedReason, "no drift detected")
		return nil
	}
	message := "Cluster state of release has drifted from the desired state: " + strings.Join(drifted, ", ")
	r.Events.Event(a.object, "Warning", helmv2.DriftDetectedReason, message)
	if detection.GetMode() == helmv2.DriftDetectionEnabled {
		r.Events.Event(a.object, "Normal", "DriftCorrected", "Cluster state of release has been corrected")
		mark(a.object, helmv2.DriftedCondition, metav1.ConditionFalse, helmv2.NoDriftDetectedReason, "drift has been corrected")
		return nil
	}
	mark(a.object, helmv2.DriftedCondition, metav1.ConditionTrue, helmv2.DriftDetectedReason, message)
	return nil
}

func disabled(object *unstructuredObject) bool {
	key, value := helmv2.DriftDetectionMetadataKey, helmv2.DriftDetectionDisabledValue
	return object.GetLabels()[key] == value || object.GetAnnotations()[key] == value
}

// drifted says whether applying the object would change it in the cluster.
func (a *attempt) drifted(ctx context.Context, object *unstructuredObject, ignore []helmv2.IgnoreRule) (bool, error) {
	there := &unstructuredObject{}
	there.SetGroupVersionKind(object.GroupVersionKind())
	err := a.client.Get(ctx, client.ObjectKeyFromObject(object), there)
	if apierrors.IsNotFound(err) {
		return true, nil
	} else if err != nil {
		return false, err
	}
	would := object.DeepCopy()
	err = a.client.Apply(ctx, client.ApplyConfigurationFromUnstructured(would),
		client.DryRunAll, client.FieldOwner(fieldManager), client.ForceOwnership)
	if err != nil {
		return false, err
	}
	for _, one := range []*unstructuredObject{there, would} {
		delete(one.Object, "status")
		for _, field := range []string{"managedFields", "resourceVersion", "generation", "creationTimestamp", "uid"} {
			if metadata, ok := one.Object["metadata"].(map[string]any); ok {
				delete(metadata, field)
			}
		}
	}
	for _, rule := range ignore {
		applies, err := selects(rule.Target, object)
		if err != nil {
			return false, err
		}
		if !applies {
			continue
		}
		for _, path := range rule.Paths {
			remove(there.Object, path)
			remove(would.Object, path)
		}
	}
	return !equality.Semantic.DeepEqual(there.Object, would.Object), nil
}

// selects says whether the object is one that a rule is for.
func selects(target *kustomize.Selector, object *unstructuredObject) (bool, error) {
	if target == nil {
		return true, nil
	}
	kind := object.GroupVersionKind()
	for pattern, value := range map[*string]string{
		&target.Group: kind.Group, &target.Version: kind.Version, &target.Kind: kind.Kind,
		&target.Name: object.GetName(), &target.Namespace: object.GetNamespace(),
	} {
		if *pattern == "" {
			continue
		}
		expression, err := regexp.Compile("^(?:" + *pattern + ")$")
		if err != nil {
			return false, err
		}
		if !expression.MatchString(value) {
			return false, nil
		}
	}
	if target.LabelSelector == "" {
		return true, nil
	}
	selector, err := labels.Parse(target.LabelSelector)
	if err != nil {
		return false, err
	}
	return selector.Matches(labels.Set(object.GetLabels())), nil
}

// remove deletes the value at a JSON pointer (RFC 6901), if there is one.
func remove(value any, pointer string) {
	words := strings.Split(strings.TrimPrefix(pointer, "/"), "/")
	for i, word := range words {
		word = strings.ReplaceAll(strings.ReplaceAll(word, "~1", "/"), "~0", "~")
		last := i == len(words)-1
		switch holder := value.(type) {
		case map[string]any:
			if last {
				delete(holder, word)
				return
			}
			value = holder[word]
		case []any:
			index, err := strconv.Atoi(word)
			if err != nil || index < 0 || index >= len(holder) {
				return
			}
			if last {
				holder[index] = nil
				return
			}
			value = holder[index]
		default:
			return
		}
	}
}

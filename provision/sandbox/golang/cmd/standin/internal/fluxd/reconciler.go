package fluxd

import (
	"context"
	"errors"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/tools/record"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

const requestedAt = "reconcile.fluxcd.io/requestedAt"

// outcome is how far an object is.
type outcome struct {
	status  metav1.ConditionStatus
	reason  string
	message string
	// again is when to look again without a change; zero means the object's
	// interval.
	again time.Duration
	// also are further conditions; removed are types that no longer hold.
	also    []metav1.Condition
	removed []string
}

// failure is an outcome as an error: tried again with growing pauses.
type failure struct {
	reason  string
	message string
	also    []metav1.Condition
}

func (f *failure) Error() string { return f.message }

// actor does the work for one object. It may change the object's status; the
// conditions are set from what it returns.
type actor interface {
	act(ctx context.Context, object *unstructured.Unstructured) (outcome, error)
}

// reconciler is what all kinds have in common: suspend, conditions, events,
// intervals and the annotation that asks for a reconciliation now.
type reconciler struct {
	api    client.Client
	events record.EventRecorder
	kind   schema.GroupVersionKind
	actor  actor
}

// Reconcile handles one object.
func (r *reconciler) Reconcile(ctx context.Context, request ctrl.Request) (ctrl.Result, error) {
	object := &unstructured.Unstructured{}
	object.SetGroupVersionKind(r.kind)
	if err := r.api.Get(ctx, request.NamespacedName, object); err != nil {
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	if object.GetDeletionTimestamp() != nil {
		return ctrl.Result{}, nil
	}
	if suspended, _, _ := unstructured.NestedBool(object.Object, "spec", "suspend"); suspended {
		return ctrl.Result{}, nil
	}
	before := object.DeepCopy()
	result, err := r.actor.act(ctx, object)
	if ctx.Err() != nil {
		return ctrl.Result{}, nil // stopping: what failed with it says nothing
	}
	var failed *failure
	if err != nil {
		if !errors.As(err, &failed) {
			failed = &failure{reason: "Failed", message: err.Error()}
		}
		result = outcome{status: metav1.ConditionFalse, reason: failed.reason, message: failed.message, also: failed.also}
	}
	if err := r.write(ctx, before, object, result); err != nil {
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	if failed != nil {
		return ctrl.Result{}, failed
	}
	if result.again == 0 {
		result.again = duration(object, time.Minute, "spec", "interval")
	}
	return ctrl.Result{RequeueAfter: result.again}, nil
}

// write patches the status where it differs, and tells of a new state.
func (r *reconciler) write(ctx context.Context, before, object *unstructured.Unstructured, result outcome) error {
	if at := object.GetAnnotations()[requestedAt]; at != "" {
		set(object, at, "status", "lastHandledReconcileAt")
	}
	set(object, object.GetGeneration(), "status", "observedGeneration")
	changed := setCondition(object, metav1.Condition{
		Type: "Ready", Status: result.status, Reason: result.reason, Message: result.message,
	})
	for _, condition := range result.also {
		setCondition(object, condition)
	}
	for _, name := range result.removed {
		removeCondition(object, name)
	}
	if changed {
		kind := "Normal"
		if result.status == metav1.ConditionFalse {
			kind = "Warning"
		}
		r.events.Event(object, kind, result.reason, result.message)
	}
	if equality.Semantic.DeepEqual(before.Object["status"], object.Object["status"]) {
		return nil
	}
	return r.api.Status().Patch(ctx, object, client.MergeFrom(before))
}

// setCondition sets a condition and says whether its state, reason or message
// changed. The time is that of the last change of state.
func setCondition(object *unstructured.Unstructured, wanted metav1.Condition) bool {
	list, _, _ := unstructured.NestedSlice(object.Object, "status", "conditions")
	entry := map[string]any{
		"type": wanted.Type, "status": string(wanted.Status), "reason": wanted.Reason, "message": wanted.Message,
		"observedGeneration": object.GetGeneration(),
		"lastTransitionTime": metav1.Now().UTC().Format(time.RFC3339),
	}
	for i, each := range list {
		have, ok := each.(map[string]any)
		if !ok || have["type"] != wanted.Type {
			continue
		}
		if have["status"] == entry["status"] {
			entry["lastTransitionTime"] = have["lastTransitionTime"]
		}
		changed := have["status"] != entry["status"] || have["reason"] != entry["reason"] ||
			have["message"] != entry["message"]
		list[i] = entry
		set(object, list, "status", "conditions")
		return changed
	}
	set(object, append(list, entry), "status", "conditions")
	return true
}

func removeCondition(object *unstructured.Unstructured, name string) {
	list, _, _ := unstructured.NestedSlice(object.Object, "status", "conditions")
	for i, each := range list {
		if have, ok := each.(map[string]any); ok && have["type"] == name {
			set(object, append(list[:i], list[i+1:]...), "status", "conditions")
			return
		}
	}
}

// isReady says whether an object is Ready in its current generation.
func isReady(object *unstructured.Unstructured) bool {
	list, _, _ := unstructured.NestedSlice(object.Object, "status", "conditions")
	for _, each := range list {
		have, ok := each.(map[string]any)
		if ok && have["type"] == "Ready" {
			observed, _, _ := unstructured.NestedInt64(object.Object, "status", "observedGeneration")
			return have["status"] == "True" && observed >= object.GetGeneration()
		}
	}
	return false
}

// set puts a JSON value at a path. The paths here lead through maps only.
func set(object *unstructured.Unstructured, value any, path ...string) {
	if err := unstructured.SetNestedField(object.Object, value, path...); err != nil {
		panic(err) // the API server lets no other shape through
	}
}

// text is the string at a path of an object, or "".
func text(object *unstructured.Unstructured, path ...string) string {
	value, _, _ := unstructured.NestedString(object.Object, path...)
	return value
}

// duration is the time at a path of an object, or otherwise.
func duration(object *unstructured.Unstructured, otherwise time.Duration, path ...string) time.Duration {
	value, err := time.ParseDuration(text(object, path...))
	if err != nil || value <= 0 {
		return otherwise
	}
	return value
}

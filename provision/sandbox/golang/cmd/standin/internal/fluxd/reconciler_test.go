package fluxd

import (
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

func objectOf(fields map[string]any) *unstructured.Unstructured {
	return &unstructured.Unstructured{Object: fields}
}

func TestAConditionKeepsItsTimeWhileItsStateHolds(t *testing.T) {
	subject := objectOf(map[string]any{"metadata": map[string]any{"generation": int64(2)}})
	ready := metav1.Condition{Type: "Ready", Status: metav1.ConditionTrue, Reason: "Succeeded", Message: "one"}
	if !setCondition(subject, ready) {
		t.Error("a new condition is no change")
	}
	list, _, _ := unstructured.NestedSlice(subject.Object, "status", "conditions")
	first := list[0].(map[string]any)
	first["lastTransitionTime"] = "2020-01-01T00:00:00Z"
	set(subject, list, "status", "conditions")

	if setCondition(subject, ready) {
		t.Error("the same condition is a change")
	}
	ready.Message = "two"
	if !setCondition(subject, ready) {
		t.Error("another message is no change")
	}
	list, _, _ = unstructured.NestedSlice(subject.Object, "status", "conditions")
	if got := list[0].(map[string]any)["lastTransitionTime"]; got != "2020-01-01T00:00:00Z" {
		t.Errorf("time %v", got)
	}
	ready.Status = metav1.ConditionFalse
	setCondition(subject, ready)
	list, _, _ = unstructured.NestedSlice(subject.Object, "status", "conditions")
	if got := list[0].(map[string]any)["lastTransitionTime"]; len(list) != 1 || got == "2020-01-01T00:00:00Z" {
		t.Errorf("%d conditions, time %v", len(list), got)
	}
	removeCondition(subject, "Ready")
	if list, _, _ = unstructured.NestedSlice(subject.Object, "status", "conditions"); len(list) != 0 {
		t.Errorf("%v", list)
	}
}

func TestReadyIsOfTheCurrentGeneration(t *testing.T) {
	subject := objectOf(map[string]any{"metadata": map[string]any{"generation": int64(2)}})
	setCondition(subject, metav1.Condition{Type: "Ready", Status: metav1.ConditionTrue})
	set(subject, int64(1), "status", "observedGeneration")
	if isReady(subject) {
		t.Error("ready by an older generation")
	}
	set(subject, int64(2), "status", "observedGeneration")
	if !isReady(subject) {
		t.Error("not ready")
	}
}

func TestIntervals(t *testing.T) {
	for written, want := range map[string]time.Duration{
		"200ms": 200 * time.Millisecond, "1h": time.Hour, "": time.Minute, "soon": time.Minute,
	} {
		subject := objectOf(map[string]any{"spec": map[string]any{"interval": written}})
		if got := duration(subject, time.Minute, "spec", "interval"); got != want {
			t.Errorf("%q: %s", written, got)
		}
	}
}

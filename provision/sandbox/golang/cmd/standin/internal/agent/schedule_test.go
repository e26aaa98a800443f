package agent

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

const gpu = corev1.ResourceName("gpu.intel.com/i915")

func node(gpus string) *corev1.Node {
	node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "kyrion", Labels: map[string]string{"disk": "ssd"}}}
	node.Status.Allocatable = corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("2")}
	if gpus != "" {
		node.Status.Allocatable[gpu] = resource.MustParse(gpus)
	}
	return node
}

func pod(requests map[corev1.ResourceName]string) *corev1.Pod {
	list := corev1.ResourceList{}
	for name, quantity := range requests {
		list[name] = resource.MustParse(quantity)
	}
	container := corev1.Container{Name: "main", Resources: corev1.ResourceRequirements{Requests: list}}
	return &corev1.Pod{Spec: corev1.PodSpec{Containers: []corev1.Container{container}}}
}

func TestAPodThatAsksForNoGPUFitsAnywhere(t *testing.T) {
	if why := whyNot(pod(map[corev1.ResourceName]string{corev1.ResourceCPU: "64"}), node(""), nil); why != "" {
		t.Error(why)
	}
}

func TestAPodWaitsForAGPU(t *testing.T) {
	wants := pod(map[corev1.ResourceName]string{gpu: "1"})
	if why := whyNot(wants, node(""), nil); !strings.Contains(why, "Insufficient gpu.intel.com/i915") {
		t.Errorf("without a GPU: %q", why)
	}
	if why := whyNot(wants, node("1"), nil); why != "" {
		t.Errorf("with a GPU: %q", why)
	}
}

func TestAGPUIsGivenOnlyOnce(t *testing.T) {
	wants := pod(map[corev1.ResourceName]string{gpu: "1"})
	holder := pod(map[corev1.ResourceName]string{gpu: "1"})
	holder.Spec.NodeName = "kyrion"
	if why := whyNot(wants, node("1"), []corev1.Pod{*holder}); why == "" {
		t.Error("given twice")
	}
	if why := whyNot(wants, node("2"), []corev1.Pod{*holder}); why != "" {
		t.Error(why)
	}
	holder.Status.Phase = corev1.PodSucceeded
	if why := whyNot(wants, node("1"), []corev1.Pod{*holder}); why != "" {
		t.Errorf("an ended pod holds it: %q", why)
	}
}

func TestSelectorTaintAndCordonCount(t *testing.T) {
	selective := pod(nil)
	selective.Spec.NodeSelector = map[string]string{"disk": "tape"}
	if why := whyNot(selective, node(""), nil); !strings.Contains(why, "node affinity/selector") {
		t.Errorf("selector: %q", why)
	}
	tainted := node("")
	tainted.Spec.Taints = []corev1.Taint{{Key: "media", Value: "only", Effect: corev1.TaintEffectNoSchedule}}
	if why := whyNot(pod(nil), tainted, nil); !strings.Contains(why, "untolerated taint {media: only}") {
		t.Errorf("taint: %q", why)
	}
	tolerant := pod(nil)
	tolerant.Spec.Tolerations = []corev1.Toleration{{Operator: corev1.TolerationOpExists}}
	if why := whyNot(tolerant, tainted, nil); why != "" {
		t.Errorf("tolerated: %q", why)
	}
	cordoned := node("")
	cordoned.Spec.Unschedulable = true
	if why := whyNot(pod(nil), cordoned, nil); !strings.Contains(why, "unschedulable") {
		t.Errorf("cordon: %q", why)
	}
}

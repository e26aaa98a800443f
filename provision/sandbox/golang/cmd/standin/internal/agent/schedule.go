package agent

import (
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	scheduling "k8s.io/component-helpers/scheduling/corev1"
	"k8s.io/component-helpers/scheduling/corev1/nodeaffinity"
)

// whyNot says why pod cannot run on node beside the pods that are there, in
// the scheduler's words, or nothing when it can. Only extended resources (a
// GPU) are counted: nothing here uses CPU or memory of its own.
func whyNot(pod *corev1.Pod, node *corev1.Node, others []corev1.Pod) string {
	const one = "0/1 nodes are available: 1 "
	if node.Spec.Unschedulable {
		return one + "node(s) were unschedulable."
	}
	if fits, err := nodeaffinity.GetRequiredNodeAffinity(pod).Match(node); err != nil || !fits {
		return one + "node(s) didn't match Pod's node affinity/selector."
	}
	repels := func(taint *corev1.Taint) bool { return taint.Effect != corev1.TaintEffectPreferNoSchedule }
	taint, found := scheduling.FindMatchingUntoleratedTaint(node.Spec.Taints, pod.Spec.Tolerations, repels)
	if found {
		return one + fmt.Sprintf("node(s) had untolerated taint {%s: %s}.", taint.Key, taint.Value)
	}
	free := freeResources(node, others)
	for name, quantity := range extended(pod) {
		if left := free[name]; left.Cmp(quantity) < 0 {
			return one + fmt.Sprintf("Insufficient %s.", name)
		}
	}
	return ""
}

// freeResources is what of the node's extended resources no pod has.
func freeResources(node *corev1.Node, pods []corev1.Pod) corev1.ResourceList {
	free := corev1.ResourceList{}
	for name, quantity := range node.Status.Allocatable {
		if isExtended(name) {
			free[name] = quantity.DeepCopy()
		}
	}
	for i := range pods {
		if pods[i].Spec.NodeName != node.Name || ended(&pods[i]) {
			continue
		}
		for name, quantity := range extended(&pods[i]) {
			left := free[name]
			left.Sub(quantity)
			free[name] = left
		}
	}
	return free
}

// extended is what a pod asks of resources such as gpu.intel.com/i915: the sum
// over its containers.
func extended(pod *corev1.Pod) corev1.ResourceList {
	sum := corev1.ResourceList{}
	for _, container := range pod.Spec.Containers {
		for name, quantity := range container.Resources.Requests {
			if isExtended(name) {
				total, ok := sum[name]
				if !ok {
					total = resource.Quantity{Format: quantity.Format}
				}
				total.Add(quantity)
				sum[name] = total
			}
		}
	}
	return sum
}

func isExtended(name corev1.ResourceName) bool {
	return strings.Contains(string(name), "/") && !strings.Contains(string(name), "kubernetes.io/")
}

func ended(pod *corev1.Pod) bool {
	return pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed
}

// claimNames are the claims a pod mounts.
func claimNames(pod *corev1.Pod) []string {
	var names []string
	for _, volume := range pod.Spec.Volumes {
		switch {
		case volume.PersistentVolumeClaim != nil:
			names = append(names, volume.PersistentVolumeClaim.ClaimName)
		case volume.Ephemeral != nil:
			names = append(names, pod.Name+"-"+volume.Name)
		}
	}
	return names
}

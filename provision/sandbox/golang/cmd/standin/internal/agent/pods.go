package agent

import (
	"context"
	"fmt"
	"os"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/record"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// podReconciler takes each pod through its life.
type podReconciler struct {
	api    client.Client
	events record.EventRecorder
	node   Node
	runner *runner
	status *nodeStatus
}

// Reconcile takes one pod a step further.
func (r *podReconciler) Reconcile(ctx context.Context, request ctrl.Request) (ctrl.Result, error) {
	pod := &corev1.Pod{}
	if err := r.api.Get(ctx, request.NamespacedName, pod); apierrors.IsNotFound(err) {
		r.runner.forget(request.NamespacedName)
		r.status.check()
		return ctrl.Result{}, nil
	} else if err != nil {
		return ctrl.Result{}, err
	}
	if usesGPU(pod) {
		defer r.status.check()
	}
	switch {
	case pod.DeletionTimestamp != nil:
		return ctrl.Result{}, r.remove(ctx, pod)
	case pod.Spec.NodeName == "":
		return r.schedule(ctx, pod)
	case pod.Spec.NodeName != r.node.Name:
		return ctrl.Result{}, nil
	case ended(pod):
		r.runner.forget(request.NamespacedName)
		return ctrl.Result{}, nil
	}
	return r.run(ctx, pod)
}

// remove ends a pod that is being deleted.
func (r *podReconciler) remove(ctx context.Context, pod *corev1.Pod) error {
	r.runner.forget(client.ObjectKeyFromObject(pod))
	err := r.api.Delete(ctx, pod, client.GracePeriodSeconds(0), client.Preconditions{UID: &pod.UID})
	if apierrors.IsConflict(err) {
		return nil // another pod of that name
	}
	return client.IgnoreNotFound(err)
}

// schedule binds a pod to the node, or says why it cannot.
func (r *podReconciler) schedule(ctx context.Context, pod *corev1.Pod) (ctrl.Result, error) {
	if len(pod.Spec.SchedulingGates) > 0 || (pod.Spec.SchedulerName != "" && pod.Spec.SchedulerName != "default-scheduler") {
		return ctrl.Result{}, nil
	}
	node := &corev1.Node{}
	if err := r.api.Get(ctx, client.ObjectKey{Name: r.node.Name}, node); apierrors.IsNotFound(err) {
		return ctrl.Result{RequeueAfter: soon}, nil
	} else if err != nil {
		return ctrl.Result{}, err
	}
	var others corev1.PodList
	if err := r.api.List(ctx, &others); err != nil {
		return ctrl.Result{}, err
	}
	why := whyNot(pod, node, others.Items)
	if why == "" {
		var err error
		if why, err = r.claims(ctx, pod); err != nil {
			return ctrl.Result{}, err
		}
	}
	if why != "" {
		return ctrl.Result{RequeueAfter: soon}, r.unschedulable(ctx, pod, why)
	}
	binding := &corev1.Binding{
		ObjectMeta: metav1.ObjectMeta{Namespace: pod.Namespace, Name: pod.Name, UID: pod.UID},
		Target:     corev1.ObjectReference{Kind: "Node", Name: r.node.Name},
	}
	err := r.api.SubResource("binding").Create(ctx, pod, binding)
	if apierrors.IsConflict(err) || apierrors.IsNotFound(err) {
		return ctrl.Result{}, nil // gone or bound in the meantime
	}
	return ctrl.Result{}, err
}

// claims has the pod's claims bound: it names the node to claims that wait for
// their first consumer, and says why not as long as one is unbound.
func (r *podReconciler) claims(ctx context.Context, pod *corev1.Pod) (string, error) {
	const selected = "volume.kubernetes.io/selected-node"
	why := ""
	for _, name := range claimNames(pod) {
		claim := &corev1.PersistentVolumeClaim{}
		err := r.api.Get(ctx, client.ObjectKey{Namespace: pod.Namespace, Name: name}, claim)
		if apierrors.IsNotFound(err) {
			return fmt.Sprintf("0/1 nodes are available: persistentvolumeclaim %q not found.", name), nil
		} else if err != nil {
			return "", err
		}
		if claim.Status.Phase == corev1.ClaimBound {
			continue
		}
		why = "0/1 nodes are available: pod has unbound PersistentVolumeClaims."
		if claim.Annotations[selected] != r.node.Name {
			before := claim.DeepCopy()
			metav1.SetMetaDataAnnotation(&claim.ObjectMeta, selected, r.node.Name)
			if err := r.api.Patch(ctx, claim, client.MergeFrom(before)); err != nil {
				return "", err
			}
		}
	}
	return why, nil
}

func (r *podReconciler) unschedulable(ctx context.Context, pod *corev1.Pod, why string) error {
	before := pod.DeepCopy()
	changed := setCondition(&pod.Status.Conditions, corev1.PodScheduled, corev1.ConditionFalse,
		corev1.PodReasonUnschedulable, why, metav1.Now())
	if !changed {
		return nil
	}
	r.events.Event(pod, corev1.EventTypeWarning, "FailedScheduling", why)
	return client.IgnoreNotFound(r.api.Status().Patch(ctx, pod, client.MergeFrom(before)))
}

// run keeps a bound pod going and reports on it.
func (r *podReconciler) run(ctx context.Context, pod *corev1.Pod) (ctrl.Result, error) {
	if missing := r.missing(ctx, pod); missing != "" {
		// As on a real node, a pod does not start without what it mounts.
		r.events.Event(pod, corev1.EventTypeWarning, "FailedMount", missing)
		return ctrl.Result{RequeueAfter: 2 * soon}, nil
	}
	states, err := r.runner.ensure(ctx, pod)
	if err != nil {
		return ctrl.Result{}, err
	}
	address := pod.Status.PodIP
	if address == "" {
		if address, err = r.address(ctx, pod); err != nil {
			return ctrl.Result{}, err
		}
	}
	now := metav1.NewTime(time.Now().Truncate(time.Second))
	status, again := podStatus(pod, r.node.IP, address, states, now)
	if equality.Semantic.DeepEqual(status, pod.Status) {
		return ctrl.Result{RequeueAfter: again}, nil
	}
	before := pod.DeepCopy()
	pod.Status = status
	err = r.api.Status().Patch(ctx, pod, client.MergeFrom(before))
	return ctrl.Result{RequeueAfter: again}, client.IgnoreNotFound(err)
}

// missing names a Secret or ConfigMap that the pod mounts and that is not
// there, or a host path that must exist and does not.
func (r *podReconciler) missing(ctx context.Context, pod *corev1.Pod) string {
	absent := func(object client.Object, name string, optional *bool) bool {
		if optional != nil && *optional {
			return false
		}
		err := r.api.Get(ctx, client.ObjectKey{Namespace: pod.Namespace, Name: name}, object)
		return apierrors.IsNotFound(err)
	}
	for _, volume := range pod.Spec.Volumes {
		const failed = "MountVolume.SetUp failed for volume %q : "
		switch source := volume.VolumeSource; {
		case source.Secret != nil && absent(&corev1.Secret{}, source.Secret.SecretName, source.Secret.Optional):
			return fmt.Sprintf(failed+"secret %q not found", volume.Name, source.Secret.SecretName)
		case source.ConfigMap != nil && absent(&corev1.ConfigMap{}, source.ConfigMap.Name, source.ConfigMap.Optional):
			return fmt.Sprintf(failed+"configmap %q not found", volume.Name, source.ConfigMap.Name)
		case source.HostPath != nil && source.HostPath.Type != nil && *source.HostPath.Type == corev1.HostPathDirectory:
			if info, err := os.Stat(source.HostPath.Path); err != nil || !info.IsDir() {
				return fmt.Sprintf(failed+"hostPath type check failed: %s is not a directory", volume.Name, source.HostPath.Path)
			}
		}
	}
	return ""
}

// address gives a pod its IP: the node's when it uses the node's network, as
// every pod with a process does, else the next free one of the pod network.
func (r *podReconciler) address(ctx context.Context, pod *corev1.Pod) (string, error) {
	if pod.Spec.HostNetwork || hasProgram(pod) {
		return r.node.IP, nil
	}
	var pods corev1.PodList
	if err := r.api.List(ctx, &pods); err != nil {
		return "", err
	}
	taken := map[string]bool{}
	for i := range pods.Items {
		if !ended(&pods.Items[i]) {
			taken[pods.Items[i].Status.PodIP] = true
		}
	}
	return r.runner.freeAddress(client.ObjectKeyFromObject(pod), taken), nil
}

func hasProgram(pod *corev1.Pod) bool {
	for _, container := range pod.Spec.Containers {
		if _, ok := programOf(container.Image); ok {
			return true
		}
	}
	return false
}

func usesGPU(pod *corev1.Pod) bool {
	for _, container := range pod.Spec.Containers {
		if isGPUPlugin(container.Image) {
			return true
		}
	}
	return false
}

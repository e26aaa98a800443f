package agent

import (
	"context"
	"maps"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// nodeReconciler says on the Node what k3s says there, and takes a node's
// password away with its Node object.
type nodeReconciler struct {
	api  client.Client
	node Node
}

// Reconcile makes a Node as k3s has it.
func (r *nodeReconciler) Reconcile(ctx context.Context, request ctrl.Request) (ctrl.Result, error) {
	node := &corev1.Node{}
	err := r.api.Get(ctx, request.NamespacedName, node)
	if apierrors.IsNotFound(err) {
		return ctrl.Result{}, forgetPassword(ctx, r.api, request.Name)
	}
	if err != nil || node.Name != r.node.Name {
		return ctrl.Result{}, err
	}
	before := node.DeepCopy()
	r.describe(node)
	if equality.Semantic.DeepEqual(before.ObjectMeta, node.ObjectMeta) {
		return ctrl.Result{}, nil
	}
	return ctrl.Result{}, r.api.Patch(ctx, node, client.MergeFrom(before))
}

// describe sets the labels and annotations that a k3s server has besides the
// kubelet's own. Labels that are no longer asked for stay, as with k3s.
func (r *nodeReconciler) describe(node *corev1.Node) {
	labels := map[string]string{
		"beta.kubernetes.io/instance-type":      "k3s",
		"node-role.kubernetes.io/control-plane": "true",
		"node.kubernetes.io/instance-type":      "k3s",
	}
	maps.Copy(labels, r.node.Labels)
	for key, value := range labels {
		metav1.SetMetaDataLabel(&node.ObjectMeta, key, value)
	}
	for key, value := range map[string]string{
		"k3s.io/hostname":    r.node.Name,
		"k3s.io/internal-ip": r.node.IP,
	} {
		metav1.SetMetaDataAnnotation(&node.ObjectMeta, key, value)
	}
}

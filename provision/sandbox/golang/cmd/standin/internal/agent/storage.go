package agent

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

const localPath = "rancher.io/local-path"

// claimReconciler stands in for the local-path provisioner that k3s brings: a
// folder below the storage directory for each claim that a pod waits for.
type claimReconciler struct {
	api  client.Client
	node Node
}

// Reconcile makes the volume of a claim, and removes that of a claim that is
// gone.
func (r *claimReconciler) Reconcile(ctx context.Context, request ctrl.Request) (ctrl.Result, error) {
	claim := &corev1.PersistentVolumeClaim{}
	err := r.api.Get(ctx, request.NamespacedName, claim)
	if client.IgnoreNotFound(err) != nil {
		return ctrl.Result{}, err
	}
	if apierrors.IsNotFound(err) || claim.DeletionTimestamp != nil {
		return ctrl.Result{}, r.reclaim(ctx, request)
	}
	if claim.Spec.VolumeName != "" || claim.Annotations["volume.kubernetes.io/storage-provisioner"] != localPath ||
		claim.Annotations["volume.kubernetes.io/selected-node"] != r.node.Name {
		return ctrl.Result{}, nil
	}
	return ctrl.Result{}, r.provision(ctx, claim)
}

func (r *claimReconciler) provision(ctx context.Context, claim *corev1.PersistentVolumeClaim) error {
	name := "pvc-" + string(claim.UID)
	path := filepath.Join(r.node.StorageDir, fmt.Sprintf("%s_%s_%s", name, claim.Namespace, claim.Name))
	if err := os.MkdirAll(path, 0o777); err != nil {
		return err
	}
	// The provisioner's helper pod gives everyone access, whatever the umask.
	if err := os.Chmod(path, 0o777); err != nil {
		return err
	}
	kind := corev1.HostPathDirectoryOrCreate
	volume := &corev1.PersistentVolume{
		ObjectMeta: metav1.ObjectMeta{
			Name:        name,
			Annotations: map[string]string{"pv.kubernetes.io/provisioned-by": localPath},
		},
		Spec: corev1.PersistentVolumeSpec{
			Capacity:                      claim.Spec.Resources.Requests,
			AccessModes:                   claim.Spec.AccessModes,
			VolumeMode:                    claim.Spec.VolumeMode,
			PersistentVolumeReclaimPolicy: corev1.PersistentVolumeReclaimDelete,
			StorageClassName:              *claim.Spec.StorageClassName,
			ClaimRef: &corev1.ObjectReference{
				Kind: "PersistentVolumeClaim", APIVersion: "v1",
				Namespace: claim.Namespace, Name: claim.Name, UID: claim.UID,
			},
			PersistentVolumeSource: corev1.PersistentVolumeSource{
				HostPath: &corev1.HostPathVolumeSource{Path: path, Type: &kind},
			},
			NodeAffinity: &corev1.VolumeNodeAffinity{Required: &corev1.NodeSelector{
				NodeSelectorTerms: []corev1.NodeSelectorTerm{{MatchExpressions: []corev1.NodeSelectorRequirement{{
					Key: "kubernetes.io/hostname", Operator: corev1.NodeSelectorOpIn, Values: []string{r.node.Name},
				}}}},
			}},
		},
	}
	err := r.api.Create(ctx, volume)
	if apierrors.IsAlreadyExists(err) {
		return nil
	}
	return err
}

// reclaim removes the released volumes of a claim, as their policy says.
func (r *claimReconciler) reclaim(ctx context.Context, request ctrl.Request) error {
	var volumes corev1.PersistentVolumeList
	if err := r.api.List(ctx, &volumes); err != nil {
		return err
	}
	for i := range volumes.Items {
		volume := &volumes.Items[i]
		claim := volume.Spec.ClaimRef
		if claim == nil || claim.Namespace != request.Namespace || claim.Name != request.Name ||
			volume.Status.Phase != corev1.VolumeReleased || volume.Annotations["pv.kubernetes.io/provisioned-by"] != localPath ||
			volume.Spec.PersistentVolumeReclaimPolicy != corev1.PersistentVolumeReclaimDelete {
			continue
		}
		if err := os.RemoveAll(volume.Spec.HostPath.Path); err != nil {
			return err
		}
		if err := r.api.Delete(ctx, volume); client.IgnoreNotFound(err) != nil {
			return err
		}
	}
	return nil
}

// Package agent does what k3s' server does beside the kubelet: it says on the
// Node what k3s says there, proves that the node is the one that had its name
// before, keeps the address of the API, and gives claims their folders.
package agent

import (
	"context"
	"fmt"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/rest"
	"k8s.io/klog/v2"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"
)

// Node is the machine.
type Node struct {
	Name string
	IP   string
	Port int // of the server's own listener
	// Labels are those of the configuration: a kubelet sets them only on a Node
	// that it makes, k3s at every start.
	Labels map[string]string
	// StorageDir holds the volumes of the local-path storage class; empty
	// turns its provisioner off.
	StorageDir string
}

// Run plays its part until ctx is done.
func Run(ctx context.Context, config *rest.Config, node Node) error {
	ctrl.SetLogger(logr.Discard())
	klog.SetLogger(logr.Discard())
	config = rest.CopyConfig(config)
	config.QPS, config.Burst = 200, 400
	config.UserAgent = "k3s-sandbox-agent"
	manage, err := ctrl.NewManager(config, ctrl.Options{Metrics: metricsserver.Options{BindAddress: "0"}})
	if err != nil {
		return fmt.Errorf("agent: %w", err)
	}
	api := manage.GetClient()
	nodes := &nodeReconciler{api: api, node: node}
	if err := ctrl.NewControllerManagedBy(manage).Named("nodes").For(&corev1.Node{}).Complete(nodes); err != nil {
		return err
	}
	if node.StorageDir != "" {
		claims := &claimReconciler{api: api, node: node}
		err := ctrl.NewControllerManagedBy(manage).Named("local-path").
			For(&corev1.PersistentVolumeClaim{}).
			Watches(&corev1.PersistentVolume{}, handler.EnqueueRequestsFromMapFunc(claimOfVolume)).
			Complete(claims)
		if err != nil {
			return err
		}
	}
	return manage.Start(ctx)
}

// claimOfVolume names the claim a volume belongs to.
func claimOfVolume(_ context.Context, volume client.Object) []ctrl.Request {
	reference := volume.(*corev1.PersistentVolume).Spec.ClaimRef
	if reference == nil {
		return nil
	}
	key := client.ObjectKey{Namespace: reference.Namespace, Name: reference.Name}
	return []ctrl.Request{{NamespacedName: key}}
}

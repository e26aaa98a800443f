// Package agent does what k3s' server does beside the kubelet: it says on the
// Node what k3s says there, proves that the node is the one that had its name
// before, and keeps the address of the API.
package agent

import (
	"context"
	"fmt"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/rest"
	"k8s.io/klog/v2"
	ctrl "sigs.k8s.io/controller-runtime"
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
	return manage.Start(ctx)
}

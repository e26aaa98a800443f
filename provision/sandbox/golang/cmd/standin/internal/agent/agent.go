// Package agent plays scheduler and kubelet for the one node of the sandbox.
//
// It binds pods to the node, reports them Running and Ready without running a
// container, and runs as processes the few images that have a program in the
// sandbox. What it does not look at: CPU and memory, probes, volumes other than
// claims, topology, priorities.
package agent

import (
	"context"
	"fmt"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/rest"
	"k8s.io/klog/v2"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"
	"sigs.k8s.io/controller-runtime/pkg/source"

	"elysium.invalid/sandbox/cmd/standin/internal/spawn"
)

// Node is what the agent reports about its machine.
type Node struct {
	Name    string
	IP      string
	Version string // the k3s release it claims
	Labels  map[string]string
	Taints  []string // key=value:effect, as k3s takes them
	APIPort int
	CAFile  string
	// ClientCAFile and ServingCert (a path without .crt and .key) are for what
	// the API server asks of a kubelet.
	ClientCAFile string
	ServingCert  string
	// StorageDir holds the volumes of the local-path storage class; empty
	// turns its provisioner off.
	StorageDir string
	// WasReset is whether the datastore was reset since the last start: what it
	// says of the node's password does not count then.
	WasReset bool
}

// Run plays its part until ctx is done.
func Run(ctx context.Context, config *rest.Config, spawner *spawn.Spawner, node Node) error {
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
	changed := make(chan event.TypedGenericEvent[*corev1.Pod], 256)
	runner := newRunner(spawner, api, node, func(pod *corev1.Pod) {
		changed <- event.TypedGenericEvent[*corev1.Pod]{Object: pod}
	})
	defer runner.stopAll()

	status := &nodeStatus{api: api, direct: manage.GetAPIReader(), node: node, recheck: make(chan struct{}, 1)}
	if err := manage.Add(manager.RunnableFunc(status.run)); err != nil {
		return err
	}
	logs := &logServer{api: api, node: node}
	if err := manage.Add(manager.RunnableFunc(logs.run)); err != nil {
		return err
	}
	pods := &podReconciler{
		api:    api,
		events: manage.GetEventRecorderFor("elysium-sandbox-agent"),
		node:   node,
		runner: runner,
		status: status,
	}
	err = ctrl.NewControllerManagedBy(manage).Named("pods").
		For(&corev1.Pod{}).
		WatchesRawSource(source.Channel(changed, &handler.TypedEnqueueRequestForObject[*corev1.Pod]{})).
		Complete(pods)
	if err != nil {
		return err
	}
	passwords := &passwordReconciler{api: api}
	if err := ctrl.NewControllerManagedBy(manage).Named("node-passwords").For(&corev1.Node{}).Complete(passwords); err != nil {
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

// soon is when something that waits for others is looked at again.
const soon = time.Second

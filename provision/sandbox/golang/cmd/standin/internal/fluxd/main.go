// Package fluxd stands in for Flux controllers whose modules are not published:
// notification and the two image controllers.
//
// image-automation-controller really commits and pushes. What is not done for
// real is said in the status of the object concerned.
package fluxd

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/pflag"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/util/workqueue"
	"k8s.io/klog/v2"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/healthz"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
)

// Retries of a failed object wait as long as with Flux at first, and not as
// long in the end: in a sandbox someone watches.
const (
	firstRetry = 750 * time.Millisecond
	lastRetry  = time.Minute
)

// kind is a kind of object a controller takes care of.
type kind struct {
	group string
	name  string
	actor actor
	// essential is the kind without which the controller cannot run.
	essential bool
	// follows is another kind of the group; concerns says whether a change of
	// one of those is one for the object.
	follows  string
	concerns func(object, followed *unstructured.Unstructured) bool
}

// Main runs the controller of that name. The flags are not heeded: they concern
// what the sandbox does not have.
func Main(name string, args []string) error {
	flags := pflag.NewFlagSet(name, pflag.ContinueOnError)
	flags.ParseErrorsAllowlist.UnknownFlags = true
	if err := flags.Parse(args); err != nil {
		return err
	}
	ctrl.SetLogger(klog.Background())
	config, err := rest.InClusterConfig()
	if err != nil {
		return err
	}
	config.QPS, config.Burst = 50, 300
	config.UserAgent = name + "-sandbox"
	manage, err := ctrl.NewManager(config, ctrl.Options{
		Metrics: metricsserver.Options{BindAddress: ":8080"}, HealthProbeBindAddress: ":9440",
	})
	if err != nil {
		return err
	}
	for _, add := range []func(string, healthz.Checker) error{manage.AddHealthzCheck, manage.AddReadyzCheck} {
		if err := add("ping", healthz.Ping); err != nil {
			return err
		}
	}
	work := os.TempDir()
	if err := removeClones(work); err != nil {
		return err
	}
	kinds, err := parts(name, manage, work)
	if err != nil {
		return err
	}
	for _, one := range kinds {
		if err := watch(manage, name, one); err != nil {
			return err
		}
	}
	if name == "notification-controller" {
		if err := manage.Add(manager.RunnableFunc(serveEvents)); err != nil {
			return err
		}
	}
	return manage.Start(ctrl.SetupSignalHandler())
}

// removeClones removes checkouts that a killed process left.
func removeClones(work string) error {
	left, err := filepath.Glob(filepath.Join(work, "clone-*"))
	if err != nil {
		return err
	}
	for _, folder := range left {
		if err := os.RemoveAll(folder); err != nil {
			return err
		}
	}
	return nil
}

// parts are what the controller of that name consists of.
func parts(name string, manage manager.Manager, work string) ([]kind, error) {
	reader := manage.GetAPIReader()
	switch name {
	case "notification-controller":
		// Alerts and Providers have no status.
		return []kind{
			{group: "notification.toolkit.fluxcd.io", name: "Receiver", actor: saying("nothing listens for it")},
		}, nil
	case "image-reflector-controller":
		found := &scans{}
		repository := imageRepository{reader: reader, found: found}
		policy := imagePolicy{reader: reader, mapper: manage.GetRESTMapper(), found: found}
		return []kind{
			{group: imageGroup, name: "ImageRepository", actor: repository, essential: true},
			{group: imageGroup, name: "ImagePolicy", actor: policy, essential: true, follows: "ImageRepository",
				concerns: func(policy, repository *unstructured.Unstructured) bool {
					return repositoryOf(policy) == client.ObjectKeyFromObject(repository)
				}},
		}, nil
	case "image-automation-controller":
		automation := &imageAutomation{reader: reader, mapper: manage.GetRESTMapper(), work: work}
		return []kind{
			{group: imageGroup, name: "ImageUpdateAutomation", actor: automation, essential: true, follows: "ImagePolicy",
				concerns: func(automation, policy *unstructured.Unstructured) bool {
					return automation.GetNamespace() == policy.GetNamespace()
				}},
		}, nil
	}
	return nil, fmt.Errorf("no controller is called %s", name)
}

// watch has the actor called for each object of the kind that changes.
func watch(manage manager.Manager, name string, what kind) error {
	version, err := versionOf(manage.GetRESTMapper(), what.group, what.name)
	if meta.IsNoMatchError(err) && !what.essential {
		klog.Infof("%s is not installed here", what.name)
		return nil
	} else if err != nil {
		return err
	}
	object := &unstructured.Unstructured{}
	object.SetGroupVersionKind(version)
	limiter := workqueue.NewTypedItemExponentialFailureRateLimiter[ctrl.Request](firstRetry, lastRetry)
	asked := predicate.Or(predicate.GenerationChangedPredicate{}, predicate.AnnotationChangedPredicate{})
	build := ctrl.NewControllerManagedBy(manage).
		Named(what.name).
		For(object, builder.WithPredicates(asked)).
		WithOptions(controller.Options{MaxConcurrentReconciles: 4, RateLimiter: limiter})
	if what.follows != "" {
		followed := &unstructured.Unstructured{}
		followedVersion, err := versionOf(manage.GetRESTMapper(), what.group, what.follows)
		if err != nil {
			return err
		}
		followed.SetGroupVersionKind(followedVersion)
		build = build.Watches(followed, handler.EnqueueRequestsFromMapFunc(concerned(manage.GetClient(), version, what)))
	}
	return build.Complete(&reconciler{
		api:    manage.GetClient(),
		events: manage.GetEventRecorderFor(name),
		kind:   version,
		actor:  what.actor,
	})
}

// concerned are the objects that a change of a followed one is a change for.
func concerned(reader client.Reader, version schema.GroupVersionKind, what kind) handler.MapFunc {
	return func(ctx context.Context, followed client.Object) []ctrl.Request {
		list := &unstructured.UnstructuredList{}
		list.SetGroupVersionKind(version)
		if err := reader.List(ctx, list); err != nil {
			klog.Errorf("list %s: %v", what.name, err)
			return nil
		}
		var requests []ctrl.Request
		for i := range list.Items {
			if what.concerns(&list.Items[i], followed.(*unstructured.Unstructured)) {
				requests = append(requests, ctrl.Request{NamespacedName: client.ObjectKeyFromObject(&list.Items[i])})
			}
		}
		return requests
	}
}

// versionOf is the version in which the API server prefers a kind.
func versionOf(mapper meta.RESTMapper, group, kind string) (schema.GroupVersionKind, error) {
	mapping, err := mapper.RESTMapping(schema.GroupKind{Group: group, Kind: kind})
	if err != nil {
		return schema.GroupVersionKind{}, err
	}
	return mapping.GroupVersionKind, nil
}

// within runs do, and returns early when ctx ends: not everything that speaks
// over the network heeds it.
func within[T any](ctx context.Context, do func() (T, error)) (T, error) {
	type answer struct {
		value T
		err   error
	}
	answers := make(chan answer, 1)
	go func() {
		value, err := do()
		answers <- answer{value, err}
	}()
	select {
	case got := <-answers:
		return got.value, got.err
	case <-ctx.Done():
		var none T
		if errors.Is(ctx.Err(), context.DeadlineExceeded) {
			return none, errors.New("context deadline exceeded")
		}
		return none, ctx.Err()
	}
}

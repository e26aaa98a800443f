package releases

import (
	"context"
	"errors"
	"fmt"
	"time"

	helmv2 "github.com/fluxcd/helm-controller/api/v2"
	"github.com/fluxcd/pkg/apis/meta"
	"github.com/fluxcd/pkg/chartutil"
	"github.com/fluxcd/pkg/runtime/conditions"
	"github.com/fluxcd/pkg/runtime/predicates"
	sourcev1 "github.com/fluxcd/source-controller/api/v1"
	"github.com/opencontainers/go-digest"
	"helm.sh/helm/v4/pkg/chart/common"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/client-go/tools/record"
	"k8s.io/client-go/util/workqueue"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
)

// Retries of a failed release wait as long as with Flux at first, and not as
// long in the end: in a sandbox someone watches.
const (
	firstRetry = 750 * time.Millisecond
	lastRetry  = time.Minute
)

// Reconciler reconciles HelmReleases.
type Reconciler struct {
	// Client reads from the cache of the manager; Reader asks the API server.
	Client client.Client
	Reader client.Reader
	Events record.EventRecorder
	Cluster
	// RequeueDependency is the interval at which a prerequisite that is not
	// ready is looked at again.
	RequeueDependency time.Duration
}

// SetupWithManager registers the reconciler: for releases, and for the sources
// of their charts.
func (r *Reconciler) SetupWithManager(manage ctrl.Manager, concurrent int) error {
	limiter := workqueue.NewTypedItemExponentialFailureRateLimiter[ctrl.Request](firstRetry, lastRetry)
	asked := predicate.Or(predicate.GenerationChangedPredicate{}, predicates.ReconcileRequestedPredicate{})
	build := ctrl.NewControllerManagedBy(manage).
		For(&helmv2.HelmRelease{}, builder.WithPredicates(asked)).
		WithOptions(controller.Options{MaxConcurrentReconciles: concurrent, RateLimiter: limiter})
	for _, kind := range []client.Object{&sourcev1.HelmChart{}, &sourcev1.OCIRepository{}} {
		build = build.Watches(kind, handler.EnqueueRequestsFromMapFunc(r.usersOf))
	}
	return build.Complete(r)
}

// usersOf returns the releases whose chart comes from a source.
func (r *Reconciler) usersOf(ctx context.Context, object client.Object) []reconcile.Request {
	found, isSource := object.(source)
	if !isSource {
		return nil
	}
	var all helmv2.HelmReleaseList
	if err := r.Client.List(ctx, &all); err != nil {
		return nil
	}
	var requests []reconcile.Request
	for i := range all.Items {
		release := &all.Items[i]
		if release.Status.HelmChart == object.GetNamespace()+"/"+object.GetName() && kindOf(found) == sourcev1.HelmChartKind ||
			refersTo(release, found) {
			requests = append(requests, reconcile.Request{NamespacedName: client.ObjectKeyFromObject(release)})
		}
	}
	return requests
}

func refersTo(release *helmv2.HelmRelease, found source) bool {
	reference := release.Spec.ChartRef
	if reference == nil || reference.Kind != kindOf(found) || reference.Name != found.GetName() {
		return false
	}
	return reference.Namespace == found.GetNamespace() ||
		reference.Namespace == "" && release.Namespace == found.GetNamespace()
}

// Reconcile brings one release to its desired state, and its status up to date.
func (r *Reconciler) Reconcile(ctx context.Context, request ctrl.Request) (ctrl.Result, error) {
	release := &helmv2.HelmRelease{}
	// The cache may be behind a status that was just written.
	if err := r.Reader.Get(ctx, request.NamespacedName, release); err != nil {
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	if !release.DeletionTimestamp.IsZero() {
		return r.remove(ctx, release)
	}
	if controllerutil.AddFinalizer(release, helmv2.HelmReleaseFinalizer) {
		before := release.DeepCopy()
		controllerutil.RemoveFinalizer(before, helmv2.HelmReleaseFinalizer)
		if err := r.Client.Patch(ctx, release, client.MergeFrom(before), client.FieldOwner(fieldManager)); err != nil {
			return ctrl.Result{}, client.IgnoreNotFound(err)
		}
	}
	if release.Spec.Suspend {
		return ctrl.Result{}, nil
	}
	if at, requested := meta.ReconcileAnnotationValue(release.GetAnnotations()); requested {
		release.Status.SetLastHandledReconcileRequest(at)
	}
	err := r.reconcile(ctx, release)
	if ctx.Err() != nil {
		return ctrl.Result{}, nil // stopping: what failed with it says nothing
	}
	result, err := conclude(release, err, r.RequeueDependency)
	if saved := r.save(ctx, release); saved != nil {
		return ctrl.Result{}, client.IgnoreNotFound(saved)
	}
	return result, err
}

// conclude sets the conditions that end a reconciliation, and says when the
// next one is.
func conclude(release *helmv2.HelmRelease, err error, pause time.Duration) (ctrl.Result, error) {
	var terminal *terminalError
	var retry *retryError
	switch {
	case err == nil, errors.As(err, &terminal):
		release.Status.ObservedGeneration = release.Generation
		conditions.Delete(release, meta.ReconcilingCondition)
		if err == nil {
			conditions.Delete(release, meta.StalledCondition)
			release.Status.ClearFailures()
		}
		return ctrl.Result{RequeueAfter: release.GetRequeueAfter()}, nil
	case errors.Is(err, errWaiting):
		conditions.MarkReconciling(release, meta.ProgressingWithRetryReason, "%s",
			conditions.GetMessage(release, meta.ReadyCondition))
		return ctrl.Result{RequeueAfter: pause}, nil
	case errors.As(err, &retry):
		return ctrl.Result{RequeueAfter: retry.after}, nil
	case errors.Is(err, errAgain):
		return ctrl.Result{RequeueAfter: firstRetry}, nil
	}
	conditions.MarkReconciling(release, meta.ProgressingWithRetryReason, "%s",
		conditions.GetMessage(release, meta.ReadyCondition))
	return ctrl.Result{}, err
}

// save writes the status where it differs from the one in the cluster.
func (r *Reconciler) save(ctx context.Context, release *helmv2.HelmRelease) error {
	there := &helmv2.HelmRelease{}
	if err := r.Reader.Get(ctx, client.ObjectKeyFromObject(release), there); err != nil {
		return err
	}
	if equality.Semantic.DeepEqual(there.Status, release.Status) {
		return nil
	}
	patch := client.MergeFrom(there.DeepCopy())
	there.Status = *release.Status.DeepCopy()
	return r.Client.Status().Patch(ctx, there, patch, client.FieldOwner(fieldManager))
}

// tell sends an event with the message of the condition Released, TestSuccess
// or Remediated that has the reason.
func (r *Reconciler) tell(release *helmv2.HelmRelease, kind, reason string) {
	for _, name := range []string{helmv2.ReleasedCondition, helmv2.TestSuccessCondition, helmv2.RemediatedCondition} {
		if conditions.GetReason(release, name) == reason {
			r.Events.Event(release, kind, reason, conditions.GetMessage(release, name))
			return
		}
	}
}

// reconcile does the work of Reconcile but for the status.
func (r *Reconciler) reconcile(ctx context.Context, release *helmv2.HelmRelease) error {
	if release.Generation != release.Status.ObservedGeneration {
		conditions.MarkReconciling(release, meta.ProgressingReason, "Fulfilling prerequisites")
	}
	if problem := unsupported(release); problem != "" {
		return refuse(release, &terminalError{reason: reasonUnsupported, message: problem})
	}
	missing, err := r.missingDependency(ctx, release)
	if err != nil {
		return refuse(release, err)
	}
	if missing != "" {
		notReady(release, helmv2.DependencyNotReadyReason, "dependencies do not meet ready condition (%s): retrying in %s",
			missing, r.RequeueDependency)
		return errWaiting
	}
	chart, origin, err := r.chartOf(ctx, release)
	if err != nil {
		return err
	}
	values, err := chartutil.ChartValuesFromReferences(ctx, ctrl.LoggerFrom(ctx), readOnly{r.Client, r.Reader},
		release.Namespace, release.GetValues(), release.Spec.ValuesFrom...)
	if err != nil {
		notReady(release, "ValuesError", "%s", err)
		return err
	}
	want := &desired{
		chart: chart, values: values, origin: origin,
		configDigest: chartutil.DigestValues(digest.SHA256, common.Values(values)).String(),
		force:        helmv2.ShouldHandleForceRequest(release),
	}
	r.begin(release, want)
	if err := r.removeFormer(ctx, release); err != nil {
		notReady(release, helmv2.UninstallFailedReason, "could not uninstall the former release: %s", err)
		return err
	}
	release.Status.StorageNamespace = release.GetStorageNamespace()
	// Nothing is done in the cluster before the status says where it is stored.
	if err := r.save(ctx, release); err != nil {
		return err
	}
	attempted, err := r.prepare(ctx, release, want)
	if err != nil {
		return refuse(release, err)
	}
	return r.settle(ctx, attempted)
}

// refuse says in Stalled and Ready why a release is not even tried.
func refuse(release *helmv2.HelmRelease, err error) error {
	var terminal *terminalError
	if errors.As(err, &terminal) {
		conditions.MarkStalled(release, terminal.reason, "%s", terminal.message)
		notReady(release, terminal.reason, "%s", terminal.message)
		return terminal
	}
	notReady(release, "ReconcileError", "%s", err)
	return err
}

// prepare makes the connection that Helm works with.
func (r *Reconciler) prepare(ctx context.Context, release *helmv2.HelmRelease, want *desired) (*attempt, error) {
	config, err := r.Cluster.Configure(release, release.GetStorageNamespace())
	if err != nil {
		return nil, err
	}
	waiting, err := r.Cluster.Waiting(ctx, release)
	if err != nil {
		return nil, err
	}
	acting, err := r.Cluster.Client(release)
	if err != nil {
		return nil, err
	}
	return &attempt{desired: want, object: release, config: config, waiting: waiting, client: acting}, nil
}

// begin notes in the status what is attempted. Something new resets the
// failures of what was attempted before.
func (r *Reconciler) begin(release *helmv2.HelmRelease, want *desired) {
	status := &release.Status
	reset := helmv2.ShouldHandleResetRequest(release)
	if reset || status.LastAttemptedGeneration != release.Generation ||
		status.LastAttemptedRevision != want.chart.Metadata.Version ||
		status.LastAttemptedConfigDigest != want.configDigest {
		status.ClearFailures()
		conditions.Delete(release, meta.StalledCondition)
	}
	status.LastAttemptedGeneration = release.Generation
	status.LastAttemptedRevision = want.chart.Metadata.Version
	status.LastAttemptedRevisionDigest = want.origin
	status.LastAttemptedConfigDigest = want.configDigest
	for _, reason := range []string{"SourceNotReady", helmv2.DependencyNotReadyReason, helmv2.ArtifactFailedReason, "ValuesError", reasonUnsupported} {
		if conditions.GetReason(release, meta.ReadyCondition) == reason {
			conditions.MarkUnknown(release, meta.ReadyCondition, meta.ProgressingReason, "reconciliation in progress")
		}
	}
}

// remove uninstalls a release whose object is being deleted.
func (r *Reconciler) remove(ctx context.Context, release *helmv2.HelmRelease) (ctrl.Result, error) {
	if !controllerutil.ContainsFinalizer(release, helmv2.HelmReleaseFinalizer) {
		return ctrl.Result{}, nil
	}
	if !release.Spec.Suspend && release.Status.StorageNamespace != "" {
		name := release.GetReleaseName()
		if latest := release.Status.History.Latest(); latest != nil {
			name = latest.Name
		}
		if _, err := r.uninstallFrom(ctx, release, name, release.Status.StorageNamespace); err != nil {
			message := fmt.Sprintf("Helm uninstall failed for release %s/%s: %s", release.GetReleaseNamespace(), name, err)
			released(release, false, helmv2.UninstallFailedReason, "%s", message)
			notReady(release, helmv2.UninstallFailedReason, "%s", message)
			r.Events.Event(release, corev1.EventTypeWarning, helmv2.UninstallFailedReason, message)
			if saved := r.save(ctx, release); client.IgnoreNotFound(saved) != nil {
				return ctrl.Result{}, saved
			}
			return ctrl.Result{}, err
		}
	}
	if err := r.deleteHelmChart(ctx, release); err != nil {
		return ctrl.Result{}, err
	}
	before := release.DeepCopy()
	controllerutil.RemoveFinalizer(release, helmv2.HelmReleaseFinalizer)
	err := r.Client.Patch(ctx, release, client.MergeFrom(before), client.FieldOwner(fieldManager))
	return ctrl.Result{}, client.IgnoreNotFound(err)
}

// readOnly reads Secrets and ConfigMaps from the API server, so that no cache
// holds all of them.
type readOnly struct {
	client.Client
	reader client.Reader
}

func (r readOnly) Get(ctx context.Context, key client.ObjectKey, object client.Object, options ...client.GetOption) error {
	return r.reader.Get(ctx, key, object, options...)
}

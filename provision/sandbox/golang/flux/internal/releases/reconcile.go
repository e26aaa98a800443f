package releases

import (
	"context"
	"errors"
	"fmt"
	"time"

	helmv2 "github.com/fluxcd/helm-controller/api/v2"
	"github.com/fluxcd/pkg/apis/meta"
	"github.com/fluxcd/pkg/runtime/conditions"
	rcommon "helm.sh/helm/v4/pkg/release/common"
	releasev1 "helm.sh/helm/v4/pkg/release/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// settle takes the steps that bring the release to the desired state. It ends
// when the release is in sync, when a step needs another reconciliation
// (errAgain, or retryError), or when nothing more can be done (terminalError).
func (r *Reconciler) settle(ctx context.Context, a *attempt) error {
	var taken []step
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		newest, err := a.newest()
		var now state
		if err == nil {
			now, err = determine(a.object, a.desired, newest)
		}
		if err != nil {
			notReady(a.object, "StateError", "could not determine the state of the release: %s", err)
			return err
		}
		take, err := next(a.object, a.desired, now, a.config.Releases)
		if err != nil {
			return r.stop(a, err)
		}
		if take == nothing {
			return r.inSync(ctx, a)
		}
		for _, earlier := range taken {
			if earlier == take || earlier.releases() && take.releases() {
				return r.postpone(a)
			}
		}
		if take != stepUnlock {
			r.announce(ctx, a, take)
		}
		began := time.Now()
		err = r.run(ctx, a, take)
		if take.releases() {
			a.object.Status.LastAttemptedReleaseActionDuration = &metav1.Duration{Duration: time.Since(began).Round(time.Millisecond)}
		}
		if err != nil {
			return err
		}
		a.force = false
		taken = append(taken, take)
		summarize(a.object)
		if err := r.save(ctx, a.object); err != nil {
			return err
		}
	}
}

// announce says which step begins.
func (r *Reconciler) announce(ctx context.Context, a *attempt, take step) {
	progressing(a.object, "Running '%s' action with timeout of %s", take, r.timeoutOf(a.object, take))
	// A status that cannot be written now is written with the result.
	_ = r.save(ctx, a.object)
}

func (r *Reconciler) timeoutOf(object *helmv2.HelmRelease, take step) time.Duration {
	all := object.GetTimeout()
	switch take {
	case stepInstall:
		return object.GetInstall().GetTimeout(all).Duration
	case stepUpgrade, stepReinstall:
		return object.GetUpgrade().GetTimeout(all).Duration
	case stepTest:
		return object.GetTest().GetTimeout(all).Duration
	case stepRollback:
		return object.GetRollback().GetTimeout(all).Duration
	case stepUninstall:
		return object.GetUninstall().GetTimeout(all).Duration
	}
	return all.Duration
}

// retryError asks for another reconciliation after a time of its own.
type retryError struct{ after time.Duration }

func (e *retryError) Error() string { return fmt.Sprintf("retrying in %s", e.after) }

// postpone ends a reconciliation that has taken its steps without success.
func (r *Reconciler) postpone(a *attempt) error {
	if retry := a.object.GetActiveRetry(false); retry != nil {
		conditions.MarkReconciling(a.object, meta.ProgressingWithRetryReason, "%s", conditions.GetMessage(a.object, meta.ReadyCondition))
		return &retryError{after: retry.GetRetryInterval()}
	}
	if remediation := a.object.GetActiveRemediation(); remediation != nil && remediation.RetriesExhausted(a.object) {
		failures := remediation.GetFailureCount(a.object)
		return r.stop(a, exhausted(a.object, string(a.object.Status.LastAttemptedReleaseAction), failures))
	}
	conditions.MarkReconciling(a.object, meta.ProgressingWithRetryReason, "%s", conditions.GetMessage(a.object, meta.ReadyCondition))
	return errAgain
}

// stop ends the attempts; Ready keeps what the last action said.
func (r *Reconciler) stop(a *attempt, err error) error {
	var terminal *terminalError
	if !errors.As(err, &terminal) {
		notReady(a.object, "StateError", "%s", err)
		return err
	}
	conditions.MarkStalled(a.object, terminal.reason, "%s", terminal.message)
	summarize(a.object)
	if conditions.IsReady(a.object) || conditions.IsUnknown(a.object, meta.ReadyCondition) {
		notReady(a.object, terminal.reason, "%s", terminal.message)
	}
	return terminal
}

// inSync ends a reconciliation of a release that is as it is to be.
func (r *Reconciler) inSync(ctx context.Context, a *attempt) error {
	if err := r.correctDrift(ctx, a); err != nil {
		notReady(a.object, helmv2.DriftDetectedReason, "%s", err)
		return err
	}
	summarize(a.object)
	if !conditions.Has(a.object, helmv2.ReleasedCondition) {
		// The release is from before this status, for instance after a restore.
		latest := a.object.Status.History.Latest()
		released(a.object, true, helmv2.UpgradeSucceededReason, "release %s with chart %s is in sync",
			latest.FullReleaseName(), latest.VersionedChartName())
		summarize(a.object)
	}
	a.object.Status.History.Truncate(activeRemediationIgnoresTests(a.object))
	return nil
}

func released(object *helmv2.HelmRelease, succeeded bool, reason, format string, arguments ...any) {
	status := metav1.ConditionFalse
	if succeeded {
		status = metav1.ConditionTrue
	}
	mark(object, helmv2.ReleasedCondition, status, reason, fmt.Sprintf(format, arguments...))
}

func mark(object *helmv2.HelmRelease, kind string, status metav1.ConditionStatus, reason, message string) {
	conditions.Set(object, &metav1.Condition{Type: kind, Status: status, Reason: reason, Message: message})
}

// run takes one step. An error ends the reconciliation; a failed action that
// left a release is no error, but a condition.
func (r *Reconciler) run(ctx context.Context, a *attempt, take step) error {
	switch take {
	case stepInstall:
		// An installation is the begin of a new history.
		a.object.Status.ClearHistory()
		return r.release(ctx, a, helmv2.ReleaseActionInstall, a.install)
	case stepUpgrade:
		return r.release(ctx, a, helmv2.ReleaseActionUpgrade, a.upgrade)
	case stepReinstall:
		if _, err := uninstall(a.object, a.config, a.object.GetReleaseName(), a.waiting); err != nil {
			released(a.object, false, helmv2.UninstallFailedReason, "Helm uninstall failed for release %s: %s", a.describe(), err)
			summarize(a.object)
			return err
		}
		a.object.Status.ClearHistory()
		return r.release(ctx, a, helmv2.ReleaseActionInstall, a.install)
	case stepUnlock:
		return r.unlock(a)
	case stepTest:
		return r.test(ctx, a)
	case stepRollback:
		return r.rollback(a)
	case stepUninstall:
		return r.uninstallRemediation(a)
	}
	return fmt.Errorf("unknown step %q", take)
}

// release runs an install or an upgrade.
func (r *Reconciler) release(
	ctx context.Context, a *attempt, kind helmv2.ReleaseAction, run func(context.Context) error,
) error {
	object := a.object
	object.Status.LastAttemptedReleaseAction = kind
	before, err := a.newest()
	if err != nil {
		return err
	}
	err = run(ctx)
	if ctx.Err() != nil {
		return ctx.Err() // stopping: what failed with it says nothing
	}
	conditions.Delete(object, helmv2.RemediatedCondition)
	conditions.Delete(object, helmv2.TestSuccessCondition)
	if seen := observe(object, a.config.Releases, kind, a.origin); seen != nil {
		return seen
	}
	reasonGood, reasonBad := helmv2.InstallSucceededReason, helmv2.InstallFailedReason
	remediation := object.GetInstall().GetRemediation()
	if kind == helmv2.ReleaseActionUpgrade {
		reasonGood, reasonBad = helmv2.UpgradeSucceededReason, helmv2.UpgradeFailedReason
		remediation = object.GetUpgrade().GetRemediation()
	}
	if err == nil {
		latest := object.Status.History.Latest()
		released(object, true, reasonGood, "Helm %s succeeded for release %s with chart %s",
			kind, latest.FullReleaseName(), latest.VersionedChartName())
		r.tell(object, corev1.EventTypeNormal, reasonGood)
		object.Status.ObservedPostRenderersDigest = postRenderersDigest(object)
		object.Status.ObservedCommonMetadataDigest = commonMetadataDigest(object)
		a.inventory(ctx)
		return nil
	}
	object.Status.Failures++
	released(object, false, reasonBad, "Helm %s failed for release %s: %s", kind, a.describe(), err)
	r.tell(object, corev1.EventTypeWarning, reasonBad)
	summarize(object)
	after, unread := a.newest()
	if unread != nil {
		return unread
	}
	if after == nil || before != nil && before.Version == after.Version && before.Info.Status == after.Info.Status {
		return err // nothing was released, so that there is nothing to remedy
	}
	remediation.IncrementFailureCount(object)
	return nil
}

// unlock marks a release as failed whose action was interrupted.
func (r *Reconciler) unlock(a *attempt) error {
	newest, err := a.newest()
	if err != nil {
		return err
	}
	newest.SetStatus(rcommon.StatusFailed, fmt.Sprintf("Release unlocked from stale '%s' state", newest.Info.Status))
	if err := a.config.Releases.Update(newest); err != nil {
		return err
	}
	released(a.object, false, "PendingRelease", "Unlocked Helm release %s/%s.v%d", newest.Namespace, newest.Name, newest.Version)
	return observe(a.object, a.config.Releases, a.object.Status.LastAttemptedReleaseAction, a.origin)
}

// test runs the tests of the release.
func (r *Reconciler) test(ctx context.Context, a *attempt) error {
	object := a.object
	states, err := a.test(ctx)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if seen := observe(object, a.config.Releases, "", a.origin); seen != nil {
		return seen
	}
	latest := object.Status.History.Latest()
	if states == nil {
		states = map[string]*helmv2.TestHookStatus{}
	}
	latest.SetTestHooks(states)
	if err == nil {
		message := "no test hooks"
		if len(states) > 0 {
			message = fmt.Sprintf("%d test hook(s) completed successfully", len(states))
		}
		mark(object, helmv2.TestSuccessCondition, metav1.ConditionTrue, helmv2.TestSucceededReason,
			fmt.Sprintf("Helm test succeeded for release %s with chart %s: %s", latest.FullReleaseName(), latest.VersionedChartName(), message))
		r.tell(object, corev1.EventTypeNormal, helmv2.TestSucceededReason)
		return nil
	}
	object.Status.Failures++
	mark(object, helmv2.TestSuccessCondition, metav1.ConditionFalse, helmv2.TestFailedReason,
		fmt.Sprintf("Helm test failed for release %s with chart %s: %s", latest.FullReleaseName(), latest.VersionedChartName(), err))
	r.tell(object, corev1.EventTypeWarning, helmv2.TestFailedReason)
	if !latest.HasTestInPhase("Failed") {
		return err // the tests did not run
	}
	if remediation := object.GetActiveRemediation(); remediation != nil && !activeRemediationIgnoresTests(object) {
		remediation.IncrementFailureCount(object)
	}
	return nil
}

// rollback brings the release back to the last version that was deployed.
func (r *Reconciler) rollback(a *attempt) error {
	object := a.object
	target := object.Status.History.Previous(activeRemediationIgnoresTests(object))
	name, chart := target.FullReleaseName(), target.VersionedChartName()
	err := a.rollback(target.Version)
	if seen := observe(object, a.config.Releases, helmv2.ReleaseActionRollback, target.OCIDigest); seen != nil {
		return seen
	}
	if err != nil {
		object.Status.Failures++
		mark(object, helmv2.RemediatedCondition, metav1.ConditionFalse, helmv2.RollbackFailedReason,
			fmt.Sprintf("Helm rollback to previous release %s with chart %s failed: %s", name, chart, err))
		summarize(object)
		r.tell(object, corev1.EventTypeWarning, helmv2.RollbackFailedReason)
		return err
	}
	mark(object, helmv2.RemediatedCondition, metav1.ConditionTrue, helmv2.RollbackSucceededReason,
		fmt.Sprintf("Helm rollback to previous release %s with chart %s succeeded", name, chart))
	r.tell(object, corev1.EventTypeNormal, helmv2.RollbackSucceededReason)
	return nil
}

// uninstallRemediation removes a failed release, so that it is installed again.
func (r *Reconciler) uninstallRemediation(a *attempt) error {
	object := a.object
	latest := object.Status.History.Latest()
	name, chart := latest.FullReleaseName(), latest.VersionedChartName()
	removed, err := uninstall(object, a.config, object.GetReleaseName(), a.waiting)
	if err != nil {
		object.Status.Failures++
		mark(object, helmv2.RemediatedCondition, metav1.ConditionFalse, helmv2.UninstallFailedReason,
			fmt.Sprintf("Helm uninstall remediation for release %s with chart %s failed: %s", name, chart, err))
		summarize(object)
		r.tell(object, corev1.EventTypeWarning, helmv2.UninstallFailedReason)
		return err
	}
	if removed != nil {
		markUninstalled(object, removed)
	}
	mark(object, helmv2.RemediatedCondition, metav1.ConditionTrue, helmv2.UninstallSucceededReason,
		fmt.Sprintf("Helm uninstall remediation for release %s with chart %s succeeded", name, chart))
	r.tell(object, corev1.EventTypeNormal, helmv2.UninstallSucceededReason)
	return nil
}

// removeFormer uninstalls the release of an earlier name, namespace or storage.
func (r *Reconciler) removeFormer(ctx context.Context, object *helmv2.HelmRelease) error {
	latest := object.Status.History.Latest()
	same := latest == nil || latest.Name == object.GetReleaseName() && latest.Namespace == object.GetReleaseNamespace()
	if object.Status.StorageNamespace == "" || same && object.Status.StorageNamespace == object.GetStorageNamespace() {
		return nil
	}
	if latest != nil {
		if _, err := r.uninstallFrom(ctx, object, latest.Name, object.Status.StorageNamespace); err != nil {
			return err
		}
	}
	object.Status.ClearHistory()
	object.Status.ClearFailures()
	object.Status.StorageNamespace = ""
	object.Status.Inventory = nil
	return nil
}

// uninstallFrom removes the release of that name whose storage is in namespace.
// It returns the removed release, or nil where there was none.
func (r *Reconciler) uninstallFrom(
	ctx context.Context, object *helmv2.HelmRelease, name, namespace string,
) (*releasev1.Release, error) {
	config, err := r.Cluster.Configure(object, namespace)
	if err != nil {
		return nil, err
	}
	waiting, err := r.Cluster.Waiting(ctx, object)
	if err != nil {
		return nil, err
	}
	return uninstall(object, config, name, waiting)
}

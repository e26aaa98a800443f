package releases

import (
	"errors"
	"fmt"

	helmv2 "github.com/fluxcd/helm-controller/api/v2"
	"github.com/fluxcd/pkg/apis/meta"
	"github.com/fluxcd/pkg/runtime/conditions"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// terminalError ends the attempts until the object changes.
type terminalError struct {
	reason  string
	message string
}

func (e *terminalError) Error() string { return e.message }

// errWaiting ends a reconciliation whose prerequisites are not there yet. The
// object is looked at again, and its observed generation stays as it is.
var errWaiting = errors.New("waiting for a prerequisite")

// errAgain ends a reconciliation that has to go on at once.
var errAgain = errors.New("the release needs another reconciliation")

// notReady sets Ready to False.
func notReady(release *helmv2.HelmRelease, reason, format string, arguments ...any) {
	conditions.MarkFalse(release, meta.ReadyCondition, reason, "%s", fmt.Sprintf(format, arguments...))
}

// progressing says that work is under way, in Reconciling and in Ready.
func progressing(release *helmv2.HelmRelease, format string, arguments ...any) {
	message := fmt.Sprintf(format, arguments...)
	conditions.MarkReconciling(release, meta.ProgressingReason, "%s", message)
	conditions.MarkUnknown(release, meta.ReadyCondition, meta.ProgressingReason, "%s", message)
}

// summarize sets Ready from the conditions of the last actions: a remediation
// counts more than the tests, and these more than the release.
func summarize(release *helmv2.HelmRelease) {
	if remediated := conditions.Get(release, helmv2.RemediatedCondition); remediated != nil {
		notReady(release, remediated.Reason, "%s", remediated.Message)
		return
	}
	decisive := conditions.Get(release, helmv2.ReleasedCondition)
	tested := conditions.Get(release, helmv2.TestSuccessCondition)
	if tested != nil && release.GetTest().Enable && decisive != nil && decisive.Status == metav1.ConditionTrue {
		ignored := activeRemediationIgnoresTests(release)
		if tested.Status == metav1.ConditionTrue || !ignored {
			decisive = tested
		}
	}
	if decisive == nil {
		return
	}
	ready := *decisive
	ready.Type = meta.ReadyCondition
	conditions.Set(release, &ready)
}

// activeRemediationIgnoresTests says whether a failed test counts as a failure
// of the release.
func activeRemediationIgnoresTests(release *helmv2.HelmRelease) bool {
	if remediation := release.GetActiveRemediation(); remediation != nil {
		return remediation.MustIgnoreTestFailures(release.GetTest().IgnoreFailures)
	}
	return release.GetTest().IgnoreFailures
}

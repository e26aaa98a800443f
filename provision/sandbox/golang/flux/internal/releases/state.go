package releases

import (
	"encoding/json"
	"fmt"

	helmv2 "github.com/fluxcd/helm-controller/api/v2"
	"github.com/opencontainers/go-digest"
	chartv2 "helm.sh/helm/v4/pkg/chart/v2"
	rcommon "helm.sh/helm/v4/pkg/release/common"
	releasev1 "helm.sh/helm/v4/pkg/release/v1"
	"helm.sh/helm/v4/pkg/storage"
)

// desired is what the release is to be.
type desired struct {
	chart        *chartv2.Chart
	values       map[string]any
	configDigest string
	origin       string
	// force asks for an upgrade that nothing else calls for.
	force bool
}

// state is how a release in the storage relates to what it is to be.
type state int

const (
	inSync state = iota
	absent
	unmanaged
	outOfSync
	locked
	untested
	failed
)

// determine compares the newest release in the storage with the desired one.
func determine(object *helmv2.HelmRelease, want *desired, newest *releasev1.Release) (state, error) {
	if newest == nil {
		return absent, nil
	}
	status := newest.Info.Status
	if status.IsPending() || status == rcommon.StatusUninstalling {
		return locked, nil
	}
	if status == rcommon.StatusUninstalled {
		return absent, nil
	}
	latest := object.Status.History.Latest()
	checksum, err := digestOf(newest)
	if err != nil {
		return inSync, err
	}
	if latest == nil || !latest.Targets(newest.Name, newest.Namespace, newest.Version) || latest.Digest != checksum {
		return unmanaged, nil
	}
	if status == rcommon.StatusFailed {
		return failed, nil
	}
	if status != rcommon.StatusDeployed {
		return inSync, fmt.Errorf("unable to determine state for release with status '%s'", status)
	}
	if differs(object, want, latest) {
		return outOfSync, nil
	}
	if object.GetTest().Enable {
		if !latest.HasBeenTested() {
			return untested, nil
		}
		if latest.HasTestInPhase(releasev1.HookPhaseFailed.String()) && !activeRemediationIgnoresTests(object) {
			return failed, nil
		}
	}
	return inSync, nil
}

// differs says whether the deployed release is not the desired one.
func differs(object *helmv2.HelmRelease, want *desired, latest *helmv2.Snapshot) bool {
	metadata := want.chart.Metadata
	return latest.ChartName != metadata.Name || latest.ChartVersion != metadata.Version ||
		latest.ConfigDigest != want.configDigest ||
		want.origin != "" && latest.OCIDigest != "" && latest.OCIDigest != want.origin ||
		object.Status.ObservedPostRenderersDigest != postRenderersDigest(object) ||
		object.Status.ObservedCommonMetadataDigest != commonMetadataDigest(object)
}

func postRenderersDigest(object *helmv2.HelmRelease) string {
	if len(object.Spec.PostRenderers) == 0 {
		return ""
	}
	return digestJSON(object.Spec.PostRenderers)
}

func commonMetadataDigest(object *helmv2.HelmRelease) string {
	if object.Spec.CommonMetadata == nil {
		return ""
	}
	return digestJSON(object.Spec.CommonMetadata)
}

func digestJSON(value any) string {
	content, err := json.Marshal(value)
	if err != nil {
		panic(err) // it came from JSON
	}
	return digest.SHA256.FromBytes(content).String()
}

// step is what the reconciler does next.
type step string

const (
	nothing              step = ""
	stepInstall          step = "install"
	stepUpgrade          step = "upgrade"
	stepReinstall        step = "reinstall"
	stepUnlock           step = "unlock"
	stepTest             step = "test"
	stepRollback         step = "rollback-remediation"
	stepUninstall        step = "uninstall-remediation"
	reasonRetries             = "RetriesExceeded"
	reasonRollbackTarget      = "MissingRollbackTarget"
)

func (s step) releases() bool {
	return s == stepInstall || s == stepUpgrade || s == stepReinstall
}

func (s step) remediates() bool { return s == stepRollback || s == stepUninstall }

// next decides what follows from a state.
func next(object *helmv2.HelmRelease, want *desired, now state, releases *storage.Storage) (step, error) {
	switch now {
	case inSync:
		if want.force {
			return stepUpgrade, nil
		}
		return nothing, nil
	case locked:
		return stepUnlock, nil
	case absent:
		if object.GetInstall().GetRemediation().RetriesExhausted(object) && object.GetInstall().GetRetry(false) == nil {
			return nothing, exhausted(object, "install", object.Status.InstallFailures)
		}
		return stepInstall, nil
	case unmanaged:
		return stepUpgrade, nil
	case outOfSync:
		if object.GetUpgrade().GetRemediation().RetriesExhausted(object) && object.GetUpgrade().GetRetry(false) == nil {
			return nothing, exhausted(object, "upgrade", object.Status.UpgradeFailures)
		}
		latest := object.Status.History.Latest()
		if latest.ChartName != want.chart.Metadata.Name &&
			object.GetUpgrade().GetChartNameChangeStrategy() == helmv2.ChartNameChangeStrategyReinstall {
			return stepReinstall, nil
		}
		return stepUpgrade, nil
	case untested:
		return stepTest, nil
	case failed:
		return remedy(object, want, releases)
	}
	return nothing, fmt.Errorf("unknown state %d", now)
}

// remedy decides what is done about a failed release.
func remedy(object *helmv2.HelmRelease, want *desired, releases *storage.Storage) (step, error) {
	remediation := object.GetActiveRemediation()
	switch {
	case remediation == nil, remediation.GetFailureCount(object) <= 0, want.force,
		object.GetActiveRetry(false) != nil:
		return stepUpgrade, nil
	case remediation.RetriesExhausted(object) && !remediation.MustRemediateLastFailure():
		return nothing, exhausted(object, string(object.Status.LastAttemptedReleaseAction), remediation.GetFailureCount(object))
	case remediation.GetStrategy() == helmv2.UninstallRemediationStrategy:
		return stepUninstall, nil
	}
	previous := object.Status.History.Previous(activeRemediationIgnoresTests(object))
	if previous == nil {
		return nothing, &terminalError{
			reason: reasonRollbackTarget, message: "Failed to perform remediation: missing target release for rollback",
		}
	}
	found, err := stored(releases, previous.Name)
	if err != nil {
		return nothing, err
	}
	for _, one := range found {
		if one.Version != previous.Version {
			continue
		}
		return stepRollback, nil
	}
	// The history in the storage lost it: an upgrade repairs what it can.
	return stepUpgrade, nil
}

func exhausted(object *helmv2.HelmRelease, what string, failures int64) error {
	if what == "" {
		what = "release"
	}
	return &terminalError{
		reason:  reasonRetries,
		message: fmt.Sprintf("Failed to %s after %d attempt(s)", what, max(failures, 1)),
	}
}

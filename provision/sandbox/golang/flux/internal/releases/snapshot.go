package releases

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	helmv2 "github.com/fluxcd/helm-controller/api/v2"
	"github.com/fluxcd/pkg/chartutil"
	"github.com/opencontainers/go-digest"
	"helm.sh/helm/v4/pkg/chart/common"
	rcommon "helm.sh/helm/v4/pkg/release/common"
	releasev1 "helm.sh/helm/v4/pkg/release/v1"
	"helm.sh/helm/v4/pkg/storage"
	"helm.sh/helm/v4/pkg/storage/driver"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// stored returns the releases of that name in the storage, the newest first.
func stored(releases *storage.Storage, name string) ([]*releasev1.Release, error) {
	found, err := releases.History(name)
	if err != nil {
		if errors.Is(err, driver.ErrReleaseNotFound) {
			return nil, nil
		}
		return nil, err
	}
	result := make([]*releasev1.Release, 0, len(found))
	for _, each := range found {
		one, ok := each.(*releasev1.Release)
		if !ok {
			return nil, fmt.Errorf("release %s in the storage has an unknown version", name)
		}
		result = append(result, one)
	}
	slices.SortFunc(result, func(a, b *releasev1.Release) int { return b.Version - a.Version })
	return result, nil
}

// digestOf is the checksum of a release as it is in the storage.
func digestOf(release *releasev1.Release) (string, error) {
	content, err := json.Marshal(release)
	if err != nil {
		return "", err
	}
	return digest.SHA256.FromBytes(content).String(), nil
}

// snapshotOf returns the status of a release in the storage.
func snapshotOf(release *releasev1.Release) (*helmv2.Snapshot, error) {
	checksum, err := digestOf(release)
	if err != nil {
		return nil, err
	}
	result := &helmv2.Snapshot{
		APIVersion:   helmv2.CurrentSnapshotAPIVersion,
		Digest:       checksum,
		Name:         release.Name,
		Namespace:    release.Namespace,
		Version:      release.Version,
		Status:       release.Info.Status.String(),
		ConfigDigest: chartutil.DigestValues(digest.SHA256, common.Values(release.Config)).String(),
		// Status fields have whole seconds.
		FirstDeployed: metav1.NewTime(release.Info.FirstDeployed),
		LastDeployed:  metav1.NewTime(release.Info.LastDeployed),
		Deleted:       metav1.NewTime(release.Info.Deleted),
	}
	if chart := release.Chart; chart != nil && chart.Metadata != nil {
		result.ChartName, result.ChartVersion = chart.Metadata.Name, chart.Metadata.Version
		result.AppVersion = chart.Metadata.AppVersion
	}
	return result, nil
}

// observe brings the history in the status up to date with the storage. The
// snapshots of the versions that were made since get action and origin.
func observe(
	object *helmv2.HelmRelease, releases *storage.Storage, action helmv2.ReleaseAction, origin string,
) error {
	found, err := stored(releases, object.GetReleaseName())
	if err != nil {
		return err
	}
	known := map[int]*helmv2.Snapshot{}
	oldest := 0
	for _, snapshot := range object.Status.History {
		known[snapshot.Version] = snapshot
		if oldest == 0 || snapshot.Version < oldest {
			oldest = snapshot.Version
		}
	}
	var history helmv2.Snapshots
	for i, release := range found {
		if i > 0 && (oldest == 0 || release.Version < oldest) {
			break
		}
		snapshot, err := snapshotOf(release)
		if err != nil {
			return err
		}
		if earlier := known[release.Version]; earlier != nil {
			snapshot.Action, snapshot.OCIDigest, snapshot.TestHooks = earlier.Action, earlier.OCIDigest, earlier.TestHooks
			delete(known, release.Version)
		} else {
			snapshot.Action, snapshot.OCIDigest = action, origin
		}
		history = append(history, snapshot)
	}
	for _, gone := range known {
		// Helm removed it from the storage: the status keeps how it ended.
		history = append(history, gone)
	}
	history.SortByVersion()
	object.Status.History = history
	return nil
}

// markUninstalled notes in the history that Helm has removed the release.
func markUninstalled(object *helmv2.HelmRelease, removed *releasev1.Release) {
	for _, snapshot := range object.Status.History {
		if snapshot.Targets(removed.Name, removed.Namespace, removed.Version) {
			snapshot.Status = rcommon.StatusUninstalled.String()
			snapshot.Deleted = metav1.NewTime(removed.Info.Deleted)
		}
	}
}

// testsOf returns the state of each test hook of a release.
func testsOf(release *releasev1.Release, filters []helmv2.Filter) map[string]*helmv2.TestHookStatus {
	included := map[string]bool{}
	excluded := map[string]bool{}
	for _, filter := range filters {
		if filter.Exclude {
			excluded[filter.Name] = true
		} else {
			included[filter.Name] = true
		}
	}
	result := map[string]*helmv2.TestHookStatus{}
	for _, hook := range release.Hooks {
		if !slices.Contains(hook.Events, releasev1.HookTest) || excluded[hook.Name] ||
			len(included) > 0 && !included[hook.Name] {
			continue
		}
		status := &helmv2.TestHookStatus{Phase: hook.LastRun.Phase.String()}
		if !hook.LastRun.StartedAt.IsZero() {
			status.LastStarted = metav1.NewTime(hook.LastRun.StartedAt)
		}
		if !hook.LastRun.CompletedAt.IsZero() {
			status.LastCompleted = metav1.NewTime(hook.LastRun.CompletedAt)
		}
		result[hook.Name] = status
	}
	return result
}

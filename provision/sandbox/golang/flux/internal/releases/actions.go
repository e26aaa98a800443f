package releases

import (
	"context"
	"fmt"

	helmv2 "github.com/fluxcd/helm-controller/api/v2"
	"helm.sh/helm/v4/pkg/action"
	helmkube "helm.sh/helm/v4/pkg/kube"
	releasev1 "helm.sh/helm/v4/pkg/release/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// attempt is one reconciliation of a release: what is to be, and what Helm
// works with.
type attempt struct {
	*desired
	object  *helmv2.HelmRelease
	config  *action.Configuration
	waiting []helmkube.WaitOption
	// client acts with the rights of the release.
	client client.Client
}

// waitStrategy is how Helm waits: not at all when the action disables it.
func waitStrategy(object *helmv2.HelmRelease, disabled bool) helmkube.WaitStrategy {
	switch {
	case disabled:
		return helmkube.HookOnlyStrategy
	case object.GetWaitStrategy() == helmv2.WaitStrategyLegacy:
		return helmkube.LegacyStrategy
	}
	return helmkube.StatusWatcherStrategy
}

// install installs the chart. Definitions of its folder "crds" are applied
// first, by the policy of the release.
func (a *attempt) install(ctx context.Context) error {
	spec := a.object.GetInstall()
	policy := spec.CRDs
	if policy == "" {
		policy = helmv2.Create
	}
	if spec.SkipCRDs {
		policy = helmv2.Skip
	}
	if err := a.applyDefinitions(ctx, policy); err != nil {
		return err
	}
	run := action.NewInstall(a.config)
	run.ReleaseName = a.object.GetReleaseName()
	run.Namespace = a.object.GetReleaseNamespace()
	run.Timeout = spec.GetTimeout(a.object.GetTimeout()).Duration
	run.WaitStrategy = waitStrategy(a.object, spec.DisableWait)
	run.WaitOptions = a.waiting
	run.WaitForJobs = !spec.DisableWaitForJobs
	run.TakeOwnership = !spec.DisableTakeOwnership
	run.DisableHooks = spec.DisableHooks
	run.DisableOpenAPIValidation = spec.DisableOpenAPIValidation
	run.SkipSchemaValidation = spec.DisableSchemaValidation
	run.Replace = spec.Replace
	run.CreateNamespace = spec.CreateNamespace
	run.SkipCRDs = true
	run.ServerSideApply = spec.ServerSideApply == nil || *spec.ServerSideApply
	run.ForceConflicts = run.ServerSideApply
	run.PostRenderer = rendered{a.object}
	run.PostRenderStrategy = strategy(a.object)
	_, err := run.RunWithContext(ctx, a.chart, a.values)
	return err
}

// upgrade brings the release to the chart and values that are to be.
func (a *attempt) upgrade(ctx context.Context) error {
	spec := a.object.GetUpgrade()
	policy := spec.CRDs
	if policy == "" {
		policy = helmv2.Skip
	}
	if err := a.applyDefinitions(ctx, policy); err != nil {
		return err
	}
	run := action.NewUpgrade(a.config)
	run.Namespace = a.object.GetReleaseNamespace()
	run.Timeout = spec.GetTimeout(a.object.GetTimeout()).Duration
	run.MaxHistory = a.object.GetMaxHistory()
	run.WaitStrategy = waitStrategy(a.object, spec.DisableWait)
	run.WaitOptions = a.waiting
	run.WaitForJobs = !spec.DisableWaitForJobs
	run.TakeOwnership = !spec.DisableTakeOwnership
	run.DisableHooks = spec.DisableHooks
	run.DisableOpenAPIValidation = spec.DisableOpenAPIValidation
	run.SkipSchemaValidation = spec.DisableSchemaValidation
	run.ResetValues = !spec.PreserveValues
	run.ReuseValues = spec.PreserveValues
	run.CleanupOnFail = spec.CleanupOnFail
	run.SkipCRDs = true
	run.ServerSideApply = serverSide(spec.ServerSideApply)
	newest, err := a.newest()
	if err != nil {
		return err
	}
	serverSideApply := appliesOnServer(run.ServerSideApply, newest)
	run.ForceConflicts = serverSideApply
	run.ForceReplace = spec.Force && !serverSideApply
	run.PostRenderer = rendered{a.object}
	run.PostRenderStrategy = strategy(a.object)
	_, err = run.RunWithContext(ctx, a.object.GetReleaseName(), a.chart, a.values)
	return err
}

// rollback brings the release back to an earlier version.
func (a *attempt) rollback(version int) error {
	spec := a.object.GetRollback()
	run := action.NewRollback(a.config)
	run.Version = version
	run.Timeout = spec.GetTimeout(a.object.GetTimeout()).Duration
	run.WaitStrategy = waitStrategy(a.object, spec.DisableWait)
	run.WaitOptions = a.waiting
	run.WaitForJobs = !spec.DisableWaitForJobs
	run.DisableHooks = spec.DisableHooks
	run.CleanupOnFail = spec.CleanupOnFail
	run.MaxHistory = a.object.GetMaxHistory()
	run.ServerSideApply = serverSide(spec.ServerSideApply)
	target, err := stored(a.config.Releases, a.object.GetReleaseName())
	if err != nil {
		return err
	}
	var previous *releasev1.Release
	for _, one := range target {
		if one.Version == version {
			previous = one
		}
	}
	serverSideApply := appliesOnServer(run.ServerSideApply, previous)
	run.ForceConflicts = serverSideApply
	run.ForceReplace = spec.Force && !serverSideApply
	return run.Run(a.object.GetReleaseName())
}

// uninstall removes the release of that name and returns it. Nil means that
// there was none.
func uninstall(
	object *helmv2.HelmRelease, config *action.Configuration, name string, waiting []helmkube.WaitOption,
) (*releasev1.Release, error) {
	spec := object.GetUninstall()
	run := action.NewUninstall(config)
	run.Timeout = spec.GetTimeout(object.GetTimeout()).Duration
	run.DisableHooks = spec.DisableHooks
	run.KeepHistory = spec.KeepHistory
	run.WaitStrategy = waitStrategy(object, spec.DisableWait)
	run.WaitOptions = waiting
	run.DeletionPropagation = spec.GetDeletionPropagation()
	run.IgnoreNotFound = true
	answer, err := run.Run(name)
	if err != nil || answer == nil {
		return nil, err
	}
	removed, _ := answer.Release.(*releasev1.Release)
	return removed, nil
}

// test runs the test hooks of the release and returns their states.
func (a *attempt) test(ctx context.Context) (map[string]*helmv2.TestHookStatus, error) {
	spec := a.object.GetTest()
	run := action.NewReleaseTesting(a.config)
	run.Namespace = a.object.GetReleaseNamespace()
	run.Timeout = spec.GetTimeout(a.object.GetTimeout()).Duration
	run.WaitOptions = a.waiting
	for _, filter := range spec.GetFilters() {
		list := action.IncludeNameFilter
		if filter.Exclude {
			list = action.ExcludeNameFilter
		}
		run.Filters[list] = append(run.Filters[list], filter.Name)
	}
	tested, shutdown, err := run.Run(a.object.GetReleaseName())
	if shutdown != nil {
		if failed := shutdown(); failed != nil && err == nil {
			err = failed
		}
	}
	release, ok := tested.(*releasev1.Release)
	if !ok {
		return nil, err
	}
	return testsOf(release, spec.GetFilters()), err
}

// newest returns the newest release in the storage, or nil.
func (a *attempt) newest() (*releasev1.Release, error) {
	found, err := stored(a.config.Releases, a.object.GetReleaseName())
	if err != nil || len(found) == 0 {
		return nil, err
	}
	return found[0], nil
}

// serverSide translates the mode to the words of Helm.
func serverSide(mode helmv2.ServerSideApplyMode) string {
	switch mode {
	case helmv2.ServerSideApplyEnabled:
		return "true"
	case helmv2.ServerSideApplyDisabled:
		return "false"
	}
	return "auto"
}

// appliesOnServer says whether Helm applies on the server: with "auto", as the
// earlier release did.
func appliesOnServer(mode string, earlier *releasev1.Release) bool {
	if mode == "auto" {
		return earlier != nil && earlier.ApplyMethod == string(releasev1.ApplyMethodServerSideApply)
	}
	return mode == "true"
}

// describe returns name, namespace and chart as the messages have them.
func (a *attempt) describe() string {
	return fmt.Sprintf("%s/%s with chart %s@%s", a.object.GetReleaseNamespace(), a.object.GetReleaseName(),
		a.chart.Name(), a.chart.Metadata.Version)
}

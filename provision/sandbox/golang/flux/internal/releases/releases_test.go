package releases

import (
	"errors"
	"strings"
	"testing"

	helmv2 "github.com/fluxcd/helm-controller/api/v2"
	"github.com/fluxcd/pkg/apis/kustomize"
	"github.com/fluxcd/pkg/apis/meta"
	"github.com/fluxcd/pkg/runtime/conditions"
	sourcev1 "github.com/fluxcd/source-controller/api/v1"
	"helm.sh/helm/v4/pkg/chart/common"
	rcommon "helm.sh/helm/v4/pkg/release/common"
	releasev1 "helm.sh/helm/v4/pkg/release/v1"
	"helm.sh/helm/v4/pkg/storage"
	corev1 "k8s.io/api/core/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

const yes, no, unknown = metav1.ConditionTrue, metav1.ConditionFalse, metav1.ConditionUnknown

func (l *lab) storage() *storage.Storage {
	l.memory.SetNamespace("media")
	return storage.Init(l.memory)
}

func (l *lab) release(name string) *releasev1.Release {
	l.Helper()
	found, err := stored(l.storage(), name)
	if err != nil || len(found) == 0 {
		l.Fatalf("release %s: %v %v", name, found, err)
	}
	return found[0]
}

func TestARepositorysChartIsAskedForAndInstalled(t *testing.T) {
	l := newLab(t, wanted("plex"))
	waiting := l.mustReconcile("plex")
	l.condition(waiting, meta.ReadyCondition, no, "SourceNotReady",
		"HelmChart 'flux-system/media-plex' is not ready: does not have an artifact")
	if waiting.Status.HelmChart != "flux-system/media-plex" || waiting.Status.ObservedGeneration != -1 {
		t.Fatalf("status %+v", waiting.Status)
	}
	chart := &sourcev1.HelmChart{}
	if err := l.client.Get(t.Context(), types.NamespacedName{Namespace: "flux-system", Name: "media-plex"}, chart); err != nil {
		t.Fatal(err)
	}
	if chart.Spec.Chart != "plex" || chart.Spec.Version != "1.x" || chart.Labels[nameLabel] != "plex" ||
		chart.Labels[namespaceLabel] != "media" || chart.Spec.Interval.Hours() != 1 {
		t.Fatalf("chart %+v", chart)
	}
	l.chart("plex", l.publish("plex", "1.2.0"))
	release := l.mustReconcile("plex")
	l.condition(release, meta.ReadyCondition, yes, "InstallSucceeded",
		"Helm install succeeded for release media/plex.v1 with chart plex@1.2.0")
	l.condition(release, helmv2.ReleasedCondition, yes, "InstallSucceeded", "")
	if conditions.Has(release, meta.ReconcilingCondition) || conditions.Has(release, meta.StalledCondition) {
		t.Fatalf("conditions %+v", release.Status.Conditions)
	}
	status := release.Status
	latest := status.History.Latest()
	if status.ObservedGeneration != 1 || status.LastAttemptedRevision != "1.2.0" || status.StorageNamespace != "media" ||
		status.LastAttemptedReleaseAction != "install" || status.LastAttemptedConfigDigest != latest.ConfigDigest ||
		latest.Status != "deployed" || latest.AppVersion != "7" || latest.Action != "install" || latest.APIVersion != "v2" {
		t.Fatalf("status %+v %+v", status, latest)
	}
	if !strings.Contains(l.release("plex").Manifest, nameLabel+": plex") {
		t.Fatalf("no label of origin: %s", l.release("plex").Manifest)
	}
	again := l.mustReconcile("plex")
	if again.ResourceVersion != release.ResourceVersion {
		t.Fatal("a second reconciliation changed the status")
	}
}

func TestValuesComeFromObjectsAndTheReleasesOwn(t *testing.T) {
	subject := wanted("plex")
	subject.Spec.Values = &apiextensionsv1.JSON{Raw: []byte(`{"own": 1, "color": "green"}`)}
	subject.Spec.ValuesFrom = []meta.ValuesReference{
		{Kind: "ConfigMap", Name: "settings"},
		{Kind: "Secret", Name: "token", ValuesKey: "key", TargetPath: "auth.token"},
		{Kind: "ConfigMap", Name: "absent", Optional: true},
	}
	l := newLab(t, subject, &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{Namespace: "media", Name: "settings"},
		Data:       map[string]string{"values.yaml": "color: blue\nsize: 3\n"},
	})
	l.mustReconcile("plex")
	l.chart("plex", l.publish("plex", "1.2.0"))
	release, _, err := l.reconcile("plex")
	if err == nil {
		t.Fatal("a missing Secret is no error")
	}
	l.condition(release, meta.ReadyCondition, no, "ValuesError",
		"could not resolve Secret chart values reference 'media/token' with key 'key': secrets \"token\" not found")
	if err := l.client.Create(t.Context(), &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: "media", Name: "token"}, Data: map[string][]byte{"key": []byte("x")},
	}); err != nil {
		t.Fatal(err)
	}
	l.condition(l.mustReconcile("plex"), meta.ReadyCondition, yes, "InstallSucceeded", "")
	config := l.release("plex").Config
	if config["color"] != "green" || config["size"] != float64(3) || config["own"] != float64(1) ||
		config["auth"].(map[string]any)["token"] != "x" {
		t.Fatalf("values %+v", config)
	}
}

func TestOtherValuesAndOtherVersionsUpgrade(t *testing.T) {
	l := newLab(t, wanted("plex"))
	l.installed("plex", l.publish("plex", "1.2.0"))
	l.change("plex", func(release *helmv2.HelmRelease) {
		release.Spec.Values = &apiextensionsv1.JSON{Raw: []byte(`{"color": "green"}`)}
	})
	release := l.mustReconcile("plex")
	l.condition(release, meta.ReadyCondition, yes, "UpgradeSucceeded",
		"Helm upgrade succeeded for release media/plex.v2 with chart plex@1.2.0")
	l.chart("plex", l.publish("plex", "1.3.0"))
	release = l.mustReconcile("plex")
	if latest := release.Status.History.Latest(); latest.Version != 3 || latest.ChartVersion != "1.3.0" || len(release.Status.History) != 2 {
		t.Fatalf("history %+v", release.Status.History)
	}
	if previous := release.Status.History.Previous(false); previous.Status != "superseded" {
		t.Fatalf("history %+v", previous)
	}
}

func TestAReleaseThatSomeoneElseChangedIsUpgraded(t *testing.T) {
	l := newLab(t, wanted("plex"))
	l.installed("plex", l.publish("plex", "1.2.0"))
	changed := l.release("plex")
	changed.Info.Description = "by hand"
	if err := l.storage().Update(changed); err != nil {
		t.Fatal(err)
	}
	l.condition(l.mustReconcile("plex"), meta.ReadyCondition, yes, "UpgradeSucceeded", "")
}

func TestAFailedInstallationIsRemediedAndEndsWhenTheRetriesDo(t *testing.T) {
	subject := wanted("plex")
	subject.Spec.Install = &helmv2.Install{Remediation: &helmv2.InstallRemediation{Retries: 1}}
	l := newLab(t, subject)
	l.kube.WaitError = errors.New("never ready")
	l.mustReconcile("plex")
	l.chart("plex", l.publish("plex", "1.2.0"))
	release := l.mustReconcile("plex")
	l.condition(release, helmv2.ReleasedCondition, no, "InstallFailed", "")
	l.condition(release, helmv2.RemediatedCondition, yes, "UninstallSucceeded", "")
	l.condition(release, meta.ReadyCondition, no, "UninstallSucceeded",
		"Helm uninstall remediation for release media/plex.v1 with chart plex@1.2.0 succeeded")
	if found, _ := stored(l.storage(), "plex"); len(found) != 0 || release.Status.InstallFailures != 1 {
		t.Fatalf("%d releases, %d failures", len(found), release.Status.InstallFailures)
	}
	release = l.mustReconcile("plex")
	l.condition(release, meta.StalledCondition, yes, "RetriesExceeded", "Failed to install after 2 attempt(s)")
	l.condition(release, meta.ReadyCondition, no, "InstallFailed",
		"Helm install failed for release media/plex with chart plex@1.2.0: never ready")
}

func TestAFailedRollbackIsTold(t *testing.T) {
	subject := wanted("plex")
	subject.Spec.Upgrade = &helmv2.Upgrade{Remediation: &helmv2.UpgradeRemediation{Retries: 1}}
	l := newLab(t, subject)
	l.installed("plex", l.publish("plex", "1.2.0"))
	l.chart("plex", l.publish("plex", "1.3.0"))
	l.kube.UpdateError = errors.New("refused")
	release, _, err := l.reconcile("plex")
	if err == nil {
		t.Fatal("the rollback failed as well, and no error is returned")
	}
	l.condition(release, helmv2.RemediatedCondition, no, "RollbackFailed", "")
}

func TestARollbackIsToldAndCounts(t *testing.T) {
	subject := wanted("plex")
	remediate := true
	subject.Spec.Upgrade = &helmv2.Upgrade{Remediation: &helmv2.UpgradeRemediation{RemediateLastFailure: &remediate}}
	l := newLab(t, subject)
	l.installed("plex", l.publish("plex", "1.2.0"))
	broken := &common.File{Name: "templates/hook.yaml", Data: []byte(
		"apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: hook\n  annotations:\n    helm.sh/hook: pre-upgrade\n")}
	l.chart("plex", l.publish("plex", "1.3.0", broken))
	l.kube.WatchUntilReadyError = errors.New("the hook failed")
	release := l.mustReconcile("plex")
	l.condition(release, helmv2.ReleasedCondition, no, "UpgradeFailed", "")
	l.condition(release, meta.ReadyCondition, no, "RollbackSucceeded",
		"Helm rollback to previous release media/plex.v1 with chart plex@1.2.0 succeeded")
	l.condition(release, meta.StalledCondition, yes, "RetriesExceeded", "Failed to upgrade after 1 attempt(s)")
	if l.release("plex").Chart.Metadata.Version != "1.2.0" || l.release("plex").Info.Status != rcommon.StatusDeployed {
		t.Fatal("not rolled back")
	}
}

func TestAnInterruptedActionIsUnlocked(t *testing.T) {
	l := newLab(t, wanted("plex"))
	l.installed("plex", l.publish("plex", "1.2.0"))
	pending := l.release("plex")
	pending.Info.Status = rcommon.StatusPendingUpgrade
	if err := l.storage().Update(pending); err != nil {
		t.Fatal(err)
	}
	l.condition(l.mustReconcile("plex"), meta.ReadyCondition, yes, "UpgradeSucceeded", "")
}

func TestDependenciesComeFirst(t *testing.T) {
	second := wanted("second")
	second.Spec.DependsOn = []helmv2.DependencyReference{{Name: "first"}}
	l := newLab(t, wanted("first"), second)
	release, result, err := l.reconcile("second")
	if err != nil || result.RequeueAfter != l.RequeueDependency {
		t.Fatal(result, err)
	}
	l.condition(release, meta.ReadyCondition, no, "DependencyNotReady",
		"dependencies do not meet ready condition (dependency 'media/first' is not ready): retrying in 30s")
	l.installed("first", l.publish("plex", "1.2.0"))
	l.condition(l.installed("second", l.publish("plex", "1.2.0")), meta.ReadyCondition, yes, "InstallSucceeded", "")
}

func TestASuspendedReleaseStaysAsItIs(t *testing.T) {
	subject := wanted("plex")
	subject.Spec.Suspend = true
	l := newLab(t, subject)
	if release := l.mustReconcile("plex"); release.Status.HelmChart != "" || len(release.Status.Conditions) != 0 {
		t.Fatalf("status %+v", release.Status)
	}
}

func TestWhatIsNotSupportedIsRefused(t *testing.T) {
	subject := wanted("plex")
	subject.Spec.KubeConfig = &meta.KubeConfigReference{SecretRef: &meta.SecretKeyReference{Name: "other"}}
	l := newLab(t, subject)
	release := l.mustReconcile("plex")
	for _, kind := range []string{meta.ReadyCondition, meta.StalledCondition} {
		status := no
		if kind == meta.StalledCondition {
			status = yes
		}
		l.condition(release, kind, status, "UnsupportedBySandbox", "the elysium sandbox does not support spec.kubeConfig")
	}
}

func TestADeletedReleaseIsUninstalledUnlessSuspended(t *testing.T) {
	for _, suspended := range []bool{false, true} {
		l := newLab(t, wanted("plex"))
		release := l.installed("plex", l.publish("plex", "1.2.0"))
		if suspended {
			l.change("plex", func(release *helmv2.HelmRelease) { release.Spec.Suspend = true })
		}
		if err := l.client.Delete(t.Context(), release); err != nil {
			t.Fatal(err)
		}
		l.mustReconcile("plex")
		key := types.NamespacedName{Namespace: "media", Name: "plex"}
		if err := l.client.Get(t.Context(), key, release); !apierrors.IsNotFound(err) {
			t.Fatalf("the release is still there: %v", err)
		}
		key = types.NamespacedName{Namespace: "flux-system", Name: "media-plex"}
		if err := l.client.Get(t.Context(), key, &sourcev1.HelmChart{}); !apierrors.IsNotFound(err) {
			t.Fatalf("the chart is still there: %v", err)
		}
		if found, _ := stored(l.storage(), "plex"); len(found) != map[bool]int{false: 0, true: 1}[suspended] {
			t.Fatalf("suspended %t: %d releases", suspended, len(found))
		}
	}
}

func TestARenamedReleaseReplacesTheFormer(t *testing.T) {
	l := newLab(t, wanted("plex"))
	l.installed("plex", l.publish("plex", "1.2.0"))
	l.change("plex", func(release *helmv2.HelmRelease) { release.Spec.ReleaseName = "other" })
	l.condition(l.mustReconcile("plex"), meta.ReadyCondition, yes, "InstallSucceeded",
		"Helm install succeeded for release media/other.v1 with chart plex@1.2.0")
	if found, _ := stored(l.storage(), "plex"); len(found) != 0 {
		t.Fatal("the former release is still there")
	}
}

func TestPostRenderersAndCommonMetadata(t *testing.T) {
	subject := wanted("plex")
	subject.Spec.CommonMetadata = &helmv2.CommonMetadata{Labels: map[string]string{"team": "tv"}}
	subject.Spec.PostRenderers = []helmv2.PostRenderer{{Kustomize: &helmv2.Kustomize{Patches: []kustomize.Patch{{
		Patch:  "- op: replace\n  path: /data/color\n  value: black\n",
		Target: &kustomize.Selector{Kind: "ConfigMap", Name: "settings"},
	}}}}}
	l := newLab(t, subject)
	release := l.installed("plex", l.publish("plex", "1.2.0"))
	if manifest := l.release("plex").Manifest; !strings.Contains(manifest, "color: black") || !strings.Contains(manifest, "team: tv") {
		t.Fatal(manifest)
	}
	if release.Status.ObservedPostRenderersDigest == "" || release.Status.ObservedCommonMetadataDigest == "" {
		t.Fatalf("status %+v", release.Status)
	}
}

func TestAnImageIsAChartWithTheDigestInItsVersion(t *testing.T) {
	subject := wanted("plex")
	subject.Spec.Chart = nil
	subject.Spec.ChartRef = &helmv2.CrossNamespaceSourceReference{Kind: "OCIRepository", Name: "plex"}
	l := newLab(t, subject)
	artifact := l.publish("plex", "1.2.0")
	artifact.Revision = "1.2.0@sha256:" + strings.Repeat("ab", 32)
	repository := &sourcev1.OCIRepository{ObjectMeta: metav1.ObjectMeta{Namespace: "media", Name: "plex"}}
	repository.Status.Artifact = artifact
	conditions.MarkTrue(repository, meta.ReadyCondition, "Succeeded", "pulled")
	if err := l.client.Create(t.Context(), repository); err != nil {
		t.Fatal(err)
	}
	if err := l.client.Status().Update(t.Context(), repository); err != nil {
		t.Fatal(err)
	}
	status := l.mustReconcile("plex").Status
	if latest := status.History.Latest(); latest.ChartVersion != "1.2.0+abababababab" ||
		latest.OCIDigest != "sha256:"+strings.Repeat("ab", 32) || status.LastAttemptedRevision != latest.ChartVersion {
		t.Fatalf("status %+v %+v", status, latest)
	}
}

func TestAChartWithAnotherDigestIsRefused(t *testing.T) {
	l := newLab(t, wanted("plex"))
	l.mustReconcile("plex")
	artifact := l.publish("plex", "1.2.0")
	l.files[artifact.Path] = []byte("something else")
	l.chart("plex", artifact)
	release, _, err := l.reconcile("plex")
	if err == nil || conditions.GetReason(release, meta.ReadyCondition) != "ArtifactFailed" ||
		!strings.Contains(conditions.GetMessage(release, meta.ReadyCondition), "its source says") {
		t.Fatalf("%v %+v", err, release.Status.Conditions)
	}
}

func TestTheStatesOfTestsAreKept(t *testing.T) {
	subject := wanted("plex")
	subject.Spec.Test = &helmv2.Test{Enable: true}
	l := newLab(t, subject)
	hook := &common.File{Name: "templates/test.yaml", Data: []byte(
		"apiVersion: v1\nkind: Pod\nmetadata:\n  name: works\n  annotations:\n    helm.sh/hook: test\n")}
	release := l.installed("plex", l.publish("plex", "1.2.0", hook))
	l.condition(release, meta.ReadyCondition, yes, "TestSucceeded",
		"Helm test succeeded for release media/plex.v1 with chart plex@1.2.0: 1 test hook(s) completed successfully")
	if phase := release.Status.History.Latest().GetTestHooks()["works"].Phase; phase != "Succeeded" {
		t.Fatal(phase)
	}
}

func TestPathsAreRemovedFromWhatIsCompared(t *testing.T) {
	object := map[string]any{"spec": map[string]any{"a/b": 1, "list": []any{map[string]any{"x": 1, "y": 2}}}}
	for _, path := range []string{"/spec/a~1b", "/spec/list/0/x", "/spec/none/deeper", "/spec/list/7"} {
		remove(object, path)
	}
	spec := object["spec"].(map[string]any)
	if len(spec) != 1 || len(spec["list"].([]any)[0].(map[string]any)) != 1 {
		t.Fatalf("%v", object)
	}
}

package releases

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	helmv2 "github.com/fluxcd/helm-controller/api/v2"
	"github.com/fluxcd/pkg/apis/meta"
	"github.com/fluxcd/pkg/runtime/conditions"
	sourcev1 "github.com/fluxcd/source-controller/api/v1"
	"github.com/opencontainers/go-digest"
	chartv2 "helm.sh/helm/v4/pkg/chart/v2"
	"helm.sh/helm/v4/pkg/chart/v2/loader"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

const (
	nameLabel      = "helm.toolkit.fluxcd.io/name"
	namespaceLabel = "helm.toolkit.fluxcd.io/namespace"
	largestChart   = 100 << 20
	shortDigest    = 12
)

// download fetches artifacts. No proxy is asked: the address is the cluster's.
var download = &http.Client{Timeout: time.Minute, Transport: &http.Transport{Proxy: nil}}

// source is an object of source-controller that holds a chart.
type source interface {
	client.Object
	conditions.Getter
	GetArtifact() *meta.Artifact
}

// ensureHelmChart writes the HelmChart that the chart template of the release
// describes, and deletes the one of an earlier template.
func (r *Reconciler) ensureHelmChart(ctx context.Context, release *helmv2.HelmRelease) error {
	wanted := ""
	template := release.Spec.Chart
	if template != nil {
		wanted = template.GetNamespace(release.Namespace) + "/" + release.GetHelmChartName()
	}
	if release.Status.HelmChart != "" && release.Status.HelmChart != wanted {
		if err := r.deleteHelmChart(ctx, release); err != nil {
			return err
		}
	}
	if template == nil {
		return nil
	}
	chart, err := helmChart(release)
	if err != nil {
		return err
	}
	err = r.Client.Apply(ctx, client.ApplyConfigurationFromUnstructured(chart),
		client.FieldOwner(fieldManager), client.ForceOwnership)
	if err != nil {
		return err
	}
	release.Status.HelmChart = wanted
	return nil
}

// deleteHelmChart deletes the HelmChart that the status names.
func (r *Reconciler) deleteHelmChart(ctx context.Context, release *helmv2.HelmRelease) error {
	namespace, name := release.Status.GetHelmChart()
	if name == "" {
		return nil
	}
	chart := &sourcev1.HelmChart{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}}
	if err := r.Client.Delete(ctx, chart); client.IgnoreNotFound(err) != nil {
		return err
	}
	release.Status.HelmChart = ""
	return nil
}

// findSource returns the object that holds the chart of the release.
func (r *Reconciler) findSource(ctx context.Context, release *helmv2.HelmRelease) (source, error) {
	key := types.NamespacedName{Namespace: release.Namespace}
	var found source
	if reference := release.Spec.ChartRef; reference != nil {
		if reference.Namespace != "" {
			key.Namespace = reference.Namespace
		}
		key.Name = reference.Name
		switch reference.Kind {
		case sourcev1.OCIRepositoryKind:
			found = &sourcev1.OCIRepository{}
		case sourcev1.HelmChartKind:
			found = &sourcev1.HelmChart{}
		case sourcev1.ExternalArtifactKind:
			found = &sourcev1.ExternalArtifact{}
		default:
			return nil, fmt.Errorf("unsupported chartRef kind %q", reference.Kind)
		}
	} else {
		key.Namespace, key.Name = release.Status.GetHelmChart()
		found = &sourcev1.HelmChart{}
	}
	if err := r.Client.Get(ctx, key, found); err != nil {
		return nil, err
	}
	return found, nil
}

// sourceProblem says why the source cannot be used yet, or returns an empty text.
func sourceProblem(found source) string {
	kind := kindOf(found)
	name := fmt.Sprintf("%s '%s/%s'", kind, found.GetNamespace(), found.GetName())
	// The conditions of a source are those of its generation once it is observed.
	observed := observedGeneration(found)
	switch {
	case observed != found.GetGeneration():
		return name + " is not ready: latest generation of object has not been reconciled"
	case conditions.IsStalled(found):
		return fmt.Sprintf("%s is not ready: %s", name, conditions.GetMessage(found, meta.StalledCondition))
	case conditions.IsFalse(found, meta.ReadyCondition) && found.GetArtifact() == nil:
		return fmt.Sprintf("%s is not ready: %s", name, conditions.GetMessage(found, meta.ReadyCondition))
	case conditions.IsFalse(found, meta.ReadyCondition) && kind == sourcev1.HelmChartKind:
		return fmt.Sprintf("%s is not ready: %s", name, conditions.GetMessage(found, meta.ReadyCondition))
	case found.GetArtifact() == nil:
		return name + " is not ready: does not have an artifact"
	}
	return ""
}

func kindOf(found source) string {
	switch found.(type) {
	case *sourcev1.OCIRepository:
		return sourcev1.OCIRepositoryKind
	case *sourcev1.ExternalArtifact:
		return sourcev1.ExternalArtifactKind
	}
	return sourcev1.HelmChartKind
}

func observedGeneration(found source) int64 {
	switch object := found.(type) {
	case *sourcev1.OCIRepository:
		return object.Status.ObservedGeneration
	case *sourcev1.HelmChart:
		return object.Status.ObservedGeneration
	}
	// An ExternalArtifact has no observed generation.
	return found.GetGeneration()
}

// errNoArtifact says that the artifact's server does not have the file (yet).
var errNoArtifact = errors.New("artifact not found")

// loadChart downloads and reads the chart of an artifact, and verifies its digest.
func loadChart(ctx context.Context, artifact *meta.Artifact) (*chartv2.Chart, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, artifact.URL, nil)
	if err != nil {
		return nil, err
	}
	answer, err := download.Do(request)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	switch answer.StatusCode {
	case http.StatusOK:
	case http.StatusNotFound:
		return nil, errNoArtifact
	default:
		return nil, fmt.Errorf("%s answers %s", artifact.URL, answer.Status)
	}
	content, err := io.ReadAll(io.LimitReader(answer.Body, largestChart+1))
	if err != nil {
		return nil, err
	}
	if len(content) > largestChart {
		return nil, fmt.Errorf("%s is larger than %d bytes", artifact.URL, largestChart)
	}
	expected := digest.Digest(artifact.Digest)
	if err := expected.Validate(); err != nil {
		return nil, fmt.Errorf("digest of the artifact: %w", err)
	}
	if actual := expected.Algorithm().FromBytes(content); actual != expected {
		return nil, fmt.Errorf("%s has digest %s, its source says %s", artifact.URL, actual, expected)
	}
	chart, err := loader.LoadArchive(bytes.NewReader(content))
	if err != nil {
		return nil, err
	}
	return chart, chart.Validate()
}

// revisionOf completes the version of a chart from an OCIRepository with the
// beginning of the artifact's digest, and returns that digest.
func revisionOf(found source, chart *chartv2.Chart) string {
	if _, isOCI := found.(*sourcev1.OCIRepository); !isOCI {
		return ""
	}
	revision := found.GetArtifact().Revision
	if _, after, tagged := strings.Cut(revision, "@"); tagged {
		revision = after
	}
	_, hash, _ := strings.Cut(revision, ":")
	if len(hash) < shortDigest {
		return revision
	}
	separator := "+"
	if strings.Contains(chart.Metadata.Version, "+") {
		separator = "."
	}
	chart.Metadata.Version += separator + hash[:shortDigest]
	return revision
}

// prerequisites reads the chart of the release. What is missing is told by a
// condition; errWaiting means that nothing failed.
func (r *Reconciler) chartOf(ctx context.Context, release *helmv2.HelmRelease) (*chartv2.Chart, string, error) {
	if err := r.ensureHelmChart(ctx, release); err != nil {
		notReady(release, helmv2.ArtifactFailedReason, "could not reconcile HelmChart object: %s", err)
		return nil, "", err
	}
	found, err := r.findSource(ctx, release)
	if err != nil {
		notReady(release, helmv2.ArtifactFailedReason, "could not get Source object: %s", err)
		if apierrors.IsNotFound(err) && release.Spec.ChartRef == nil {
			return nil, "", errWaiting // the cache does not have it yet
		}
		return nil, "", err
	}
	if problem := sourceProblem(found); problem != "" {
		notReady(release, "SourceNotReady", "%s", problem)
		return nil, "", errWaiting
	}
	chart, err := loadChart(ctx, found.GetArtifact())
	if errors.Is(err, errNoArtifact) {
		notReady(release, "SourceNotReady", "Source not ready: artifact not found. Retrying in %s", r.RequeueDependency)
		return nil, "", errWaiting
	} else if err != nil {
		notReady(release, helmv2.ArtifactFailedReason, "could not load chart: %s", err)
		return nil, "", err
	}
	return chart, revisionOf(found, chart), nil
}

func helmChart(release *helmv2.HelmRelease) (*unstructuredObject, error) {
	template := release.Spec.Chart
	chart := &sourcev1.HelmChart{
		TypeMeta: metav1.TypeMeta{APIVersion: sourcev1.GroupVersion.String(), Kind: sourcev1.HelmChartKind},
		ObjectMeta: metav1.ObjectMeta{
			Name: release.GetHelmChartName(), Namespace: template.GetNamespace(release.Namespace),
			Labels: map[string]string{},
		},
		Spec: sourcev1.HelmChartSpec{
			Chart:   template.Spec.Chart,
			Version: template.Spec.Version,
			SourceRef: sourcev1.LocalHelmChartSourceReference{
				Kind: template.Spec.SourceRef.Kind, Name: template.Spec.SourceRef.Name,
			},
			Interval:                 template.GetInterval(release.Spec.Interval),
			ReconcileStrategy:        template.Spec.ReconcileStrategy,
			ValuesFiles:              template.Spec.ValuesFiles,
			IgnoreMissingValuesFiles: template.Spec.IgnoreMissingValuesFiles,
		},
	}
	if metadata := template.ObjectMeta; metadata != nil {
		for key, value := range metadata.Labels {
			chart.Labels[key] = value
		}
		chart.Annotations = metadata.Annotations
	}
	chart.Labels[nameLabel], chart.Labels[namespaceLabel] = release.Name, release.Namespace
	if verify := template.Spec.Verify; verify != nil {
		chart.Spec.Verify = &sourcev1.HelmChartVerification{Provider: verify.Provider, SecretRef: verify.SecretRef}
	}
	content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(chart)
	if err != nil {
		return nil, err
	}
	delete(content, "status")
	return &unstructuredObject{Object: content}, nil
}

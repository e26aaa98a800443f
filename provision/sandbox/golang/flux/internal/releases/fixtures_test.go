package releases

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"testing"
	"time"

	helmv2 "github.com/fluxcd/helm-controller/api/v2"
	"github.com/fluxcd/pkg/apis/meta"
	"github.com/fluxcd/pkg/runtime/conditions"
	sourcev1 "github.com/fluxcd/source-controller/api/v1"
	"helm.sh/helm/v4/pkg/action"
	"helm.sh/helm/v4/pkg/chart/common"
	chartv2 "helm.sh/helm/v4/pkg/chart/v2"
	"helm.sh/helm/v4/pkg/chart/v2/util"
	helmkube "helm.sh/helm/v4/pkg/kube"
	kubefake "helm.sh/helm/v4/pkg/kube/fake"
	"helm.sh/helm/v4/pkg/storage"
	"helm.sh/helm/v4/pkg/storage/driver"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/tools/record"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
)

// lab is a reconciler over a cluster in memory: Helm works with its own fake
// of a cluster, and keeps its releases in memory.
type lab struct {
	*testing.T
	*Reconciler
	client client.Client
	kube   *kubefake.FailingKubeClient
	memory *driver.Memory
	files  map[string][]byte
	url    string
}

type memoryCluster struct{ *lab }

func (m memoryCluster) Configure(_ *helmv2.HelmRelease, namespace string) (*action.Configuration, error) {
	m.memory.SetNamespace(namespace)
	config := action.NewConfiguration()
	config.Releases = storage.Init(m.memory)
	config.KubeClient = m.kube
	config.Capabilities = common.DefaultCapabilities.Copy()
	config.HookOutputFunc = func(_, _, _ string) io.Writer { return io.Discard }
	return config, nil
}

func (m memoryCluster) Client(*helmv2.HelmRelease) (client.Client, error) { return m.client, nil }

func (m memoryCluster) Waiting(context.Context, *helmv2.HelmRelease) ([]helmkube.WaitOption, error) {
	return nil, nil
}

func newLab(t *testing.T, objects ...client.Object) *lab {
	t.Helper()
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{clientgoscheme.AddToScheme, AddToScheme} {
		if err := add(scheme); err != nil {
			t.Fatal(err)
		}
	}
	made := &lab{T: t, memory: driver.NewMemory(), files: map[string][]byte{}, kube: &kubefake.FailingKubeClient{
		PrintingKubeClient: kubefake.PrintingKubeClient{Out: io.Discard, LogOutput: io.Discard},
	}}
	made.client = fake.NewClientBuilder().WithScheme(scheme).
		WithStatusSubresource(&helmv2.HelmRelease{}, &sourcev1.HelmChart{}, &sourcev1.OCIRepository{}).
		WithObjects(objects...).Build()
	server := httptest.NewServer(http.HandlerFunc(func(answer http.ResponseWriter, request *http.Request) {
		content, found := made.files[request.URL.Path]
		if !found {
			http.NotFound(answer, request)
			return
		}
		_, _ = answer.Write(content)
	}))
	t.Cleanup(server.Close)
	made.url = server.URL
	made.Reconciler = &Reconciler{
		Client: made.client, Reader: made.client, Events: record.NewFakeRecorder(100),
		Cluster: memoryCluster{made}, RequeueDependency: 30 * time.Second,
	}
	return made
}

const template = `apiVersion: v1
kind: ConfigMap
metadata:
  name: settings
data:
  color: {{ .Values.color | quote }}
`

// publish makes an archive of a chart and returns its artifact.
func (l *lab) publish(name, version string, more ...*common.File) *meta.Artifact {
	l.Helper()
	chart := &chartv2.Chart{
		Metadata:  &chartv2.Metadata{APIVersion: "v2", Name: name, Version: version, AppVersion: "7"},
		Templates: append([]*common.File{{Name: "templates/settings.yaml", Data: []byte(template)}}, more...),
		Values:    map[string]any{"color": "red"},
	}
	path, err := util.Save(chart, l.TempDir())
	if err != nil {
		l.Fatal(err)
	}
	content, err := os.ReadFile(path)
	if err != nil {
		l.Fatal(err)
	}
	at := fmt.Sprintf("/%s-%s.tgz", name, version)
	l.files[at] = content
	return &meta.Artifact{
		URL: l.url + at, Path: at, Revision: version, LastUpdateTime: metav1.Now(),
		Digest: fmt.Sprintf("sha256:%x", sha256.Sum256(content)),
	}
}

// chart gives the release's HelmChart that artifact, as source-controller does.
func (l *lab) chart(release string, artifact *meta.Artifact) {
	l.Helper()
	found := &sourcev1.HelmChart{}
	key := types.NamespacedName{Namespace: "flux-system", Name: "media-" + release}
	if err := l.client.Get(l.Context(), key, found); err != nil {
		l.Fatal(err)
	}
	found.Status.Artifact = artifact
	found.Status.ObservedGeneration = found.Generation
	conditions.MarkTrue(found, meta.ReadyCondition, "Succeeded", "pulled")
	if err := l.client.Status().Update(l.Context(), found); err != nil {
		l.Fatal(err)
	}
}

// reconcile reconciles the release and returns it as it is in the cluster then.
func (l *lab) reconcile(name string) (*helmv2.HelmRelease, ctrl.Result, error) {
	l.Helper()
	key := types.NamespacedName{Namespace: "media", Name: name}
	result, failed := l.Reconcile(l.Context(), ctrl.Request{NamespacedName: key})
	release := &helmv2.HelmRelease{}
	if err := l.client.Get(l.Context(), key, release); client.IgnoreNotFound(err) != nil {
		l.Fatal(err)
	}
	return release, result, failed
}

// installed reconciles until the chart is there and installed.
func (l *lab) installed(name string, artifact *meta.Artifact) *helmv2.HelmRelease {
	l.Helper()
	l.mustReconcile(name)
	l.chart(name, artifact)
	return l.mustReconcile(name)
}

func (l *lab) mustReconcile(name string) *helmv2.HelmRelease {
	l.Helper()
	release, _, err := l.reconcile(name)
	if err != nil {
		l.Fatal(err)
	}
	return release
}

// change updates the spec of a release, as a user does.
func (l *lab) change(name string, edit func(*helmv2.HelmRelease)) {
	l.Helper()
	release := &helmv2.HelmRelease{}
	if err := l.client.Get(l.Context(), types.NamespacedName{Namespace: "media", Name: name}, release); err != nil {
		l.Fatal(err)
	}
	edit(release)
	release.Generation++
	if err := l.client.Update(l.Context(), release); err != nil {
		l.Fatal(err)
	}
}

// wanted is a release of the chart "plex" of a HelmRepository.
func wanted(name string) *helmv2.HelmRelease {
	return &helmv2.HelmRelease{
		ObjectMeta: metav1.ObjectMeta{Namespace: "media", Name: name, Generation: 1},
		Spec: helmv2.HelmReleaseSpec{
			Interval: metav1.Duration{Duration: time.Hour},
			Chart: &helmv2.HelmChartTemplate{Spec: helmv2.HelmChartTemplateSpec{
				Chart: "plex", Version: "1.x",
				SourceRef: helmv2.CrossNamespaceObjectReference{
					Kind: "HelmRepository", Name: "charts", Namespace: "flux-system",
				},
			}},
		},
		Status: helmv2.HelmReleaseStatus{ObservedGeneration: -1},
	}
}

func (l *lab) condition(release *helmv2.HelmRelease, kind string, status metav1.ConditionStatus, reason, message string) {
	l.Helper()
	found := conditions.Get(release, kind)
	if found == nil || found.Status != status || found.Reason != reason || message != "" && found.Message != message {
		l.Fatalf("%s is %+v, expected %s %s %q", kind, found, status, reason, message)
	}
}

package releases

import (
	"context"
	"fmt"
	"io"
	"log/slog"

	"github.com/fluxcd/cli-utils/pkg/kstatus/polling/engine"
	helmv2 "github.com/fluxcd/helm-controller/api/v2"
	"github.com/fluxcd/pkg/runtime/cel"
	"github.com/fluxcd/pkg/runtime/statusreaders"
	"helm.sh/helm/v4/pkg/action"
	helmkube "helm.sh/helm/v4/pkg/kube"
	"helm.sh/helm/v4/pkg/storage"
	"helm.sh/helm/v4/pkg/storage/driver"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/discovery/cached/memory"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/restmapper"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// Cluster gives Helm its configuration for a release.
type Cluster interface {
	// Configure returns what Helm's actions work with: the client for the
	// namespace of the release, and the storage in the storage namespace.
	Configure(release *helmv2.HelmRelease, storageNamespace string) (*action.Configuration, error)
	// Client returns the client that acts as the release does.
	Client(release *helmv2.HelmRelease) (client.Client, error)
	// Waiting returns how Helm waits for resources of the release.
	Waiting(ctx context.Context, release *helmv2.HelmRelease) ([]helmkube.WaitOption, error)
}

// NewCluster returns the cluster that config reaches. Helm's fields belong to
// manager.
func NewCluster(config *rest.Config, manager string) Cluster {
	helmkube.ManagedFieldsManager = manager
	return &cluster{config: config}
}

type cluster struct{ config *rest.Config }

// configFor impersonates the service account of the release, if it names one.
func (c *cluster) configFor(release *helmv2.HelmRelease) *rest.Config {
	config := rest.CopyConfig(c.config)
	if account := release.Spec.ServiceAccountName; account != "" {
		config.Impersonate.UserName = fmt.Sprintf("system:serviceaccount:%s:%s", release.Namespace, account)
	}
	return config
}

func (c *cluster) Configure(release *helmv2.HelmRelease, storageNamespace string) (*action.Configuration, error) {
	getter, err := newGetter(c.configFor(release), release.GetReleaseNamespace())
	if err != nil {
		return nil, err
	}
	clients, err := kubernetes.NewForConfig(getter.config)
	if err != nil {
		return nil, err
	}
	quiet := slog.DiscardHandler
	result := action.NewConfiguration(action.ConfigurationSetLogger(quiet))
	kube := helmkube.New(getter)
	kube.Namespace = release.GetReleaseNamespace()
	kube.SetLogger(quiet)
	secrets := driver.NewSecrets(clients.CoreV1().Secrets(storageNamespace))
	secrets.SetLogger(quiet)
	result.RESTClientGetter = getter
	result.KubeClient = kube
	result.Releases = storage.Init(secrets)
	result.Releases.MaxHistory = release.GetMaxHistory()
	result.HookOutputFunc = func(_, _, _ string) io.Writer { return io.Discard }
	return result, nil
}

func (c *cluster) Client(release *helmv2.HelmRelease) (client.Client, error) {
	return client.New(c.configFor(release), client.Options{})
}

func (c *cluster) Waiting(ctx context.Context, release *helmv2.HelmRelease) ([]helmkube.WaitOption, error) {
	getter, err := newGetter(c.configFor(release), release.GetReleaseNamespace())
	if err != nil {
		return nil, err
	}
	options := []helmkube.WaitOption{helmkube.WithWaitContext(ctx)}
	readers := []func(meta.RESTMapper) engine.StatusReader{statusreaders.NewCustomJobStatusReader}
	if checks := release.Spec.HealthCheckExprs; len(checks) > 0 {
		custom, err := cel.NewStatusReader(checks)
		if err != nil {
			return nil, &terminalError{reason: "InvalidCELExpression", message: err.Error()}
		}
		readers = append(readers, custom)
	}
	made := make([]engine.StatusReader, 0, len(readers))
	for _, read := range readers {
		made = append(made, read(getter.mapper))
	}
	return append(options, helmkube.WithKStatusReaders(made...)), nil
}

// getter gives Helm the connection to the cluster. Discovery is kept in memory
// for the life of one action.
type getter struct {
	config    *rest.Config
	namespace string
	discovery discovery.CachedDiscoveryInterface
	mapper    *restmapper.DeferredDiscoveryRESTMapper
}

func newGetter(config *rest.Config, namespace string) (*getter, error) {
	plain, err := discovery.NewDiscoveryClientForConfig(config)
	if err != nil {
		return nil, err
	}
	cached := memory.NewMemCacheClient(plain)
	return &getter{
		config: config, namespace: namespace, discovery: cached,
		mapper: restmapper.NewDeferredDiscoveryRESTMapper(cached),
	}, nil
}

func (g *getter) ToRESTConfig() (*rest.Config, error) { return rest.CopyConfig(g.config), nil }

func (g *getter) ToDiscoveryClient() (discovery.CachedDiscoveryInterface, error) {
	return g.discovery, nil
}

func (g *getter) ToRESTMapper() (meta.RESTMapper, error) { return g.mapper, nil }

func (g *getter) ToRawKubeConfigLoader() clientcmd.ClientConfig {
	overrides := &clientcmd.ConfigOverrides{}
	overrides.Context.Namespace = g.namespace
	return clientcmd.NewDefaultClientConfig(*clientcmdapi.NewConfig(), overrides)
}

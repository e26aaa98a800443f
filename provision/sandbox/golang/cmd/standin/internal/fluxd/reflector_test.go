package fluxd

import (
	"errors"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	registryclient "github.com/google/go-containerregistry/pkg/v1/remote"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
)

var imageVersion = schema.GroupVersion{Group: imageGroup, Version: "v1"}

// served starts a registry and returns its address.
func served(t *testing.T, login string) string {
	t.Helper()
	handler := registry.New(registry.Logger(log.New(io.Discard, "", 0)))
	server := httptest.NewServer(http.HandlerFunc(func(out http.ResponseWriter, request *http.Request) {
		if user, password, _ := request.BasicAuth(); login != "" && user+":"+password != login {
			out.Header().Set("WWW-Authenticate", `Basic realm="registry"`)
			out.WriteHeader(http.StatusUnauthorized)
			return
		}
		handler.ServeHTTP(out, request)
	}))
	t.Cleanup(server.Close)
	return strings.TrimPrefix(server.URL, "http://")
}

func pushed(t *testing.T, image string, tags ...string) {
	t.Helper()
	for _, tag := range tags {
		reference, err := name.ParseReference(image + ":" + tag)
		if err == nil {
			err = registryclient.Write(reference, empty.Image)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

func imageRepositoryOf(image string, spec map[string]any) *unstructured.Unstructured {
	all := map[string]any{"image": image, "interval": "1m"}
	for key, value := range spec {
		all[key] = value
	}
	return objectOf(map[string]any{
		"apiVersion": imageVersion.String(), "kind": "ImageRepository",
		"metadata": map[string]any{"name": "web", "namespace": "apps"}, "spec": all,
	})
}

// clusterOf is a cluster with these objects and the kinds of images.
func clusterOf(t *testing.T, objects ...client.Object) (client.Client, meta.RESTMapper) {
	t.Helper()
	scheme := runtime.NewScheme()
	if err := corev1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	mapper := meta.NewDefaultRESTMapper([]schema.GroupVersion{imageVersion})
	for _, kind := range []string{"ImageRepository", "ImagePolicy", "ImageUpdateAutomation"} {
		mapper.Add(imageVersion.WithKind(kind), meta.RESTScopeNamespace)
		scheme.AddKnownTypeWithName(imageVersion.WithKind(kind), &unstructured.Unstructured{})
		scheme.AddKnownTypeWithName(imageVersion.WithKind(kind+"List"), &unstructured.UnstructuredList{})
	}
	return fake.NewClientBuilder().WithScheme(scheme).WithRESTMapper(mapper).WithObjects(objects...).Build(), mapper
}

func failed(t *testing.T, err error, reason, words string) {
	t.Helper()
	var known *failure
	if !errors.As(err, &known) || known.reason != reason || !strings.Contains(known.message, words) {
		t.Errorf("%v, not %s: %s", err, reason, words)
	}
}

func TestAScanFindsTheTagsOfTheRegistry(t *testing.T) {
	image := served(t, "") + "/acme/web"
	pushed(t, image, "1.0.0", "1.1.0", "sha256-0.sig")
	found := &scans{}
	subject := imageRepositoryOf(image, nil)
	result, err := imageRepository{found: found}.act(t.Context(), subject)
	if err != nil || result.status != metav1.ConditionTrue || result.message != "successful scan: found 2 tags" {
		t.Fatalf("%+v, %v", result, err)
	}
	if count, _, _ := unstructured.NestedInt64(subject.Object, "status", "lastScanResult", "tagCount"); count != 2 {
		t.Errorf("%d tags", count)
	}
	if got := text(subject, "status", "canonicalImageName"); got != image {
		t.Error(got)
	}
	if got := found.get(image); len(got) != 2 || got[0] != "1.1.0" {
		t.Errorf("%q", got)
	}
}

func TestWithoutARegistryAScanFails(t *testing.T) {
	address := served(t, "")
	server := httptest.NewServer(http.NotFoundHandler())
	gone := strings.TrimPrefix(server.URL, "http://")
	server.Close()
	for image, words := range map[string]string{
		gone + "/acme/web":    "connection refused",
		address + "/acme/web": "NAME_UNKNOWN",
	} {
		_, err := imageRepository{found: &scans{}}.act(t.Context(), imageRepositoryOf(image, nil))
		failed(t, err, "ReadOperationFailed", words)
	}
}

func TestAnImageThatIsNoneStalls(t *testing.T) {
	for image, words := range map[string]string{
		"https://ghcr.io/acme/web": "remove 'https://'",
		"ghcr.io/acme/web:1.0":     "remove ':1.0'",
		"ghcr.io/ACME/web":         "could not parse reference",
	} {
		result, err := imageRepository{found: &scans{}}.act(t.Context(), imageRepositoryOf(image, nil))
		if err != nil || result.reason != "ImageURLInvalid" || !strings.Contains(result.message, words) ||
			len(result.also) != 1 || result.also[0].Type != stalledCondition {
			t.Errorf("%s: %+v, %v", image, result, err)
		}
	}
}

func TestARegistryIsAskedWithTheSecretsLogin(t *testing.T) {
	address := served(t, "flux:right")
	secret := func(content string) *corev1.Secret {
		return &corev1.Secret{
			ObjectMeta: metav1.ObjectMeta{Namespace: "apps", Name: "login"},
			Data:       map[string][]byte{corev1.DockerConfigJsonKey: []byte(content)},
		}
	}
	ref := map[string]any{"secretRef": map[string]any{"name": "login"}}
	for content, want := range map[string]struct{ reason, words string }{
		`{"auths": {"` + address + `": {"username": "flux", "password": "right"}}}`: {"ReadOperationFailed", "NAME_UNKNOWN"},
		`{"auths": {"` + address + `": {"username": "flux", "password": "wrong"}}}`: {"ReadOperationFailed", "401"},
		`{"auths": {"ghcr.io": {"username": "flux", "password": "right"}}}`:         {"AuthenticationFailed", "not found in secret apps/login"},
		`{"auths": canary`: {"AuthenticationFailed", "holds no valid .dockerconfigjson"},
	} {
		reader, _ := clusterOf(t, secret(content))
		_, err := imageRepository{reader: reader, found: &scans{}}.act(
			t.Context(), imageRepositoryOf(address+"/acme/web", ref))
		failed(t, err, want.reason, want.words)
		if strings.Contains(err.Error(), "canary") || strings.Contains(err.Error(), "wrong") {
			t.Errorf("the Secret is quoted: %v", err)
		}
	}
}

func TestWhatTheStandInDoesNotKnowItRefuses(t *testing.T) {
	for _, spec := range []map[string]any{
		{"provider": "aws"}, {"certSecretRef": map[string]any{"name": "x"}}, {"serviceAccountName": "x"},
	} {
		_, err := imageRepository{found: &scans{}}.act(t.Context(), imageRepositoryOf("ghcr.io/acme/web", spec))
		failed(t, err, "AuthenticationFailed", "the elysium sandbox knows no")
	}
}

func TestAPolicyWaitsForTheScanAndElectsTheLatest(t *testing.T) {
	image := served(t, "") + "/acme/web"
	repository := imageRepositoryOf(image, nil)
	reader, mapper := clusterOf(t, repository)
	found := &scans{}
	elects := imagePolicy{reader: reader, mapper: mapper, found: found}
	policy := objectOf(policyOf(map[string]any{
		"imageRepositoryRef": map[string]any{"name": "web"}, "policy": rule("semver", "range", "1.x"),
		"digestReflectionPolicy": "IfNotPresent",
	}))
	result, err := elects.act(t.Context(), policy)
	if err != nil || result.reason != "DependencyNotReady" || result.status != metav1.ConditionFalse {
		t.Fatalf("%+v, %v", result, err)
	}
	pushed(t, image, "1.0.0", "2.0.0")
	found.set(image, []string{"2.0.0", "1.0.0"})
	result, err = elects.act(t.Context(), policy)
	if err != nil || result.message != "Latest image tag for "+image+" resolved to 1.0.0" {
		t.Fatalf("%+v, %v", result, err)
	}
	if got := text(policy, "status", "latestRef", "digest"); !strings.HasPrefix(got, "sha256:") {
		t.Errorf("digest %q", got)
	}
	pushed(t, image, "1.1.0")
	found.set(image, []string{"2.0.0", "1.1.0", "1.0.0"})
	if _, err = elects.act(t.Context(), policy); err != nil {
		t.Fatal(err)
	}
	if now, before := text(policy, "status", "latestRef", "tag"), text(policy, "status", "observedPreviousRef", "tag"); now != "1.1.0" || before != "1.0.0" {
		t.Errorf("%s after %s", now, before)
	}
	set(policy, "3.x", "spec", "policy", "semver", "range")
	_, err = elects.act(t.Context(), policy)
	failed(t, err, metav1.StatusFailure, "unable to determine latest version")
	set(policy, "other", "spec", "imageRepositoryRef", "name")
	_, err = elects.act(t.Context(), policy)
	failed(t, err, "DependencyNotReady", "referenced ImageRepository does not exist")
}

func TestAnAutomationHeedsTheSelectedPoliciesThatElected(t *testing.T) {
	made := func(name, tier, tag string) *unstructured.Unstructured {
		policy := objectOf(policyOf(map[string]any{}))
		policy.SetName(name)
		policy.SetLabels(map[string]string{"tier": tier})
		if tag != "" {
			set(policy, map[string]any{"name": "acme/" + name, "tag": tag}, "status", "latestRef")
		}
		return policy
	}
	reader, mapper := clusterOf(t, made("web", "front", "1.0"), made("api", "back", "2.0"), made("new", "front", ""))
	subject := &imageAutomation{reader: reader, mapper: mapper}
	automation := objectOf(map[string]any{"metadata": map[string]any{"name": "a", "namespace": "apps"}})
	images, err := subject.policies(t.Context(), automation)
	if err != nil || len(images) != 2 || images["apps:web"].tag != "1.0" {
		t.Errorf("%+v, %v", images, err)
	}
	set(automation, map[string]any{"matchLabels": map[string]any{"tier": "back"}}, "spec", "policySelector")
	images, err = subject.policies(t.Context(), automation)
	if err != nil || len(images) != 1 || images["apps:api"].name != "acme/api" {
		t.Errorf("%+v, %v", images, err)
	}
}

package fluxd

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	registryclient "github.com/google/go-containerregistry/pkg/v1/remote"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

const (
	imageGroup       = "image.toolkit.fluxcd.io"
	stalledCondition = "Stalled"
	// sampleTags is how many tags a scan's result names.
	sampleTags = 10
)

// scans are the tags found, by the canonical name of the image. As with Flux,
// they are not in the cluster.
type scans struct {
	mutex sync.Mutex
	tags  map[string][]string
}

func (s *scans) set(image string, tags []string) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	if s.tags == nil {
		s.tags = map[string][]string{}
	}
	s.tags[image] = tags
}

func (s *scans) get(image string) []string {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	return s.tags[image]
}

// imageRepository asks a registry for the tags of an image.
type imageRepository struct {
	reader client.Reader
	found  *scans
}

func (r imageRepository) act(ctx context.Context, object *unstructured.Unstructured) (outcome, error) {
	reference, err := imageOf(object)
	if err != nil {
		return stalled("ImageURLInvalid", err), nil
	}
	options, err := accessTo(ctx, r.reader, object, reference)
	if err != nil {
		return outcome{}, &failure{
			reason: "AuthenticationFailed", message: "failed to configure authentication options: " + err.Error(),
		}
	}
	interval := duration(object, time.Minute, "spec", "interval")
	ctx, cancel := context.WithTimeout(ctx, max(time.Second, duration(object, interval, "spec", "timeout")))
	defer cancel()
	tags, err := registryclient.List(reference.Context(), append(options, registryclient.WithContext(ctx))...)
	patterns, given, _ := unstructured.NestedStringSlice(object.Object, "spec", "exclusionList")
	if !given {
		patterns = []string{`^.*\.sig$`}
	}
	if err == nil {
		tags, err = excluded(tags, patterns)
	}
	if err != nil {
		return outcome{}, &failure{reason: "ReadOperationFailed", message: "scan failed: " + err.Error()}
	}
	slices.Sort(tags)
	slices.Reverse(tags)
	image := reference.Context().String()
	r.found.set(image, tags)
	set(object, image, "status", "canonicalImageName")
	set(object, anyOf(patterns), "status", "observedExclusionList")
	set(object, map[string]any{
		"revision":   fmt.Sprintf("sha256:%x", sha256.Sum256([]byte(strings.Join(tags, "\n")))),
		"tagCount":   int64(len(tags)),
		"scanTime":   time.Now().UTC().Format(time.RFC3339),
		"latestTags": anyOf(tags[:min(len(tags), sampleTags)]),
	}, "status", "lastScanResult")
	result := succeeded("Succeeded", "successful scan: found %d tags", len(tags))
	result.removed = []string{stalledCondition}
	return result, nil
}

// imageOf reads the image of an ImageRepository, which has neither scheme nor tag.
func imageOf(repository *unstructured.Unstructured) (name.Reference, error) {
	image := text(repository, "spec", "image")
	if scheme, _, found := strings.Cut(image, "://"); found {
		return nil, fmt.Errorf(".spec.image value should not start with URL scheme; remove '%s://'", scheme)
	}
	var options []name.Option
	if insecure, _, _ := unstructured.NestedBool(repository.Object, "spec", "insecure"); insecure {
		options = append(options, name.Insecure)
	}
	reference, err := name.ParseReference(image, options...)
	if err != nil {
		return nil, err
	}
	path := strings.TrimPrefix(image, reference.Context().RegistryStr())
	if _, tag, found := strings.Cut(path, ":"); found {
		return nil, fmt.Errorf(".spec.image value should not contain a tag; remove ':%s'", tag)
	}
	return reference, nil
}

// accessTo reads the credentials of an ImageRepository. What the stand-in does
// not know it refuses.
func accessTo(
	ctx context.Context, reader client.Reader, repository *unstructured.Unstructured, reference name.Reference,
) ([]registryclient.Option, error) {
	if provider := text(repository, "spec", "provider"); provider != "" && provider != "generic" {
		return nil, fmt.Errorf("the elysium sandbox knows no provider %q", provider)
	}
	for _, field := range []string{"certSecretRef", "proxySecretRef", "serviceAccountName"} {
		if _, given, _ := unstructured.NestedFieldNoCopy(repository.Object, "spec", field); given {
			return nil, fmt.Errorf("the elysium sandbox knows no .spec.%s", field)
		}
	}
	secretName := text(repository, "spec", "secretRef", "name")
	if secretName == "" {
		return nil, nil
	}
	secret := &corev1.Secret{}
	if err := reader.Get(ctx, client.ObjectKey{Namespace: repository.GetNamespace(), Name: secretName}, secret); err != nil {
		return nil, err
	}
	registry := reference.Context().RegistryStr()
	var config struct {
		Auths map[string]authn.AuthConfig `json:"auths"`
	}
	if err := json.Unmarshal(secret.Data[corev1.DockerConfigJsonKey], &config); err != nil {
		// The parser's own words may quote what is in the Secret.
		return nil, fmt.Errorf("Secret %s/%s holds no valid %s", secret.Namespace, secret.Name, corev1.DockerConfigJsonKey)
	}
	for server, login := range config.Auths {
		if strings.TrimSuffix(strings.TrimPrefix(server, "https://"), "/") == registry {
			return []registryclient.Option{registryclient.WithAuth(authn.FromConfig(login))}, nil
		}
	}
	return nil, fmt.Errorf("auth for %q not found in secret %s/%s", registry, secret.Namespace, secret.Name)
}

// imagePolicy elects the latest of the tags that were found.
type imagePolicy struct {
	reader client.Reader
	mapper meta.RESTMapper
	found  *scans
}

func (p imagePolicy) act(ctx context.Context, policy *unstructured.Unstructured) (outcome, error) {
	repository, err := p.repository(ctx, policy)
	if err != nil {
		return outcome{}, err
	}
	reference, err := imageOf(repository)
	if err != nil {
		return stalled("ImageURLInvalid", err), nil
	}
	tags := p.found.get(reference.Context().String())
	if len(tags) == 0 {
		return outcome{
			status: metav1.ConditionFalse, reason: "DependencyNotReady", message: "no tags in database",
		}, nil
	}
	tag, err := latestTag(policy, tags)
	if invalid := (invalidPolicy{}); errors.As(err, &invalid) {
		return stalled("InvalidPolicy", err), nil
	} else if err != nil {
		return outcome{}, &failure{reason: metav1.StatusFailure, message: err.Error()}
	}
	latest := map[string]any{"name": text(repository, "spec", "image"), "tag": tag}
	switch reflection := text(policy, "spec", "digestReflectionPolicy"); reflection {
	case "", "Never":
	case "Always", "IfNotPresent":
		before := text(policy, "status", "latestRef", "digest")
		same := text(policy, "status", "latestRef", "name") == latest["name"] &&
			text(policy, "status", "latestRef", "tag") == tag
		if reflection == "Always" || before == "" || !same {
			before, err = p.digest(ctx, repository, reference, tag)
			if err != nil {
				return outcome{}, &failure{reason: metav1.StatusFailure, message: err.Error()}
			}
		}
		latest["digest"] = before
	default:
		return stalled("InvalidPolicy", fmt.Errorf("the elysium sandbox knows no digestReflectionPolicy %q", reflection)), nil
	}
	if previous, had, _ := unstructured.NestedMap(policy.Object, "status", "latestRef"); had &&
		fmt.Sprint(previous) != fmt.Sprint(latest) {
		set(policy, previous, "status", "observedPreviousRef")
	}
	set(policy, latest, "status", "latestRef")
	result := succeeded("Succeeded", "Latest image tag for %s resolved to %s", latest["name"], tag)
	result.removed = []string{stalledCondition}
	return result, nil
}

// repository is the ImageRepository of a policy.
func (p imagePolicy) repository(
	ctx context.Context, policy *unstructured.Unstructured,
) (*unstructured.Unstructured, error) {
	version, err := versionOf(p.mapper, imageGroup, "ImageRepository")
	if err != nil {
		return nil, err
	}
	repository := &unstructured.Unstructured{}
	repository.SetGroupVersionKind(version)
	key := repositoryOf(policy)
	if key.Namespace != policy.GetNamespace() {
		return nil, &failure{
			reason:  "AccessDenied",
			message: "the elysium sandbox gives no access to an ImageRepository of another namespace: " + key.String(),
		}
	}
	err = p.reader.Get(ctx, key, repository)
	if apierrors.IsNotFound(err) {
		return nil, &failure{
			reason: "DependencyNotReady",
			message: "failed to get the referred ImageRepository: referenced ImageRepository does not exist: " +
				err.Error(),
		}
	}
	return repository, err
}

// repositoryOf is the name of the ImageRepository that a policy refers to.
func repositoryOf(policy *unstructured.Unstructured) client.ObjectKey {
	key := client.ObjectKey{
		Namespace: text(policy, "spec", "imageRepositoryRef", "namespace"),
		Name:      text(policy, "spec", "imageRepositoryRef", "name"),
	}
	if key.Namespace == "" {
		key.Namespace = policy.GetNamespace()
	}
	return key
}

func (p imagePolicy) digest(
	ctx context.Context, repository *unstructured.Unstructured, reference name.Reference, tag string,
) (string, error) {
	options, err := accessTo(ctx, p.reader, repository, reference)
	if err != nil {
		return "", fmt.Errorf("failed to configure authentication options: %w", err)
	}
	head, err := registryclient.Head(reference.Context().Tag(tag), append(options, registryclient.WithContext(ctx))...)
	if err != nil {
		return "", fmt.Errorf("failed fetching descriptor for %q: %w", reference.Context().Tag(tag), err)
	}
	return head.Digest.String(), nil
}

// stalled is the outcome of what no further try mends.
func stalled(reason string, err error) outcome {
	return outcome{
		status: metav1.ConditionFalse, reason: reason, message: err.Error(),
		also: []metav1.Condition{{
			Type: stalledCondition, Status: metav1.ConditionTrue, Reason: reason, Message: err.Error(),
		}},
	}
}

// anyOf is a list as JSON has it.
func anyOf(words []string) []any {
	result := make([]any, len(words))
	for i, word := range words {
		result[i] = word
	}
	return result
}

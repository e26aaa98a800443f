package fluxd

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/go-git/go-git/v5"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

const (
	storageCondition = "ArtifactInStorage"
	fetchCondition   = "FetchFailed"
)

// gitSource fetches GitRepositories and serves them as artifacts.
type gitSource struct {
	reader client.Reader
	work   string
	store  store
}

func (s *gitSource) act(ctx context.Context, object *unstructured.Unstructured) (outcome, error) {
	timeout := duration(object, time.Minute, "spec", "timeout")
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	origin, err := openRemote(ctx, s.reader, object, s.work, timeout)
	if err != nil {
		return outcome{}, fetchFailed(err)
	}
	if origin.ref, err = referenceOf(object, "spec", "ref"); err != nil {
		return outcome{}, fetchFailed(err)
	}
	head, err := origin.head(ctx)
	if err != nil {
		return outcome{}, fetchFailed(checkoutFailed(err))
	}
	if !s.current(object, origin.ref.revision(head)) {
		if err := s.fetch(ctx, object, origin); err != nil {
			return outcome{}, fetchFailed(checkoutFailed(err))
		}
	}
	message := fmt.Sprintf("stored artifact for revision '%s'", text(object, "status", "artifact", "revision"))
	result := succeeded("Succeeded", "%s", message)
	result.also = []metav1.Condition{{
		Type: storageCondition, Status: metav1.ConditionTrue, Reason: "Succeeded", Message: message,
	}}
	result.removed = []string{fetchCondition}
	return result, nil
}

// current says whether the artifact of that revision is there, made by the
// rules in force.
func (s *gitSource) current(object *unstructured.Unstructured, revision string) bool {
	observed, _, _ := unstructured.NestedInt64(object.Object, "status", "observedGeneration")
	return observed == object.GetGeneration() &&
		text(object, "status", "artifact", "revision") == revision &&
		s.store.has(text(object, "status", "artifact", "path"))
}

// fetch clones the repository and stores what is to be served of it.
func (s *gitSource) fetch(ctx context.Context, object *unstructured.Unstructured, origin remote) error {
	folder, repository, err := origin.clone(ctx, s.work, 1)
	if err != nil {
		return err
	}
	defer os.RemoveAll(folder)
	head, err := headOf(repository)
	if err != nil {
		return err
	}
	stored, err := s.store.put(object, folder, head, text(object, "spec", "ignore"))
	if err != nil {
		return err
	}
	set(object, map[string]any{
		"path":           stored.path,
		"url":            "http://" + s.store.address + "/" + stored.path,
		"revision":       origin.ref.revision(head),
		"digest":         stored.digest,
		"size":           stored.size,
		"lastUpdateTime": time.Now().UTC().Format(time.RFC3339),
	}, "status", "artifact")
	return nil
}

func headOf(repository *git.Repository) (hash [20]byte, err error) {
	head, err := repository.Head()
	if err != nil {
		return hash, err
	}
	return head.Hash(), nil
}

// checkoutFailed is how Flux reports a failed Git operation.
func checkoutFailed(err error) error {
	return &failure{
		reason:  "GitOperationFailed",
		message: "failed to checkout and determine revision: " + remoteWords(err),
	}
}

// fetchFailed adds the condition that says that the source is not fetched.
func fetchFailed(err error) error {
	if known, ok := err.(*failure); ok {
		known.also = append(known.also, metav1.Condition{
			Type: fetchCondition, Status: metav1.ConditionTrue, Reason: known.reason, Message: known.message,
		})
	}
	return err
}

package fluxd

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"text/template"
	"time"

	"github.com/go-git/go-git/v5"
	gitconfig "github.com/go-git/go-git/v5/config"
	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/object"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// pushTries is how often a run starts over when someone else pushed meanwhile.
const pushTries = 3

// imageAutomation commits new tags to the marked lines of a repository and
// pushes them with the repository's own credentials.
type imageAutomation struct {
	reader client.Reader
	mapper meta.RESTMapper
	work   string
}

func (a *imageAutomation) act(ctx context.Context, automation *unstructured.Unstructured) (outcome, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	origin, err := a.origin(ctx, automation)
	if err != nil {
		return outcome{}, err
	}
	images, err := a.policies(ctx, automation)
	if err != nil {
		return outcome{}, err
	}
	for try := 1; ; try++ {
		done, err := a.run(ctx, automation, origin, images)
		if err == nil {
			set(automation, time.Now().UTC().Format(time.RFC3339), "status", "lastAutomationRunTime")
			return done, nil
		}
		if !errors.Is(err, git.ErrNonFastForwardUpdate) || try == pushTries {
			var known *failure
			if errors.As(err, &known) {
				return outcome{}, err
			}
			return outcome{}, &failure{reason: "GitOperationFailed", message: remoteWords(err)}
		}
	}
}

// origin is the repository an automation works on, at the branch it checks out.
func (a *imageAutomation) origin(ctx context.Context, automation *unstructured.Unstructured) (remote, error) {
	version, err := versionOf(a.mapper, "source.toolkit.fluxcd.io", "GitRepository")
	if err != nil {
		return remote{}, err
	}
	repository := &unstructured.Unstructured{}
	repository.SetGroupVersionKind(version)
	key := client.ObjectKey{
		Namespace: text(automation, "spec", "sourceRef", "namespace"),
		Name:      text(automation, "spec", "sourceRef", "name"),
	}
	if key.Namespace == "" {
		key.Namespace = automation.GetNamespace()
	}
	if err := a.reader.Get(ctx, key, repository); err != nil {
		return remote{}, &failure{reason: "SourceManagerNotReady", message: "failed to get source: " + err.Error()}
	}
	result, err := openRemote(ctx, a.reader, repository, a.work, time.Minute)
	if err != nil {
		return remote{}, err
	}
	result.ref, err = referenceOf(automation, "spec", "git", "checkout", "ref")
	if err == nil && text(automation, "spec", "git", "checkout", "ref", "branch") == "" {
		result.ref, err = referenceOf(repository, "spec", "ref")
	}
	return result, err
}

// policies are the images that the selected policies of the namespace elected,
// by namespace:name. A policy that has elected none is left out.
func (a *imageAutomation) policies(
	ctx context.Context, automation *unstructured.Unstructured,
) (map[string]latest, error) {
	selector, err := policySelector(automation)
	if err != nil {
		return nil, &failure{reason: "InvalidPolicySelector", message: "failed to parse policy selector: " + err.Error()}
	}
	version, err := versionOf(a.mapper, imageGroup, "ImagePolicy")
	if err != nil {
		return nil, err
	}
	list := &unstructured.UnstructuredList{}
	list.SetGroupVersionKind(version)
	err = a.reader.List(ctx, list, client.InNamespace(automation.GetNamespace()), client.MatchingLabelsSelector{Selector: selector})
	if err != nil {
		return nil, err
	}
	images := map[string]latest{}
	for i := range list.Items {
		policy := &list.Items[i]
		at := func(name string) string { return text(policy, "status", "latestRef", name) }
		if at("tag") != "" {
			images[policy.GetNamespace()+":"+policy.GetName()] = latest{at("name"), at("tag"), at("digest")}
		}
	}
	return images, nil
}

// policySelector is the selector of an automation; without one, everything.
func policySelector(automation *unstructured.Unstructured) (labels.Selector, error) {
	given, found, _ := unstructured.NestedMap(automation.Object, "spec", "policySelector")
	if !found {
		return labels.Everything(), nil
	}
	selector := &metav1.LabelSelector{}
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(given, selector); err != nil {
		return nil, err
	}
	return metav1.LabelSelectorAsSelector(selector)
}

// run is one checkout, update, commit and push.
func (a *imageAutomation) run(
	ctx context.Context, automation *unstructured.Unstructured, origin remote, images map[string]latest,
) (outcome, error) {
	folder, repository, err := origin.clone(ctx, a.work)
	if err != nil {
		return outcome{}, err
	}
	defer os.RemoveAll(folder)
	head, err := repository.Head()
	if err != nil {
		return outcome{}, err
	}
	set(automation, origin.ref.revision(head.Hash()), "status", "observedSourceRevision")
	changes, err := updateFiles(safeJoin(folder, text(automation, "spec", "update", "path")), folder, images)
	if err != nil {
		return outcome{}, err
	}
	if len(changes) == 0 {
		return succeeded("Succeeded", "repository up-to-date"), nil
	}
	message, err := commitMessage(automation, changes)
	if err != nil {
		return outcome{}, &failure{reason: "InvalidUpdateStrategy", message: err.Error()}
	}
	commit, err := commitAll(repository, automation, message, changes)
	if err != nil {
		return outcome{}, err
	}
	branch := text(automation, "spec", "git", "push", "branch")
	if branch == "" {
		branch = origin.ref.branch
	}
	_, err = within(ctx, func() (struct{}, error) {
		target := gitconfig.RefSpec(head.Name().String() + ":" + plumbing.NewBranchReferenceName(branch).String())
		return struct{}{}, repository.PushContext(ctx, &git.PushOptions{
			Auth: origin.auth, RefSpecs: []gitconfig.RefSpec{target},
		})
	})
	if err != nil && !errors.Is(err, git.NoErrAlreadyUpToDate) {
		return outcome{}, fmt.Errorf("failed to push to remote: %w", err)
	}
	set(automation, commit.String(), "status", "lastPushCommit")
	set(automation, time.Now().UTC().Format(time.RFC3339), "status", "lastPushTime")
	return succeeded("Succeeded", "pushed commit '%.7s' to branch '%s'\n%s", commit, branch, message), nil
}

// commitAll commits the changed files as the automation's author.
func commitAll(
	repository *git.Repository, automation *unstructured.Unstructured, message string, changes []change,
) (plumbing.Hash, error) {
	tree, err := repository.Worktree()
	if err != nil {
		return plumbing.ZeroHash, err
	}
	for _, one := range changes {
		if _, err := tree.Add(one.File); err != nil {
			return plumbing.ZeroHash, err
		}
	}
	author := &object.Signature{
		Name:  text(automation, "spec", "git", "commit", "author", "name"),
		Email: text(automation, "spec", "git", "commit", "author", "email"),
		When:  time.Now(),
	}
	return tree.Commit(message, &git.CommitOptions{Author: author})
}

// commitMessage fills the automation's template with the part of Flux' data
// that there is here.
func commitMessage(automation *unstructured.Unstructured, changes []change) (string, error) {
	source := text(automation, "spec", "git", "commit", "messageTemplate")
	if source == "" {
		return "Update from image update automation", nil
	}
	parsed, err := template.New("message").Parse(source)
	if err != nil {
		return "", err
	}
	var images []string
	for _, one := range changes {
		images = append(images, one.NewValue)
	}
	object := map[string]string{"Name": automation.GetName(), "Namespace": automation.GetNamespace()}
	none := map[string]any{}
	var message strings.Builder
	err = parsed.Execute(&message, map[string]any{
		"AutomationObject": object,
		"Changed":          map[string]any{"Changes": changes, "Objects": none, "FileChanges": none},
		"Updated":          map[string]any{"Images": images, "Objects": none, "Files": none},
		"Values":           none,
	})
	return strings.TrimSpace(message.String()), err
}

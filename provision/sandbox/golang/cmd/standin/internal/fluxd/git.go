package fluxd

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/go-git/go-git/v5"
	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/transport"
	githttp "github.com/go-git/go-git/v5/plumbing/transport/http"
	gitssh "github.com/go-git/go-git/v5/plumbing/transport/ssh"
	"github.com/skeema/knownhosts"
	"golang.org/x/crypto/ssh"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// remote is a repository and the right to use it.
type remote struct {
	url  string
	auth transport.AuthMethod
	ref  reference
}

// reference is what of a repository is wanted; the most specific one counts.
type reference struct {
	branch, tag, name, commit string
}

// referenceOf reads a reference at a path of an object.
func referenceOf(object *unstructured.Unstructured, path ...string) (reference, error) {
	at := func(name string) string { return text(object, append(append([]string{}, path...), name)...) }
	if at("semver") != "" {
		return reference{}, &failure{reason: "InvalidReference", message: "the elysium sandbox knows no semver references"}
	}
	result := reference{branch: at("branch"), tag: at("tag"), name: at("name"), commit: at("commit")}
	if result.branch == "" {
		result.branch = "master" // the default of the GitRepository's API
	}
	return result, nil
}

// full is the reference's full name.
func (r reference) full() plumbing.ReferenceName {
	switch {
	case r.name != "":
		return plumbing.ReferenceName(r.name)
	case r.tag != "":
		return plumbing.NewTagReferenceName(r.tag)
	}
	return plumbing.NewBranchReferenceName(r.branch)
}

// revision is how Flux writes a commit of this reference.
func (r reference) revision(hash plumbing.Hash) string {
	switch {
	case r.name != "":
		return fmt.Sprintf("%s@sha1:%s", r.name, hash)
	case r.commit != "" && r.branch == "master":
		return fmt.Sprintf("sha1:%s", hash)
	case r.tag != "":
		return fmt.Sprintf("%s@sha1:%s", r.tag, hash)
	}
	return fmt.Sprintf("%s@sha1:%s", r.branch, hash)
}

// openRemote finds the address and credentials of a GitRepository. Folder is
// for a file of known hosts, which is read and removed.
func openRemote(
	ctx context.Context, reader client.Reader, repository *unstructured.Unstructured, folder string, timeout time.Duration,
) (remote, error) {
	result := remote{url: text(repository, "spec", "url")}
	name := text(repository, "spec", "secretRef", "name")
	if name == "" {
		return result, nil
	}
	secret := &corev1.Secret{}
	key := client.ObjectKey{Namespace: repository.GetNamespace(), Name: name}
	err := reader.Get(ctx, key, secret)
	if err == nil {
		result.auth, err = credentials(result.url, secret.Data, folder, timeout)
	}
	if err != nil {
		return result, &failure{
			reason:  "AuthenticationFailed",
			message: fmt.Sprintf("failed to get secret '%s/%s': %v", key.Namespace, key.Name, err),
		}
	}
	return result, nil
}

// credentials are those of a Flux Secret for url.
func credentials(url string, data map[string][]byte, folder string, timeout time.Duration) (transport.AuthMethod, error) {
	endpoint, err := transport.NewEndpoint(url)
	if err != nil {
		return nil, err
	}
	if endpoint.Protocol != "ssh" {
		if token := data["bearerToken"]; len(token) > 0 {
			return &githttp.TokenAuth{Token: string(token)}, nil
		}
		return &githttp.BasicAuth{Username: string(data["username"]), Password: string(data["password"])}, nil
	}
	for _, field := range []string{"identity", "known_hosts"} {
		if len(data[field]) == 0 {
			return nil, fmt.Errorf("invalid '%s' auth option: '%s' is required", endpoint.Protocol, field)
		}
	}
	signer, err := ssh.ParsePrivateKey(data["identity"])
	// As with Flux, a password beside a key that is not encrypted is not looked at.
	if locked := (*ssh.PassphraseMissingError)(nil); errors.As(err, &locked) && len(data["password"]) > 0 {
		signer, err = ssh.ParsePrivateKeyWithPassphrase(data["identity"], data["password"])
	}
	if err != nil {
		return nil, err
	}
	hosts, err := parseKnownHosts(data["known_hosts"], folder)
	if err != nil {
		return nil, err
	}
	address := fmt.Sprintf("%s:%d", endpoint.Host, endpoint.Port)
	if endpoint.Port == 0 {
		address = endpoint.Host + ":22"
	}
	return &sshAuth{&ssh.ClientConfig{
		User:              endpoint.User,
		Auth:              []ssh.AuthMethod{ssh.PublicKeys(signer)},
		HostKeyCallback:   hosts.HostKeyCallback(),
		HostKeyAlgorithms: hosts.HostKeyAlgorithms(address),
		Timeout:           timeout,
	}}, nil
}

func parseKnownHosts(content []byte, folder string) (*knownhosts.HostKeyDB, error) {
	file, err := os.CreateTemp(folder, "known-hosts-")
	if err != nil {
		return nil, err
	}
	defer os.Remove(file.Name())
	defer file.Close()
	if _, err := file.Write(content); err != nil {
		return nil, err
	}
	return knownhosts.NewDB(file.Name())
}

// sshAuth gives go-git a whole configuration: it would else choose the host
// key's algorithm without regard to the known ones.
type sshAuth struct{ config *ssh.ClientConfig }

func (a *sshAuth) Name() string                             { return gitssh.PublicKeysName }
func (a *sshAuth) String() string                           { return a.config.User }
func (a *sshAuth) ClientConfig() (*ssh.ClientConfig, error) { return a.config, nil }

// clone checks the reference out, with its whole history, into a new folder
// below parent.
func (r remote) clone(ctx context.Context, parent string) (string, *git.Repository, error) {
	folder, err := os.MkdirTemp(parent, "clone-")
	if err != nil {
		return "", nil, err
	}
	options := &git.CloneOptions{
		URL: r.url, Auth: r.auth, ReferenceName: r.ref.full(), SingleBranch: true, Tags: git.NoTags,
	}
	repository, err := within(ctx, func() (*git.Repository, error) {
		return git.PlainCloneContext(ctx, folder, false, options)
	})
	if err == nil && r.ref.commit != "" {
		err = checkout(repository, r.ref.commit)
	}
	if err != nil {
		_ = os.RemoveAll(folder) // it is in the pod's own folder, which goes with the pod
		return "", nil, fmt.Errorf("unable to clone '%s': %w", r.url, err)
	}
	return folder, repository, nil
}

func checkout(repository *git.Repository, commit string) error {
	tree, err := repository.Worktree()
	if err != nil {
		return err
	}
	return tree.Checkout(&git.CheckoutOptions{Hash: plumbing.NewHash(commit), Force: true})
}

// remoteWords makes one line of an error of go-git: for a refused push that is
// what the server said.
func remoteWords(err error) string {
	if errors.Is(err, transport.ErrAuthenticationRequired) {
		return "authentication required"
	}
	return strings.Join(strings.Fields(err.Error()), " ")
}

// safeJoin is a path below root, whatever the given one climbs to.
func safeJoin(root, path string) string { return filepath.Join(root, filepath.Clean("/"+path)) }

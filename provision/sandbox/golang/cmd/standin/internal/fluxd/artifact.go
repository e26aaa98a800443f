package fluxd

import (
	"archive/tar"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"time"

	"github.com/fluxcd/pkg/sourceignore"
	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/format/gitignore"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// kept is how many artifacts of an object stay, for whoever is just fetching.
const kept = 2

// store keeps artifacts in a folder and serves them.
type store struct {
	root    string
	address string
}

type storedArtifact struct {
	path   string
	digest string
	size   int64
}

func (s store) artifacts() string { return filepath.Join(s.root, "artifacts") }

// serve answers requests for artifacts until ctx ends.
func (s store) serve(ctx context.Context) error {
	if err := os.MkdirAll(s.artifacts(), 0o700); err != nil {
		return err
	}
	server := &http.Server{
		Addr:              s.address,
		Handler:           http.FileServer(http.Dir(s.artifacts())),
		ReadHeaderTimeout: 10 * time.Second,
	}
	go func() {
		<-ctx.Done()
		_ = server.Close() // the process ends with it
	}()
	if err := server.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

func (s store) has(path string) bool {
	info, err := os.Stat(filepath.Join(s.artifacts(), path))
	return path != "" && err == nil && info.Mode().IsRegular()
}

// put packs folder as the artifact of an object at a commit.
func (s store) put(
	object *unstructured.Unstructured, folder string, commit plumbing.Hash, ignore string,
) (storedArtifact, error) {
	kind := strings.ToLower(object.GetKind())
	parent := filepath.Join(s.artifacts(), kind, object.GetNamespace(), object.GetName())
	if err := os.MkdirAll(parent, 0o700); err != nil {
		return storedArtifact{}, err
	}
	file, err := os.CreateTemp(parent, ".new-")
	if err != nil {
		return storedArtifact{}, err
	}
	defer os.Remove(file.Name())
	defer file.Close()
	digest := sha256.New()
	if err := pack(io.MultiWriter(file, digest), folder, ignore); err != nil {
		return storedArtifact{}, err
	}
	info, err := file.Stat()
	if err != nil {
		return storedArtifact{}, err
	}
	path := filepath.Join(parent, commit.String()+".tar.gz")
	if err := os.Rename(file.Name(), path); err != nil {
		return storedArtifact{}, err
	}
	relative, err := filepath.Rel(s.artifacts(), path)
	if err != nil {
		return storedArtifact{}, err
	}
	return storedArtifact{relative, fmt.Sprintf("sha256:%x", digest.Sum(nil)), info.Size()}, removeOld(parent)
}

// removeOld removes all but the newest artifacts.
func removeOld(parent string) error {
	paths, err := filepath.Glob(filepath.Join(parent, "*.tar.gz"))
	if err != nil {
		return err
	}
	changed := func(path string) time.Time {
		info, err := os.Stat(path)
		if err != nil {
			return time.Time{}
		}
		return info.ModTime()
	}
	sort.Slice(paths, func(i, j int) bool { return changed(paths[i]).After(changed(paths[j])) })
	for i := kept; i < len(paths); i++ {
		if err := os.Remove(paths[i]); err != nil {
			return err
		}
	}
	return nil
}

// pack writes folder as a tar.gz without what Flux leaves out, the same bytes
// for the same content.
func pack(out io.Writer, folder, ignore string) error {
	domain := strings.Split(folder, string(filepath.Separator))
	patterns, err := sourceignore.LoadIgnorePatterns(folder, domain)
	if err != nil {
		return err
	}
	if ignore != "" {
		patterns = append(patterns, sourceignore.ReadPatterns(strings.NewReader(ignore), domain)...)
	}
	ignored := sourceignore.NewDefaultMatcher(patterns, domain)
	zip := gzip.NewWriter(out)
	archive := tar.NewWriter(zip)
	err = filepath.WalkDir(folder, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || path == folder {
			return err
		}
		if skips(ignored, path, entry) {
			if entry.IsDir() && entry.Name() == ".git" {
				return filepath.SkipDir
			}
			return nil
		}
		return add(archive, folder, path, entry)
	})
	return errors.Join(err, archive.Close(), zip.Close())
}

func skips(ignored gitignore.Matcher, path string, entry fs.DirEntry) bool {
	return ignored.Match(strings.Split(path, string(filepath.Separator)), entry.IsDir())
}

// add writes one entry; times and owners are left out, links are not followed.
func add(archive *tar.Writer, folder, path string, entry fs.DirEntry) error {
	relative, err := filepath.Rel(folder, path)
	if err != nil {
		return err
	}
	header := &tar.Header{Name: filepath.ToSlash(relative), Mode: 0o600, Typeflag: tar.TypeReg}
	switch {
	case entry.IsDir():
		header.Typeflag, header.Mode = tar.TypeDir, 0o700
		return archive.WriteHeader(header)
	case !entry.Type().IsRegular():
		return nil
	}
	content, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	header.Size = int64(len(content))
	if err := archive.WriteHeader(header); err != nil {
		return err
	}
	_, err = archive.Write(content)
	return err
}

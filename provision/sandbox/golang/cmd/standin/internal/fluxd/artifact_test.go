package fluxd

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

func tree(t *testing.T, files map[string]string) string {
	t.Helper()
	root := t.TempDir()
	for name, content := range files {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

func packed(t *testing.T, folder, ignore string) ([]byte, []string) {
	t.Helper()
	var out bytes.Buffer
	if err := pack(&out, folder, ignore); err != nil {
		t.Fatal(err)
	}
	content := slices.Clone(out.Bytes())
	unzipped, err := gzip.NewReader(&out)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for archive := tar.NewReader(unzipped); ; {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return content, names
		} else if err != nil {
			t.Fatal(err)
		}
		if header.Typeflag == tar.TypeReg {
			names = append(names, header.Name)
		}
	}
}

func TestAnArtifactLeavesOutWhatFluxLeavesOut(t *testing.T) {
	folder := tree(t, map[string]string{
		"apps/a.yaml": "a", ".git/config": "g", ".github/w.yaml": "w", "picture.jpg": "j",
		"docs/b.yaml": "b", ".sourceignore": "/docs/\n", "secret/c.yaml": "c",
	})
	_, names := packed(t, folder, "/secret/\n")
	if !slices.Equal(names, []string{".sourceignore", "apps/a.yaml"}) {
		t.Errorf("%q", names)
	}
}

func TestTheSameFilesGiveTheSameArtifact(t *testing.T) {
	one := tree(t, map[string]string{"a.yaml": "a", "b/c.yaml": "c"})
	other := tree(t, map[string]string{"a.yaml": "a", "b/c.yaml": "c"})
	if err := os.Chtimes(filepath.Join(other, "a.yaml"), time.Unix(1, 0), time.Unix(1, 0)); err != nil {
		t.Fatal(err)
	}
	first, _ := packed(t, one, "")
	second, _ := packed(t, other, "")
	if !bytes.Equal(first, second) {
		t.Error("they differ")
	}
}

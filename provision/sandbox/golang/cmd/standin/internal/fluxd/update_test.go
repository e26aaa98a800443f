package fluxd

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestMarkedLinesGetTheirTag(t *testing.T) {
	content := strings.Join([]string{
		`image: ghcr.io/acme/web:1.2.3 # {"$imagepolicy": "flux-system:web"}`,
		`  tag: "4.5" # {"$imagepolicy": "flux-system:web:tag"}`,
		`  - image: registry:5000/acme/web:1.2.3 # {"$imagepolicy": "flux-system:web"}`,
		`name: ghcr.io/acme/web # {"$imagepolicy": "flux-system:web:name"}`,
		`digest: sha256:old # {"$imagepolicy": "flux-system:web:digest"}`,
		`image: ghcr.io/acme/other:1.2.3 # {"$imagepolicy": "flux-system:other"}`,
		`image: ghcr.io/acme/web:1.2.3`,
	}, "\n")
	want := strings.Join([]string{
		`image: ghcr.io/acme/web:9.0 # {"$imagepolicy": "flux-system:web"}`,
		`  tag: "9.0" # {"$imagepolicy": "flux-system:web:tag"}`,
		`  - image: ghcr.io/acme/web:9.0 # {"$imagepolicy": "flux-system:web"}`,
		`name: ghcr.io/acme/web # {"$imagepolicy": "flux-system:web:name"}`,
		`digest: sha256:old # {"$imagepolicy": "flux-system:web:digest"}`,
		`image: ghcr.io/acme/other:1.2.3 # {"$imagepolicy": "flux-system:other"}`,
		`image: ghcr.io/acme/web:1.2.3`,
	}, "\n")
	got, changes := update(content, map[string]latest{"flux-system:web": {name: "ghcr.io/acme/web", tag: "9.0"}})
	if got != want {
		t.Errorf("got\n%s", got)
	}
	if len(changes) != 3 || changes[0].NewValue != "ghcr.io/acme/web:9.0" || changes[1].OldValue != "4.5" {
		t.Errorf("%+v", changes)
	}
}

func TestATagThatIsThereIsNoChange(t *testing.T) {
	line := `image: ghcr.io/acme/web:9.0 # {"$imagepolicy": "flux-system:web"}`
	if _, changes := update(line, map[string]latest{"flux-system:web": {name: "ghcr.io/acme/web", tag: "9.0"}}); changes != nil {
		t.Errorf("%+v", changes)
	}
}

func TestADigestIsPartOfTheImage(t *testing.T) {
	image := latest{name: "acme/web", tag: "9.0", digest: "sha256:abc"}
	for part, want := range map[string]string{
		"": "acme/web:9.0@sha256:abc", "tag": "9.0", "name": "acme/web", "digest": "sha256:abc",
	} {
		if got, known := image.part(part); !known || got != want {
			t.Errorf("%s: %s", part, got)
		}
	}
	if _, known := (latest{name: "a", tag: "1"}).part("digest"); known {
		t.Error("a digest that the policy does not reflect")
	}
}

func TestFilesAreNamedFromTheRoot(t *testing.T) {
	root := t.TempDir()
	folder := filepath.Join(root, "apps")
	if err := os.MkdirAll(filepath.Join(folder, "deep"), 0o755); err != nil {
		t.Fatal(err)
	}
	line := []byte("image: a/b:1 # {\"$imagepolicy\": \"n:p\"}\n")
	for _, name := range []string{"deep/x.yaml", "deep/x.txt"} {
		if err := os.WriteFile(filepath.Join(folder, name), line, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	changes, err := updateFiles(folder, root, map[string]latest{"n:p": {name: "a/b", tag: "2"}})
	if err != nil || len(changes) != 1 || changes[0].File != "apps/deep/x.yaml" {
		t.Fatalf("%+v, %v", changes, err)
	}
	if _, err := updateFiles(filepath.Join(root, "none"), root, nil); err == nil {
		t.Error("a missing folder was taken")
	}
}

package containers

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"time"
)

// registry is where containerd asks for images of Docker Hub first: like the
// registry that is embedded in k3s, on the node itself.
const registry = "127.0.0.1:5001"

// placeholders are the images that a placeholder runs for: by repository, what
// the config of the image says. The sandbox writes the file beside its archives.
type placeholders map[string]json.RawMessage

var request = regexp.MustCompile(`^/v2/(.+)/(manifests|blobs)/([^/]+)$`)

// serveRegistry answers for the placeholders until ctx is done; there may be none.
func serveRegistry(ctx context.Context, folder string) error {
	known := placeholders{}
	content, err := os.ReadFile(filepath.Join(folder, "placeholders.json"))
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err == nil {
		err = json.Unmarshal(content, &known)
	}
	if err != nil {
		return err
	}
	layer := filepath.Join(folder, "placeholder.layer")
	digest, size, err := about(layer)
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", registry)
	if err != nil {
		return err
	}
	server := &http.Server{
		ReadHeaderTimeout: 10 * time.Second,
		Handler: http.HandlerFunc(func(out http.ResponseWriter, asked *http.Request) {
			if asked.URL.Path == "/v2/" {
				return
			}
			words := request.FindStringSubmatch(asked.URL.Path)
			if words == nil {
				http.NotFound(out, asked)
				return
			}
			config, there := known[words[1]]
			if !there {
				http.NotFound(out, asked)
				return
			}
			answer(out, asked, words[2], words[3], config, layer, digest, size)
		}),
	}
	go func() {
		<-ctx.Done()
		_ = server.Close() // the process ends with it
	}()
	go func() { _ = server.Serve(listener) }()
	return nil
}

// answer sends the manifest of a placeholder, whatever its tag, or one of its
// two blobs.
func answer(
	out http.ResponseWriter, asked *http.Request, kind, reference string,
	config json.RawMessage, layer, digest string, size int64,
) {
	whole, err := json.Marshal(map[string]any{
		"architecture": architecture, "os": "linux", "config": config,
		"rootfs": map[string]any{"type": "layers", "diff_ids": []string{digest}},
	})
	if err != nil {
		http.Error(out, err.Error(), http.StatusInternalServerError)
		return
	}
	const oci = "application/vnd.oci.image."
	manifest, _ := json.Marshal(map[string]any{ // of strings and numbers
		"schemaVersion": 2, "mediaType": oci + "manifest.v1+json",
		"config": map[string]any{"mediaType": oci + "config.v1+json", "digest": digestOf(whole), "size": len(whole)},
		"layers": []any{map[string]any{"mediaType": oci + "layer.v1.tar", "digest": digest, "size": size}},
	})
	switch {
	case kind == "manifests":
		out.Header().Set("Content-Type", oci+"manifest.v1+json")
		out.Header().Set("Docker-Content-Digest", digestOf(manifest))
		send(out, asked, manifest)
	case reference == digestOf(whole):
		send(out, asked, whole)
	case reference == digest:
		http.ServeFile(out, asked, layer)
	default:
		http.NotFound(out, asked)
	}
}

func send(out http.ResponseWriter, asked *http.Request, content []byte) {
	out.Header().Set("Content-Length", fmt.Sprint(len(content)))
	if asked.Method != http.MethodHead {
		_, _ = out.Write(content)
	}
}

func digestOf(content []byte) string { return fmt.Sprintf("sha256:%x", sha256.Sum256(content)) }

func about(path string) (string, int64, error) {
	content, err := os.ReadFile(path)
	return digestOf(content), int64(len(content)), err
}

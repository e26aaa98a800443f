// Package containers runs containerd as k3s does: its files below k3s' data
// folder, its images out of archives that lie on the node.
package containers

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"

	"elysium.invalid/sandbox/cmd/standin/internal/spawn"
)

const (
	// Socket is where containerd answers.
	Socket = "/run/k3s/containerd/containerd.sock"
	// Brought is where the sandbox has the archives of its images.
	Brought = "/opt/elysium-sandbox/images"
	// Pause is the image of the container that holds a pod's namespaces.
	Pause = "rancher/mirrored-pause:3.6"

	namespace    = "k8s.io"
	architecture = runtime.GOARCH
)

// Runtime is a containerd on this node.
type Runtime struct {
	DataDir string // of k3s
	PodCIDR string // the addresses of this node's pods
}

// Bin is the folder of the programs that k3s unpacks.
func (r Runtime) Bin() string { return filepath.Join(r.DataDir, "data", "current", "bin") }

// Path is PATH with those programs; what the node has itself comes before what
// k3s has in aux.
func (r Runtime) Path() string {
	return r.Bin() + ":/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:" + filepath.Join(r.Bin(), "aux")
}

func (r Runtime) at(parts ...string) string {
	return filepath.Join(append([]string{r.DataDir, "agent"}, parts...)...)
}

// Start writes the configuration and starts containerd; it returns when that
// answers, and has the images.
func (r Runtime) Start(ctx context.Context, spawner *spawn.Spawner, logf func(string, ...any)) (*spawn.Child, error) {
	if err := r.write(); err != nil {
		return nil, err
	}
	if err := serveRegistry(ctx, Brought); err != nil {
		return nil, fmt.Errorf("serve the placeholders of images: %w", err)
	}
	log, err := os.OpenFile(r.at("containerd", "containerd.log"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	command := r.command("containerd", "--config", r.at("etc", "containerd", "config.toml"))
	command.Stdout, command.Stderr = log, log
	if err := WithControllers(command); err != nil {
		return nil, err
	}
	child, err := spawner.Start("containerd", command)
	if err != nil {
		return nil, fmt.Errorf("start containerd: %w", err)
	}
	if err := r.awaitAnswer(ctx, child); err != nil {
		return child, err
	}
	begun := time.Now()
	count, err := r.importImages(ctx, logf)
	if err != nil {
		return child, err
	}
	if count > 0 {
		logf("Imported %d archives of images in %.1f s", count, time.Since(begun).Seconds())
	}
	return child, nil
}

func (r Runtime) command(name string, args ...string) *exec.Cmd {
	command := exec.Command(filepath.Join(r.Bin(), name), args...)
	command.Env = append(os.Environ(), "PATH="+r.Path())
	return command
}

// awaitAnswer returns when containerd answers for the kubelet: its socket is there
// before it has looked at the containers that an earlier one left, and a kubelet
// that is told so ends.
func (r Runtime) awaitAnswer(ctx context.Context, child *spawn.Child) error {
	connection, err := grpc.NewClient("unix://"+Socket, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return err
	}
	defer connection.Close()
	client := cri.NewRuntimeServiceClient(connection)
	for {
		if _, err := client.Version(ctx, &cri.VersionRequest{}, grpc.WaitForReady(false)); err == nil {
			return nil
		}
		connection.ResetConnectBackoff()
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-child.Ended:
			return fmt.Errorf("containerd ended: %v; see %s", child.Err, r.at("containerd", "containerd.log"))
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// imported is what k3s keeps beside the archives: which of them it has imported.
type imported map[string]string

// importImages imports the archives of the folder that k3s looks into, and
// those of the sandbox, where they changed since.
func (r Runtime) importImages(ctx context.Context, logf func(string, ...any)) (int, error) {
	if err := os.MkdirAll(r.at("images"), 0o700); err != nil {
		return 0, err
	}
	cache, known, count := r.at("images", ".cache.json"), imported{}, 0
	if content, err := os.ReadFile(cache); err == nil {
		_ = json.Unmarshal(content, &known) // what cannot be read is imported again
	}
	for _, folder := range []string{Brought, r.at("images")} {
		archives, err := archivesIn(folder)
		if err != nil {
			return count, err
		}
		for _, path := range archives {
			about, err := os.Stat(path)
			if err != nil {
				return count, err
			}
			state := fmt.Sprintf("%d %d", about.Size(), about.ModTime().UnixNano())
			if known[path] == state {
				continue
			}
			if err := r.importArchive(ctx, path); err != nil && folder == Brought {
				return count, err
			} else if err != nil { // k3s starts without it
				logf("Error encountered while importing %s: %v", path, err)
				continue
			}
			known[path] = state
			count++
		}
	}
	content, err := json.Marshal(known)
	if err != nil {
		return count, err
	}
	return count, os.WriteFile(cache, content, 0o600)
}

// archivesIn are the archives in folder, by the endings that k3s and ctr both know.
func archivesIn(folder string) ([]string, error) {
	entries, err := os.ReadDir(folder)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	} else if err != nil {
		return nil, err
	}
	var found []string
	for _, entry := range entries {
		for _, ending := range []string{".tar", ".tar.gz", ".tgz", ".tar.zst", ".tzst"} {
			if strings.HasSuffix(entry.Name(), ending) {
				found = append(found, filepath.Join(folder, entry.Name()))
				break
			}
		}
	}
	return found, nil
}

func (r Runtime) importArchive(ctx context.Context, path string) error {
	command := r.command("ctr", "--address", Socket, "--namespace", namespace, "images", "import", "--no-unpack", path)
	done := make(chan error, 1)
	var said []byte
	go func() {
		var err error
		said, err = command.CombinedOutput()
		done <- err
	}()
	select {
	case err := <-done:
		if err != nil {
			return fmt.Errorf("import %s: %w: %s", path, err, said)
		}
		return nil
	case <-ctx.Done():
		if command.Process != nil {
			_ = command.Process.Kill()
		}
		return ctx.Err()
	}
}

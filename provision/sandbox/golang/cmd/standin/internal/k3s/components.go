package k3s

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"k8s.io/client-go/rest"

	"elysium.invalid/sandbox/cmd/standin/internal/containers"
	"elysium.invalid/sandbox/cmd/standin/internal/spawn"
)

// component starts a program of the sandbox; what it prints goes to the
// journal, as with k3s.
func component(spawner *spawn.Spawner, o *options, name string, args []string, environment ...string) (*spawn.Child, error) {
	command := exec.Command(filepath.Join(spawn.BinDir, name), args...)
	command.Dir = o.at() // kine's socket and database are named relative to it
	command.Env = append(os.Environ(), environment...)
	if name == "kubelet" {
		if err := containers.WithControllers(command); err != nil {
			return nil, err
		}
	}
	command.Stdout = os.Stderr
	command.Stderr = os.Stderr
	child, err := spawner.Start(name, command)
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	return child, nil
}

// kineArgs serve the datastore: SQLite in db/state.db, kine's own defaults.
func kineArgs() []string {
	return []string{"--listen-address=unix://kine.sock", "--metrics-bind-address=0"}
}

// apiserverArgs follow what k3s gives its API server, which is reached through
// the server's own listener.
func apiserverArgs(o *options) []string {
	issuer := "https://kubernetes.default.svc.cluster.local"
	args := []string{
		"--advertise-address=" + o.advertise,
		"--allow-privileged=true",
		"--anonymous-auth=false",
		"--api-audiences=" + issuer + ",k3s",
		"--authorization-mode=Node,RBAC",
		"--bind-address=127.0.0.1",
		"--cert-dir=" + o.at("tls", "temporary-certs"),
		"--client-ca-file=" + o.tls("client-ca.crt"),
		"--enable-admission-plugins=NodeRestriction",
		"--enable-bootstrap-token-auth=true",
		"--endpoint-reconciler-type=none", // pods reach the server's own listener, on another port
		"--etcd-servers=" + o.endpoint(),
		"--kubelet-certificate-authority=" + o.tls("server-ca.crt"),
		"--kubelet-client-certificate=" + o.tls("client-kube-apiserver.crt"),
		"--kubelet-client-key=" + o.tls("client-kube-apiserver.key"),
		"--kubelet-preferred-address-types=InternalIP,Hostname",
		"--profiling=false",
		"--proxy-client-cert-file=" + o.tls("client-auth-proxy.crt"),
		"--proxy-client-key-file=" + o.tls("client-auth-proxy.key"),
		"--requestheader-allowed-names=system:auth-proxy",
		"--requestheader-client-ca-file=" + o.tls("request-header-ca.crt"),
		"--requestheader-extra-headers-prefix=X-Remote-Extra-",
		"--requestheader-group-headers=X-Remote-Group",
		"--requestheader-username-headers=X-Remote-User",
		fmt.Sprintf("--secure-port=%d", o.apiPort()),
		"--service-account-issuer=" + issuer,
		"--service-account-key-file=" + o.tls("service.key"),
		"--service-account-signing-key-file=" + o.tls("service.key"),
		"--service-cluster-ip-range=" + o.serviceCIDR,
		"--tls-cert-file=" + o.tls("serving-kube-apiserver.crt"),
		"--tls-private-key-file=" + o.tls("serving-kube-apiserver.key"),
	}
	if o.encrypt {
		args = append(args, "--encryption-provider-config="+encryptionConfig(o),
			"--encryption-provider-config-automatic-reload=true")
	}
	return append(args, dashed(o.apiserverArgs)...)
}

func controllerManagerArgs(o *options) []string {
	kubeconfig := o.at("cred", "controller.kubeconfig")
	args := []string{
		"--allocate-node-cidrs=true",
		"--authentication-kubeconfig=" + kubeconfig,
		"--authorization-kubeconfig=" + kubeconfig,
		"--bind-address=127.0.0.1",
		"--cluster-cidr=" + o.clusterCIDR,
		"--cluster-signing-cert-file=" + o.tls("client-ca.nochain.crt"),
		"--cluster-signing-key-file=" + o.tls("client-ca.key"),
		"--controllers=*,tokencleaner",
		"--kubeconfig=" + kubeconfig,
		"--leader-elect=false", // there is one, and a lease left behind by a crash would cost seconds
		"--profiling=false",
		"--root-ca-file=" + o.tls("server-ca.crt"),
		"--service-account-private-key-file=" + o.tls("service.key"),
		"--service-cluster-ip-range=" + o.serviceCIDR,
		"--use-service-account-credentials=true",
	}
	return append(args, dashed(o.controllerArgs)...)
}

// dashed puts the dashes before the arguments of a k3s "-arg" option.
func dashed(args []string) []string {
	result := make([]string, 0, len(args))
	for _, arg := range args {
		result = append(result, "--"+strings.TrimLeft(arg, "-"))
	}
	return result
}

// awaitReady returns when the API server says it is ready, or with an error
// when the context ends.
func awaitReady(ctx context.Context, config *rest.Config) error {
	client, err := rest.HTTPClientFor(config)
	if err != nil {
		return err
	}
	for !ready(ctx, client, config.Host+"/readyz") {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(50 * time.Millisecond):
		}
	}
	return nil
}

func ready(ctx context.Context, client *http.Client, url string) bool {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return false
	}
	response, err := client.Do(request)
	if err != nil {
		return false
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	// A list of failed checks contains that word too: all of it counts.
	return err == nil && string(body) == "ok"
}

// Package k3s stands in for the k3s binary: its command line, its files and
// its behaviour as a systemd unit, as far as the toolkit touches them. What it
// runs are Kubernetes' own programs on kine or etcd, and containerd.
package k3s

import (
	"debug/buildinfo"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"

	"elysium.invalid/sandbox/cmd/standin/internal/attach"
	"elysium.invalid/sandbox/cmd/standin/internal/containers"
	"elysium.invalid/sandbox/cmd/standin/internal/spawn"
)

// madeOf says what really runs: the versions are read from the programs.
func madeOf(etcd bool) string {
	on := "kine " + moduleVersion("kine") + " with SQLite"
	if etcd {
		on = "etcd of its own release"
	}
	return fmt.Sprintf("running kube-apiserver, kube-controller-manager, kube-scheduler, kubelet and "+
		"kube-proxy %s on %s, with containerd", moduleVersion("kubernetes"), on)
}

// moduleVersion is the version of the module that a program of the sandbox was
// built from.
func moduleVersion(name string) string {
	info, err := buildinfo.ReadFile(filepath.Join(spawn.BinDir, name))
	if err != nil {
		return "(not here)"
	}
	wanted := info.Path
	if name == "kubernetes" { // a program of ours around five of that module
		wanted = "k8s.io/kubernetes"
	}
	for _, module := range append(info.Deps, &info.Main) {
		if strings.HasPrefix(wanted, module.Path) && module.Version != "" {
			return module.Version
		}
	}
	return "(unknown)"
}

const usage = `k3s, as the elysium sandbox stands in for it:

  k3s server [FLAGS]            run the server (also from /etc/rancher/k3s/config.yaml)
  k3s kubectl ARGS              run kubectl
  k3s secrets-encrypt status    say whether Secrets are encrypted in the datastore
  k3s etcd-snapshot save|ls|delete
                                take a snapshot of etcd, list or delete those there are
  k3s token rotate              give the server another token
  k3s certificate rotate        have the next start make new certificates
  k3s certificate rotate-ca     give the server another authority for client certificates
  k3s check-config              say what the stand-in needs of this machine
  k3s --version
`

// Main runs the k3s command line.
func Main(_ string, args []string) error {
	data, err := attach.Own()
	if err != nil {
		return err
	}
	version := data.Version
	if version == "" {
		version = "v0.0.0+sandbox"
	}
	if len(args) == 0 {
		fmt.Print(usage)
		return nil
	}
	switch command, rest := args[0], args[1:]; command {
	case "--version", "-v":
		fmt.Print(versionText(version))
		return nil
	case "--help", "-h", "help":
		fmt.Print(usage)
		return nil
	case "server":
		return serve(rest, version)
	case "kubectl":
		return kubectl(rest)
	case "secrets-encrypt":
		return secretsEncrypt(rest)
	case "check-config":
		return checkConfig()
	case "token":
		return token(rest)
	case "certificate":
		return certificateCommand(rest)
	case "etcd-snapshot":
		return etcdSnapshot(rest)
	case "ctr":
		return ctr(rest)
	case "agent", "crictl", "completion":
		return fmt.Errorf("%q is not part of the sandbox", strings.Join(args, " "))
	default:
		return fmt.Errorf("No help topic for '%s'", command) //nolint:staticcheck // k3s' own words
	}
}

// Link runs what the links to k3s in the path stand for.
func Link(name string, args []string) error {
	if name == "kubectl" {
		return kubectl(args)
	}
	if name == "ctr" {
		return ctr(args)
	}
	return fmt.Errorf("%s is not part of the sandbox", name)
}

// ctr runs containerd's own, for the containerd of k3s and the kubelet's images.
func ctr(args []string) error {
	program := filepath.Join(containers.Runtime{DataDir: defaultDataDir}.Bin(), "ctr")
	environment := append(os.Environ(), "CONTAINERD_ADDRESS="+containers.Socket, "CONTAINERD_NAMESPACE=k8s.io")
	err := syscall.Exec(program, append([]string{"ctr"}, args...), environment)
	return fmt.Errorf("%s: %w", program, err)
}

// versionText is what `k3s --version` prints: two lines as k3s has them, then
// the truth.
func versionText(version string) string {
	return fmt.Sprintf("k3s version %s (5a4d0000)\ngo version %s\nelysium sandbox stand-in, %s\n",
		version, runtime.Version(), madeOf(hasEtcd(&options{dataDir: defaultDataDir})))
}

func kubectl(args []string) error {
	program := filepath.Join(spawn.BinDir, "kubectl")
	environment := os.Environ()
	if os.Getenv("KUBECONFIG") == "" {
		environment = append(environment, "KUBECONFIG=/etc/rancher/k3s/k3s.yaml")
	}
	err := syscall.Exec(program, append([]string{"kubectl"}, args...), environment)
	return fmt.Errorf("%s: %w", program, err)
}

// checkConfig looks for what `k3s server` needs here.
func checkConfig() error {
	var missing []string
	for _, name := range []string{"kine", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubelet", "kube-proxy"} {
		path := filepath.Join(spawn.BinDir, name)
		if _, err := os.Stat(path); err != nil {
			missing = append(missing, path)
		}
	}
	if missing != nil {
		return fmt.Errorf("missing: %s", strings.Join(missing, ", "))
	}
	fmt.Println("STATUS: pass (elysium sandbox stand-in: the kernel was not looked at)")
	return nil
}

// secretsEncrypt answers `k3s secrets-encrypt status`.
func secretsEncrypt(args []string) error {
	if len(args) != 1 || args[0] != "status" {
		return fmt.Errorf("%q is not part of the sandbox: only status is", "secrets-encrypt "+strings.Join(args, " "))
	}
	path := encryptionConfig(&options{dataDir: defaultDataDir})
	if _, err := os.Stat(path); os.IsNotExist(err) {
		fmt.Println("Encryption Status: Disabled, no configuration file found")
		return nil
	} else if err != nil {
		return err
	}
	fmt.Print("Encryption Status: Enabled\n" +
		"Current Rotation Stage: start\n" +
		"Server Encryption Hashes: All hashes match\n\n" +
		"Active  Key Type  Name\n" +
		"------  --------  ----\n" +
		" *      AES-CBC   aescbckey\n")
	return nil
}

// Command kubernetes is five programs of Kubernetes in one file: the name it is
// called with says which one runs. Linked once, they take the time of one.
package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync/atomic"
	_ "unsafe" // for the name of a variable elsewhere

	"github.com/spf13/cobra"
	"k8s.io/component-base/cli"
	_ "k8s.io/component-base/logs/json/register"
	_ "k8s.io/component-base/metrics/prometheus/clientgo"
	_ "k8s.io/component-base/metrics/prometheus/version"
	apiserver "k8s.io/kubernetes/cmd/kube-apiserver/app"
	controllermanager "k8s.io/kubernetes/cmd/kube-controller-manager/app"
	proxy "k8s.io/kubernetes/cmd/kube-proxy/app"
	scheduler "k8s.io/kubernetes/cmd/kube-scheduler/app"
	kubelet "k8s.io/kubernetes/cmd/kubelet/app"
)

var programs = map[string]func() *cobra.Command{
	"kube-apiserver":          apiserver.NewAPIServerCommand,
	"kube-controller-manager": controllermanager.NewControllerManagerCommand,
	"kube-proxy":              proxy.NewProxyCommand,
	"kube-scheduler":          func() *cobra.Command { return scheduler.NewSchedulerCommand() },
	"kubelet":                 func() *cobra.Command { return kubelet.NewKubeletCommand(context.Background()) },
}

// version is what the programs say that they are. Kubernetes has a setter, for
// later builds of the same release only.
//
//go:linkname version k8s.io/component-base/version.dynamicGitVersion
var version atomic.Value

func main() {
	name := filepath.Base(os.Args[0])
	program, known := programs[name]
	if !known {
		fmt.Fprintf(os.Stderr, "elysium sandbox: there is no program called %q in this file\n", name)
		os.Exit(2)
	}
	// k3s says of its kubelet that it is k3s' own release.
	if claimed := os.Getenv("ELYSIUM_SANDBOX_VERSION"); name == "kubelet" && claimed != "" {
		version.Store(claimed)
	}
	os.Exit(cli.Run(program()))
}

// Command helm-controller stands in for Flux' controller of that name, whose
// module is not published. It runs releases with Helm's own SDK.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"time"

	"github.com/spf13/pflag"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/klog/v2"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/healthz"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"elysium.invalid/flux/internal/releases"
)

const name = "helm-controller"

// settings are the flags that the controller takes. Those of a Flux
// installation that mean nothing here are accepted by name; any other flag is
// an error, as with the real controller.
type settings struct {
	metrics           string
	health            string
	election          bool
	concurrent        int
	requeueDependency time.Duration
}

func parse(args []string) (settings, error) {
	var result settings
	flags := pflag.NewFlagSet(name, pflag.ContinueOnError)
	flags.StringVar(&result.metrics, "metrics-addr", ":8080", "the address of the metrics")
	flags.StringVar(&result.health, "health-addr", ":9440", "the address of the health checks")
	flags.BoolVar(&result.election, "enable-leader-election", false, "wait for a lease")
	flags.IntVar(&result.concurrent, "concurrent", 4, "the number of concurrent reconciliations")
	flags.DurationVar(&result.requeueDependency, "requeue-dependency", 30*time.Second,
		"the interval at which a dependency that is not ready is looked at again")
	for flag, meaning := range map[string]string{
		"events-addr": "no event is sent", "log-level": "", "log-encoding": "", "default-service-account": "",
		"watch-all-namespaces": "all namespaces are watched", "watch-label-selector": "", "feature-gates": "",
	} {
		flags.String(flag, "", meaning)
	}
	flags.Lookup("watch-all-namespaces").NoOptDefVal = "true"
	if err := flags.Parse(args); err != nil {
		return settings{}, err
	}
	// These change which releases are handled and how: to ignore them would be wrong.
	for _, flag := range []string{"default-service-account", "watch-label-selector", "feature-gates"} {
		if flags.Lookup(flag).Value.String() != "" {
			return settings{}, fmt.Errorf("--%s is not supported by the sandbox's %s", flag, name)
		}
	}
	if value := flags.Lookup("watch-all-namespaces"); value.Changed && value.Value.String() != "true" {
		return settings{}, fmt.Errorf("--%s=%s is not supported by the sandbox's %s", value.Name, value.Value, name)
	}
	return result, nil
}

func main() {
	if err := run(ctrl.SetupSignalHandler(), os.Args[1:]); err != nil {
		if !errors.Is(err, pflag.ErrHelp) {
			fmt.Fprintf(os.Stderr, "%s: %v\n", name, err)
		}
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	options, err := parse(args)
	if err != nil {
		return err
	}
	logging := flag.NewFlagSet("klog", flag.ContinueOnError)
	klog.InitFlags(logging)
	ctrl.SetLogger(klog.Background())
	config, err := ctrl.GetConfig()
	if err != nil {
		return err
	}
	config.QPS, config.Burst = 50, 300
	config.UserAgent = name + "-sandbox"
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{clientgoscheme.AddToScheme, releases.AddToScheme} {
		if err := add(scheme); err != nil {
			return err
		}
	}
	manage, err := ctrl.NewManager(config, ctrl.Options{
		Scheme:                        scheme,
		Metrics:                       metricsserver.Options{BindAddress: off(options.metrics)},
		HealthProbeBindAddress:        off(options.health),
		LeaderElection:                options.election,
		LeaderElectionReleaseOnCancel: true,
		LeaderElectionID:              name + "-leader-election",
		LeaderElectionNamespace:       os.Getenv("RUNTIME_NAMESPACE"),
	})
	if err != nil {
		return err
	}
	if options.health != "0" {
		for _, add := range []func(string, healthz.Checker) error{manage.AddHealthzCheck, manage.AddReadyzCheck} {
			if err := add("ping", healthz.Ping); err != nil {
				return err
			}
		}
	}
	reconciler := &releases.Reconciler{
		Client:            manage.GetClient(),
		Reader:            manage.GetAPIReader(),
		Events:            manage.GetEventRecorderFor(name),
		Cluster:           releases.NewCluster(config, name),
		RequeueDependency: options.requeueDependency,
	}
	if err := reconciler.SetupWithManager(manage, options.concurrent); err != nil {
		return err
	}
	return manage.Start(ctx)
}

// off gives an empty address the meaning that it has for Flux: no listener.
func off(address string) string {
	if address == "" {
		return "0"
	}
	return address
}

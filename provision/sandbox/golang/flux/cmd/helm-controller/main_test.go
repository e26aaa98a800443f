package main

import "testing"

func TestFlagsOfAFluxInstallationAreTaken(t *testing.T) {
	options, err := parse([]string{
		"--events-addr=http://notification-controller.flux-system.svc.cluster.local./", "--watch-all-namespaces=true",
		"--log-level=info", "--log-encoding=json", "--enable-leader-election", "--requeue-dependency=2s", "--metrics-addr=0",
	})
	if err != nil || !options.election || options.requeueDependency.Seconds() != 2 || options.metrics != "0" {
		t.Fatal(options, err)
	}
}

func TestOtherFlagsAreErrors(t *testing.T) {
	for _, flag := range []string{
		"--unknown", "--feature-gates=OOMWatch=true", "--watch-all-namespaces=false", "--default-service-account=x",
	} {
		if _, err := parse([]string{flag}); err == nil {
			t.Errorf("%s is taken", flag)
		}
	}
}

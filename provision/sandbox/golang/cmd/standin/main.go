// Command standin is the sandbox' answer to the programs that cannot be built
// from published Go modules alone. One static binary plays several parts,
// chosen by the name it is called with or, failing that, by its first argument:
//
//	k3s                            server, kubectl, secrets-encrypt, ...
//	kubectl, crictl, ctr           the links k3s leaves in the path
//	flux                           install --export
//	registry                       container images, beside the node
//	intel_gpu_device_plugin        Intel's GPU device plugin
//	notification-controller        and the image controllers of Flux; the others
//	                               are programs of their own
//
// Whatever it does not do it refuses, or says in the status it writes.
package main

import (
	"fmt"
	"os"
	"path/filepath"

	"elysium.invalid/sandbox/cmd/standin/internal/fluxcli"
	"elysium.invalid/sandbox/cmd/standin/internal/fluxd"
	"elysium.invalid/sandbox/cmd/standin/internal/gpuplugin"
	"elysium.invalid/sandbox/cmd/standin/internal/k3s"
	"elysium.invalid/sandbox/cmd/standin/internal/registry"
)

// part runs one of the programs; args holds what follows its name.
type part func(name string, args []string) error

var parts = map[string]part{
	"k3s":                         k3s.Main,
	"kubectl":                     k3s.Link,
	"crictl":                      k3s.Link,
	"ctr":                         k3s.Link,
	"flux":                        fluxcli.Main,
	"notification-controller":     fluxd.Main,
	"image-reflector-controller":  fluxd.Main,
	"image-automation-controller": fluxd.Main,
	"registry":                    registry.Main,
	"intel_gpu_device_plugin":     gpuplugin.Main,
}

func main() {
	name, args := filepath.Base(os.Args[0]), os.Args[1:]
	run, known := parts[name]
	if !known && len(args) > 0 {
		name, args = args[0], args[1:]
		run, known = parts[name]
	}
	if !known {
		fmt.Fprintf(os.Stderr, "elysium sandbox stand-in: there is no part called %q here\n", name)
		os.Exit(2)
	}
	if err := run(name, args); err != nil {
		fmt.Fprintf(os.Stderr, "%s (elysium sandbox stand-in): %v\n", name, err)
		os.Exit(1)
	}
}

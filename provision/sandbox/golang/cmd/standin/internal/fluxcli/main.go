// Package fluxcli stands in for the flux command line: it prints the manifest
// that `flux install --export` prints, with the same objects, names, labels
// and images. The custom resource definitions in it are the real ones; the
// images are those the sandbox' agent knows programs for.
package fluxcli

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/spf13/pflag"

	"elysium.invalid/sandbox/cmd/standin/internal/attach"
)

var (
	defaultComponents = []string{
		"source-controller", "kustomize-controller", "helm-controller", "notification-controller",
	}
	extraComponents = []string{"image-reflector-controller", "image-automation-controller"}
	required        = []string{"source-controller", "kustomize-controller"}
)

const usage = `flux, as the elysium sandbox stands in for it:

  flux install --export [--components LIST] [--components-extra LIST]
               [--namespace NAME] [--version vX.Y.Z] [--registry HOST/PATH]
               [--network-policy=true] [--watch-all-namespaces=true] [--log-level info]
  flux version --client
  flux --version
`

// Main runs the flux command line.
func Main(_ string, args []string) error {
	data, err := attach.Own()
	if err != nil {
		return err
	}
	version := data.Version
	if version == "" {
		version = "v0.0.0"
	}
	command := ""
	if len(args) > 0 {
		command = args[0]
	}
	switch command {
	case "--version", "-v":
		fmt.Printf("flux version %s\nelysium sandbox stand-in: it knows install --export\n",
			strings.TrimPrefix(version, "v"))
		return nil
	case "version":
		fmt.Printf("flux: %s\n", version)
		return nil
	case "", "--help", "-h", "help":
		fmt.Print(usage)
		return nil
	case "install":
		definitions, err := readDefinitions(data.CRDs)
		if err != nil {
			return err
		}
		return install(args[1:], version, definitions, os.Stdout)
	default:
		return fmt.Errorf("%q is not part of the sandbox", "flux "+strings.Join(args, " "))
	}
}

// install prints the manifest that the arguments ask for.
func install(args []string, version string, definitions map[string]string, out io.Writer) error {
	var want manifest
	var components, extra []string
	flags := pflag.NewFlagSet("flux install", pflag.ContinueOnError)
	export := flags.Bool("export", false, "")
	flags.StringSliceVar(&components, "components", defaultComponents, "")
	flags.StringSliceVar(&extra, "components-extra", nil, "")
	flags.StringVarP(&want.Namespace, "namespace", "n", "flux-system", "")
	flags.StringVarP(&want.Version, "version", "v", version, "")
	flags.StringVar(&want.Registry, "registry", "ghcr.io/fluxcd", "")
	flags.StringVar(&want.LogLevel, "log-level", "info", "")
	flags.BoolVar(&want.NetworkPolicy, "network-policy", true, "")
	flags.BoolVar(&want.WatchAll, "watch-all-namespaces", true, "")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if !*export {
		return errors.New("the sandbox only exports: give --export")
	}
	if want.Version == "latest" {
		want.Version = version
	}
	known := slices.Concat(defaultComponents, extraComponents)
	for _, name := range slices.Concat(components, extra) {
		if !slices.Contains(known, name) {
			return fmt.Errorf("component %s is not available", name)
		}
	}
	for _, name := range required {
		if !slices.Contains(components, name) {
			return fmt.Errorf("component %s is required", name)
		}
	}
	for _, name := range slices.Concat(components, extra) {
		if !slices.Contains(want.Components, name) {
			want.Components = append(want.Components, name)
		}
	}
	return want.print(out, definitions)
}

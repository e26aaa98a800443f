// Package fluxcli stands in for the flux command line: it prints the manifest
// that `flux install --export` prints, with the same objects, names, labels
// and images. The custom resource definitions in it are the real ones; the
// images are those the sandbox' agent knows programs for.
package fluxcli

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
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

// plainVersion is the release that a build without an attachment claims.
const plainVersion = "v2.9.3"

// What is put into the manifest as it is given must be one word of YAML.
var (
	versionForm   = regexp.MustCompile(`^v[0-9][0-9A-Za-z.-]{0,60}[0-9A-Za-z]$`)
	namespaceForm = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`)
	registryForm  = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._:/-]*[A-Za-z0-9]$`)
	logLevels     = []string{"debug", "info", "error"}
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
	return run(args, data, os.Stdout)
}

// run runs the command line as the release that data describes.
func run(args []string, data attach.Data, out io.Writer) error {
	version := data.Version
	if version == "" {
		version = plainVersion
	}
	command := ""
	if len(args) > 0 {
		command = args[0]
	}
	switch command {
	case "--version", "-v":
		_, err := fmt.Fprintf(out, "flux version %s\nelysium sandbox stand-in: it knows install --export\n",
			strings.TrimPrefix(version, "v"))
		return err
	case "version":
		if !slices.Equal(args[1:], []string{"--client"}) {
			return fmt.Errorf("%q is not part of the sandbox: there is only --client", "flux "+strings.Join(args, " "))
		}
		_, err := fmt.Fprintf(out, "flux: %s\n", version)
		return err
	case "", "--help", "-h", "help":
		_, err := io.WriteString(out, usage)
		return err
	case "install":
		return install(args[1:], version, data.CRDs, out)
	default:
		return fmt.Errorf("%q is not part of the sandbox", "flux "+strings.Join(args, " "))
	}
}

// install prints the manifest that the arguments ask for, with the attached
// definitions or else those found in a folder.
func install(args []string, version string, attached map[string]string, out io.Writer) error {
	want, err := parse(args, version)
	if errors.Is(err, pflag.ErrHelp) {
		_, err = io.WriteString(out, usage)
		return err
	}
	if err != nil {
		return err
	}
	definitions, err := readDefinitions(attached)
	if err != nil {
		return err
	}
	var text bytes.Buffer // an error must not leave half a manifest behind
	if err := want.print(&text, definitions); err != nil {
		return err
	}
	_, err = text.WriteTo(out)
	return err
}

// parse reads the arguments of install.
func parse(args []string, version string) (manifest, error) {
	var want manifest
	var components, extra []string
	flags := pflag.NewFlagSet("flux install", pflag.ContinueOnError)
	flags.Usage = func() {}
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
		return want, err
	}
	if flags.NArg() > 0 {
		return want, fmt.Errorf("unknown argument %q for install", flags.Arg(0))
	}
	if !*export {
		return want, errors.New("the sandbox only exports: give --export")
	}
	if want.Version == "latest" || want.Version == "" {
		want.Version = version
	}
	asked := slices.Concat(components, extra)
	for _, name := range asked {
		if !slices.Contains(want.Components, name) {
			want.Components = append(want.Components, name)
		}
	}
	return want, want.check()
}

// check refuses what no manifest can be made of.
func (m manifest) check() error {
	known := slices.Concat(defaultComponents, extraComponents)
	for _, name := range m.Components {
		if !slices.Contains(known, name) {
			return fmt.Errorf("component %s is not available", name)
		}
	}
	for _, name := range required {
		if !m.Has(name) {
			return fmt.Errorf("component %s is required", name)
		}
	}
	switch {
	case !versionForm.MatchString(m.Version):
		return fmt.Errorf("--version %q is no version: it looks like %s", m.Version, plainVersion)
	case !namespaceForm.MatchString(m.Namespace):
		return fmt.Errorf("--namespace %q cannot be the name of a namespace", m.Namespace)
	case !registryForm.MatchString(m.Registry):
		return fmt.Errorf("--registry %q is no host with a path", m.Registry)
	case !slices.Contains(logLevels, m.LogLevel):
		return fmt.Errorf("--log-level %q is none of %s", m.LogLevel, strings.Join(logLevels, ", "))
	}
	return nil
}

package fluxcli

import (
	_ "embed"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"sort"
	"strings"
	"text/template"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"
)

// The objects of the whole installation, and those of one component.
var (
	//go:embed manifest.yaml
	manifestText string
	//go:embed component.yaml
	componentText string
)

// imageVersions are the releases of the controllers whose API the sandbox'
// custom resource definitions are generated from (golang/crds/go.mod).
var imageVersions = map[string]string{
	"source-controller":           "v1.9.6",
	"kustomize-controller":        "v1.9.6",
	"helm-controller":             "v1.6.5",
	"notification-controller":     "v1.9.4",
	"image-reflector-controller":  "v1.2.5",
	"image-automation-controller": "v1.2.5",
}

// manifest is what an installation of Flux is made of.
type manifest struct {
	Version       string
	Namespace     string
	Registry      string
	LogLevel      string
	Components    []string
	NetworkPolicy bool
	WatchAll      bool
}

// part is one component of an installation, as its template sees it.
type part struct {
	manifest
	Name string
}

// Part is the component of that name.
func (m manifest) Part(name string) part { return part{m, name} }

// Has says whether a component is wanted.
func (m manifest) Has(component string) bool { return slices.Contains(m.Components, component) }

// List is the components as the header names them.
func (m manifest) List() string { return strings.Join(m.Components, ",") }

// Image is the image of a component.
func (m manifest) Image(component string) string {
	return fmt.Sprintf("%s/%s:%s", m.Registry, component, imageVersions[component])
}

// critical are the components whose pods have the priority of the cluster's
// own: without them nothing is repaired.
var critical = []string{"source-controller", "kustomize-controller", "helm-controller"}

// graceSeconds is how long a pod may take to end, where that is not
// defaultGraceSeconds: a reconciliation or a release is finished first.
var graceSeconds = map[string]int{"kustomize-controller": 60, "helm-controller": 600}

const defaultGraceSeconds = 10

// Critical says whether the component has a priority class.
func (p part) Critical() bool { return slices.Contains(critical, p.Name) }

// GraceSeconds is the grace period of the component's pod.
func (p part) GraceSeconds() int {
	if seconds, own := graceSeconds[p.Name]; own {
		return seconds
	}
	return defaultGraceSeconds
}

// print writes the manifest: a header and the objects of the installation,
// then each component's definitions and objects.
func (m manifest) print(out io.Writer, definitions map[string]string) error {
	parsed, err := template.New("manifest").Funcs(template.FuncMap{
		"definitions": func(component string) (string, error) { return m.definitions(component, definitions) },
	}).Parse(manifestText)
	if err != nil {
		return err
	}
	if _, err := parsed.New("component").Parse(componentText); err != nil {
		return err
	}
	return parsed.Execute(out, m)
}

// definitions are the labelled custom resource definitions of a component.
func (m manifest) definitions(component string, all map[string]string) (string, error) {
	names := make([]string, 0, len(all))
	for name := range all {
		names = append(names, name)
	}
	sort.Strings(names)
	var text strings.Builder
	for _, name := range names {
		object := &unstructured.Unstructured{}
		if err := yaml.Unmarshal([]byte(all[name]), &object.Object); err != nil {
			return "", fmt.Errorf("%s: %w", name, err)
		}
		if componentOf(object.GetName()) != component {
			continue
		}
		object.SetLabels(map[string]string{
			"app.kubernetes.io/component": component,
			"app.kubernetes.io/instance":  m.Namespace,
			"app.kubernetes.io/part-of":   "flux",
			"app.kubernetes.io/version":   m.Version,
		})
		content, err := yaml.Marshal(object.Object)
		if err != nil {
			return "", err
		}
		text.WriteString("---\n" + string(content))
	}
	if text.Len() == 0 {
		return "", fmt.Errorf("there are no custom resource definitions of %s here", component)
	}
	return text.String(), nil
}

// componentOf is the controller that brings the definition of that name.
func componentOf(definition string) string {
	kind, group, _ := strings.Cut(definition, ".")
	owner, isFlux := strings.CutSuffix(group, ".toolkit.fluxcd.io")
	switch {
	case !isFlux:
		return ""
	case kind == "imageupdateautomations":
		return "image-automation-controller"
	case owner == "image":
		return "image-reflector-controller"
	}
	return owner + "-controller"
}

// readDefinitions takes the attached definitions, or else those in the folder
// that ELYSIUM_SANDBOX_CRDS names, beside the program, or on the node.
func readDefinitions(attached map[string]string) (map[string]string, error) {
	if len(attached) > 0 {
		return attached, nil
	}
	folders := []string{os.Getenv("ELYSIUM_SANDBOX_CRDS")}
	if program, err := os.Executable(); err == nil {
		folders = append(folders, filepath.Join(filepath.Dir(program), "crds"))
	}
	for _, folder := range append(folders, "/opt/elysium-sandbox/crds") {
		files, err := filepath.Glob(filepath.Join(folder, "*.yaml"))
		if err != nil || folder == "" || len(files) == 0 {
			continue
		}
		result := map[string]string{}
		for _, file := range files {
			content, err := os.ReadFile(file)
			if err != nil {
				return nil, err
			}
			result[filepath.Base(file)] = string(content)
		}
		return result, nil
	}
	return nil, fmt.Errorf("no custom resource definitions: set ELYSIUM_SANDBOX_CRDS to their folder")
}

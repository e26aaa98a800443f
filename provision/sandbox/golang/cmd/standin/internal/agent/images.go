package agent

import (
	"path/filepath"
	"regexp"
	"strings"

	"elysium.invalid/sandbox/cmd/standin/internal/spawn"
)

// program is what runs in place of an image.
type program struct {
	// path of a binary; empty for the stand-in itself, which then plays name.
	path string
	name string
	// extra arguments come last, so that they win over the pod's; variables in
	// them are expanded, too.
	extra []string
}

// realController are the arguments of a controller-runtime program that shares
// the node's network with others and is alone: no listeners that could clash,
// no lease to wait for after a crash, no events sent to a stand-in. It looks
// again at what waits for a dependency every 2 s, for whoever watches.
var realController = []string{
	"--metrics-addr=0", "--health-addr=0", "--enable-leader-election=false", "--events-addr=",
	"--requeue-dependency=2s",
}

// artifacts is where source-controller serves what it fetched: the name of its
// Service leads nowhere here.
const artifacts = "127.0.0.1:9090"

// programs are the images with a program, by the end of their repository.
var programs = map[string]program{
	"kustomize-controller": {
		path: filepath.Join(spawn.BinDir, "kustomize-controller"), name: "kustomize-controller", extra: realController,
	},
	"source-controller": {
		path: filepath.Join(spawn.BinDir, "source-controller"), name: "source-controller",
		extra: append([]string{
			"--storage-path=$(ELYSIUM_SANDBOX_DATA)",
			"--storage-addr=" + artifacts, "--storage-adv-addr=" + artifacts,
		}, realController...),
	},
	"helm-controller":             {name: "helm-controller"},
	"notification-controller":     {name: "notification-controller"},
	"image-reflector-controller":  {name: "image-reflector-controller"},
	"image-automation-controller": {name: "image-automation-controller"},
	"sealed-secrets-controller": {
		path: filepath.Join(spawn.BinDir, "sealed-secrets-controller"), name: "controller",
	},
}

// programOf finds what runs in place of image.
func programOf(image string) (program, bool) {
	result, ok := programs[repository(image)]
	return result, ok
}

// isGPUPlugin says whether image is the Intel GPU device plugin.
func isGPUPlugin(image string) bool { return repository(image) == "intel-gpu-plugin" }

// repository is the last part of an image's name, without tag and digest.
func repository(image string) string {
	image, _, _ = strings.Cut(image, "@")
	name := image[strings.LastIndex(image, "/")+1:]
	name, _, _ = strings.Cut(name, ":")
	return name
}

// arguments are the command line of the program for a container's command and
// args. The command's first word names the program inside the image.
func (p program) arguments(command, args []string, environment map[string]string) []string {
	var result []string
	if len(command) > 1 {
		result = append(result, command[1:]...)
	}
	result = append(append(result, args...), p.extra...)
	for i := range result {
		result[i] = expand(result[i], environment)
	}
	return result
}

var variable = regexp.MustCompile(`\$(\$|\([A-Za-z_][A-Za-z0-9_.-]*\))`)

// expand replaces $(NAME) by its value, as a kubelet does: an unknown name
// stays, and $$ is a dollar sign.
func expand(text string, environment map[string]string) string {
	return variable.ReplaceAllStringFunc(text, func(found string) string {
		if found == "$$" {
			return "$"
		}
		if value, ok := environment[found[2:len(found)-1]]; ok {
			return value
		}
		return found
	})
}

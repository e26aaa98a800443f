package gpuplugin

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	plugin "k8s.io/kubelet/pkg/apis/deviceplugin/v1beta1"
)

// resourceName is the name that Intel's plugin gives its devices, after their
// driver.
func resourceName(sysfs string) string {
	drivers, err := filepath.Glob(filepath.Join(sysfs, "card*", "device", "driver"))
	if err != nil {
		return "gpu.intel.com/i915"
	}
	for _, link := range drivers {
		if target, err := os.Readlink(link); err == nil && filepath.Base(target) == "xe" {
			return "gpu.intel.com/xe"
		}
	}
	return "gpu.intel.com/i915"
}

// devices are the render nodes of the machine, each as often as it is shared.
func devices(folder string, shares int) ([]*plugin.Device, error) {
	nodes, err := filepath.Glob(filepath.Join(folder, "renderD*"))
	if err != nil {
		return nil, err
	}
	var found []*plugin.Device
	for number := range nodes {
		for share := range shares {
			found = append(found, &plugin.Device{ID: fmt.Sprintf("card%d-%d", number, share), Health: plugin.Healthy})
		}
	}
	return found, nil
}

// files are the device files that a container gets with a device of that name:
// the card's and its render node's.
func files(folder, id string) ([]*plugin.DeviceSpec, error) {
	card, _, _ := strings.Cut(id, "-")
	number, err := strconv.Atoi(strings.TrimPrefix(card, "card"))
	if err != nil {
		return nil, fmt.Errorf("there is no device %q", id)
	}
	var found []*plugin.DeviceSpec
	for _, name := range []string{card, fmt.Sprintf("renderD%d", 128+number)} {
		path := filepath.Join(folder, name)
		if _, err := os.Stat(path); err != nil {
			return nil, err
		}
		found = append(found, &plugin.DeviceSpec{HostPath: path, ContainerPath: path, Permissions: "rw"})
	}
	return found, nil
}

// sharedDevices reads -shared-dev-num from the plugin's arguments; it is 1
// when not given.
func sharedDevices(args []string) int {
	for i, arg := range args {
		name, value, hasValue := strings.Cut(strings.TrimLeft(arg, "-"), "=")
		if name != "shared-dev-num" {
			continue
		}
		if !hasValue && i+1 < len(args) {
			value = args[i+1]
		}
		if number, err := strconv.Atoi(value); err == nil && number > 0 {
			return number
		}
	}
	return 1
}

package agent

import (
	"context"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
)

// gpus is what the Intel device plugin would tell the kubelet: each render
// node of the machine, -shared-dev-num times, as long as the plugin's pod runs.
func (s *nodeStatus) gpus(ctx context.Context) (corev1.ResourceList, error) {
	devices, err := filepath.Glob("/dev/dri/renderD*")
	if err != nil || len(devices) == 0 {
		return nil, err
	}
	var pods corev1.PodList
	if err := s.api.List(ctx, &pods); err != nil {
		return nil, err
	}
	for i := range pods.Items {
		pod := &pods.Items[i]
		if pod.Spec.NodeName != s.node.Name || pod.Status.Phase != corev1.PodRunning || pod.DeletionTimestamp != nil {
			continue
		}
		for _, container := range pod.Spec.Containers {
			if isGPUPlugin(container.Image) {
				shares := sharedDevices(append(container.Command, container.Args...))
				count := resource.NewQuantity(shares*int64(len(devices)), resource.DecimalSI)
				return corev1.ResourceList{gpuResource(): *count}, nil
			}
		}
	}
	return nil, nil
}

// gpuResource is the name the plugin gives its devices, after their driver.
func gpuResource() corev1.ResourceName {
	drivers, err := filepath.Glob("/sys/class/drm/card*/device/driver")
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

// sharedDevices reads -shared-dev-num from the plugin's arguments; it is 1
// when not given.
func sharedDevices(args []string) int64 {
	for i, arg := range args {
		name, value, hasValue := strings.Cut(strings.TrimLeft(arg, "-"), "=")
		if name != "shared-dev-num" {
			continue
		}
		if !hasValue && i+1 < len(args) {
			value = args[i+1]
		}
		if number, err := strconv.ParseInt(value, 10, 64); err == nil && number > 0 {
			return number
		}
	}
	return 1
}

package containers

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
)

// madeUp says whether devices of the node's sysfs are made up: the sandbox lays
// them over /sys/class. A container's own sysfs is the kernel's, which has none.
func madeUp(mountinfo string) bool {
	content, err := os.ReadFile(mountinfo)
	return err == nil && strings.Contains(string(content), " /sys/class ")
}

func (r Runtime) baseSpec() string { return r.at("etc", "containerd", "base-spec.json") }

// nodesSysfs is what containers start from, in the format of OCI's runtime:
// containerd's own, with the node's sysfs in place of the kernel's.
func (r Runtime) nodesSysfs() (string, error) {
	spec, err := r.command("ctr", "oci", "spec").Output()
	if err != nil {
		return "", fmt.Errorf("ctr oci spec: %w", err)
	}
	return withNodesSysfs(spec)
}

func withNodesSysfs(spec []byte) (string, error) {
	var whole map[string]any
	if err := json.Unmarshal(spec, &whole); err != nil {
		return "", err
	}
	mounts, _ := whole["mounts"].([]any)
	for _, each := range mounts {
		if mount, ok := each.(map[string]any); ok && mount["destination"] == "/sys" {
			mount["type"], mount["source"] = "bind", "/sys"
			mount["options"] = []string{"rbind", "rslave", "nosuid", "noexec", "nodev", "ro"}
		}
	}
	content, err := json.Marshal(whole)
	return string(content), err
}

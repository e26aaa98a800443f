package containers

import (
	"os"
	"os/exec"
	"strings"
)

// legacy gives a program another view of cgroups: the hierarchies of version 1
// that $1 names, at the place of version 2's, and nothing else in its mount
// namespace that others do not see.
const legacy = `set -e
hierarchies=$1
shift
mount --make-private /sys/fs/cgroup
mount -t tmpfs -o mode=755 cgroup /sys/fs/cgroup
for hierarchy in $hierarchies; do
  mkdir /sys/fs/cgroup/$hierarchy
  mount -t cgroup -o $hierarchy cgroup /sys/fs/cgroup/$hierarchy
  case $hierarchy in *,*)
    for name in $(echo $hierarchy | tr , ' '); do ln -s $hierarchy /sys/fs/cgroup/$name; done ;;
  esac
done
exec "$@"
`

// WithControllers makes command see the cgroups that have controllers: a node
// has version 2 only, and on a machine with version 1 that may have none.
func WithControllers(command *exec.Cmd) error {
	unified, err := os.ReadFile("/sys/fs/cgroup/cgroup.controllers")
	if os.IsNotExist(err) {
		return nil // version 1 already
	} else if err != nil {
		return err
	}
	enabled, err := os.ReadFile("/proc/cgroups")
	if err != nil {
		return err
	}
	hierarchies := legacyHierarchies(string(unified), string(enabled))
	if hierarchies == "" {
		return nil
	}
	path, err := exec.LookPath("unshare")
	if err != nil {
		return err
	}
	words := []string{"unshare", "--mount", "--propagation", "unchanged", "sh", "-c", legacy, "sh", hierarchies, command.Path}
	command.Path, command.Args = path, append(words, command.Args[1:]...)
	return nil
}

// legacyHierarchies are those of version 1 with the controllers that version 2
// does not have, in the words of mount(8); empty where version 2 has memory's.
func legacyHierarchies(unified, enabled string) string {
	if strings.Contains(" "+strings.TrimSpace(unified)+" ", " memory ") {
		return ""
	}
	var order []string
	names := map[string][]string{}
	for _, line := range strings.Split(enabled, "\n") {
		fields := strings.Fields(line)
		if len(fields) != 4 || strings.HasPrefix(line, "#") || fields[1] == "0" || fields[3] != "1" {
			continue
		}
		if names[fields[1]] == nil {
			order = append(order, fields[1])
		}
		names[fields[1]] = append(names[fields[1]], fields[0])
	}
	var found []string
	for _, number := range order {
		found = append(found, strings.Join(names[number], ","))
	}
	return strings.Join(found, " ")
}

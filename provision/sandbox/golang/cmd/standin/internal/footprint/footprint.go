// Package footprint leaves on the machine what flannel and the network policies
// of the real k3s leave there: chains and rules, an interface, slices and kernel
// settings. Nothing uses them; uninstalling has to find them. What the kubelet,
// kube-proxy and containerd leave is their own.
//
// The programs for it are Debian's, which the node has outside its PATH and k3s
// unpacks below its data folder, as the real one does with its own.
package footprint

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// programs is where the sandbox' node has what k3s brings.
const programs = "/usr/lib/elysium-sandbox"

// Leave makes everything; what this kernel or container refuses is logged, as
// the real k3s goes on then too. A second call adds nothing.
func Leave(dataDir, version string, logf func(format string, values ...any)) error {
	bin, err := unpack(dataDir, version)
	if err != nil {
		return fmt.Errorf("unpack the programs: %w", err)
	}
	steps := []struct {
		name string
		run  func() error
	}{
		{"kernel settings", settings},
		{"interfaces", interfaces},
		{"sets of addresses", func() error { return sets(bin) }},
		{"firewall", func() error { return firewall(bin) }},
		{"slices", slices},
		{"socket for NRI", nri},
	}
	for _, step := range steps {
		if err := step.run(); err != nil {
			logf("The node's %s are not all as k3s makes them: %v", step.name, err)
		}
	}
	return nil
}

// unpack lays the programs out as k3s does: data/<sha256>/bin, with those that the
// machine may have itself in aux, and data/current.
func unpack(dataDir, version string) (string, error) {
	release := fmt.Sprintf("%x", sha256.Sum256([]byte(version)))
	bin := filepath.Join(dataDir, "data", release, "bin")
	aux := filepath.Join(bin, "aux")
	if err := os.MkdirAll(aux, 0o755); err != nil {
		return "", err
	}
	for name, folder := range map[string]string{
		"bridge": bin, "containerd": bin, "containerd-shim-runc-v2": bin, "ctr": bin, "host-local": bin,
		"loopback": bin, "portmap": bin, "runc": bin,
		"xtables-nft-multi": aux, "xtables-legacy-multi": aux, "nft": aux, "ipset": bin,
	} {
		if err := copyProgram(filepath.Join(programs, name), filepath.Join(folder, name)); err != nil {
			return "", err
		}
	}
	for _, family := range families {
		for _, end := range []string{"", "-save", "-restore"} {
			if err := link("xtables-nft-multi", filepath.Join(aux, family.command+end)); err != nil {
				return "", err
			}
		}
	}
	if err := os.WriteFile(filepath.Join(dataDir, "data", ".lock"), nil, 0o600); err != nil {
		return "", err
	}
	return bin, link(release, filepath.Join(dataDir, "data", "current"))
}

func copyProgram(from, to string) error {
	if exists(to) {
		return nil
	}
	source, err := os.Open(from)
	if err != nil {
		return err
	}
	defer source.Close()
	target, err := os.OpenFile(to+".new", os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o755)
	if err != nil {
		return err
	}
	_, err = io.Copy(target, source)
	if err := errors.Join(err, target.Close()); err != nil {
		return err
	}
	return os.Rename(to+".new", to)
}

func link(target, path string) error {
	if there, err := os.Readlink(path); err == nil && there == target {
		return nil
	}
	_ = os.Remove(path)
	return os.Symlink(target, path)
}

// settings are those of the node's own network; others are this machine's.
func settings() error {
	var failed []error
	for name, value := range map[string]string{
		"ipv4/conf/all/forwarding": "1", "ipv4/conf/default/forwarding": "1",
		"ipv4/conf/all/route_localnet": "1", "ipv6/conf/all/forwarding": "1",
		"netfilter/nf_conntrack_tcp_timeout_established": "86400",
		"netfilter/nf_conntrack_tcp_timeout_close_wait":  "3600",
	} {
		failed = append(failed, os.WriteFile("/proc/sys/net/"+name, []byte(value+"\n"), 0o644))
	}
	return errors.Join(failed...)
}

func interfaces() error {
	for _, command := range []struct{ there, does string }{
		{"flannel.1", "link add flannel.1 type vxlan id 1 dstport 8472 nolearning"},
		{"", "link set flannel.1 up"},
	} {
		if command.there != "" && hasInterface(command.there) {
			continue
		}
		if _, err := run("", "ip", strings.Fields(command.does)...); err != nil {
			return err
		}
	}
	return nil
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

func hasInterface(name string) bool {
	_, err := net.InterfaceByName(name)
	return err == nil
}

func sets(bin string) error {
	for _, pod := range families[0].pods {
		if _, err := run("", filepath.Join(bin, "ipset"), "create", "-exist", sourceSet(pod), "hash:ip"); err != nil {
			return err
		}
	}
	return nil
}

// firewall uses the machine's iptables, or k3s' own where it has none.
func firewall(bin string) error {
	for _, family := range families {
		command, err := exec.LookPath(family.command)
		if err != nil {
			command = filepath.Join(bin, "aux", family.command)
		}
		for _, table := range family.tables() {
			there, err := run("", command, "-w", "-t", table.name, "-S")
			if err != nil {
				return err
			}
			if _, err := run(table.script(there), command+"-restore", "-w", "--noflush"); err != nil {
				return err
			}
		}
	}
	return nil
}

// slices are those of the kubelet's levels of service.
func slices() error {
	_, err := run("", "systemctl", "start", "--no-block", "kubepods.slice", "kubepods-besteffort.slice", "kubepods-burstable.slice")
	return err
}

// nri is a socket that the containerd of k3s makes and Debian's is too old for; it
// stays when the process ends.
func nri() error {
	const path = "/run/nri/nri.sock"
	if err := os.MkdirAll(filepath.Dir(path), 0o711); err != nil {
		return err
	}
	if err := os.Remove(path); err != nil && !os.IsNotExist(err) {
		return err
	}
	listener, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		return err
	}
	listener.SetUnlinkOnClose(false)
	open = append(open, listener)
	return nil
}

// open keeps the sockets until the process ends.
var open []*net.UnixListener

func run(input, program string, arguments ...string) (string, error) {
	command := exec.Command(program, arguments...)
	command.Stdin = strings.NewReader(input)
	var said bytes.Buffer
	command.Stderr = &said
	out, err := command.Output()
	if err != nil {
		return "", fmt.Errorf("%s %s: %w: %s", program, strings.Join(arguments, " "), err, strings.TrimSpace(said.String()))
	}
	return string(out), nil
}

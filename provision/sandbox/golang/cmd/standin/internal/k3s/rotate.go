package k3s

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/pflag"
)

const defaultDataDir = "/var/lib/rancher/k3s"

// token runs `k3s token rotate`: the server's token becomes another one, which
// a configured token must match from the next start on.
func token(args []string) error {
	if len(args) == 0 || args[0] != "rotate" {
		return fmt.Errorf("%q is not part of the sandbox: only rotate is", "token "+strings.Join(args, " "))
	}
	flags := pflag.NewFlagSet("k3s token rotate", pflag.ContinueOnError)
	dataDir := flags.StringP("data-dir", "d", defaultDataDir, "")
	old := flags.StringP("token", "t", os.Getenv("K3S_TOKEN"), "")
	next := flags.String("new-token", "", "")
	if err := flags.Parse(args[1:]); err != nil {
		return err
	}
	o := &options{dataDir: *dataDir, token: *old}
	if *old == "" {
		return errors.New("--token is required")
	}
	if err := tokens(o); err != nil {
		return fmt.Errorf("the old token is not that of this server: %w", err)
	}
	if *next == "" {
		*next = randomHex(16)
	}
	if err := writeToken(o, *next); err != nil {
		return err
	}
	fmt.Println("Token rotated, restart k3s nodes with new token")
	return nil
}

// certificateCommand runs `k3s certificate rotate`: the leaf certificates go,
// and the next start makes new ones.
func certificateCommand(args []string) error {
	if len(args) == 0 || args[0] != "rotate" {
		return fmt.Errorf("%q is not part of the sandbox: only rotate is", "certificate "+strings.Join(args, " "))
	}
	flags := pflag.NewFlagSet("k3s certificate rotate", pflag.ContinueOnError)
	dataDir := flags.StringP("data-dir", "d", defaultDataDir, "")
	services := flags.StringSliceP("service", "s", nil, "")
	if err := flags.Parse(args[1:]); err != nil {
		return err
	}
	if len(*services) > 0 {
		return errors.New("--service is not part of the sandbox: all certificates are rotated")
	}
	o := &options{dataDir: *dataDir}
	for _, pattern := range []string{"client-*.crt", "serving-*.crt"} {
		paths, err := filepath.Glob(o.tls(pattern))
		if err != nil {
			return err
		}
		for _, path := range paths {
			if filepath.Base(path) == "client-ca.crt" {
				continue
			}
			if err := os.Remove(path); err != nil {
				return err
			}
		}
	}
	fmt.Println("Successfully rotated certificates, please restart k3s to continue")
	return nil
}

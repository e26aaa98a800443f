package k3s

import (
	"bytes"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/pflag"
)

const defaultDataDir = "/var/lib/rancher/k3s"

// token runs `k3s token rotate`: the running server takes another token, which
// counts from its next start on. As in k3s, --data-dir is accepted and has no
// effect: without --token and K3S_TOKEN, the token is read from the default folder.
func token(args []string) error {
	if len(args) == 0 || args[0] != "rotate" {
		return fmt.Errorf("%q is not part of the sandbox: only rotate is", "token "+strings.Join(args, " "))
	}
	flags := pflag.NewFlagSet("k3s token rotate", pflag.ContinueOnError)
	o := &options{}
	server := serverFlags(flags, o)
	flags.StringVarP(&o.token, "token", "t", os.Getenv("K3S_TOKEN"), "")
	next := flags.String("new-token", "", "")
	if err := flags.Parse(args[1:]); err != nil {
		return err
	}
	o.dataDir = defaultDataDir
	if err := put(o, *server+"/v1-k3s/token", map[string]string{"newToken": *next}); err != nil {
		return err
	}
	fmt.Println("Token rotated, restart k3s nodes with new token")
	return nil
}

// certificateCommand runs `k3s certificate rotate` and `rotate-ca`.
func certificateCommand(args []string) error {
	if len(args) > 0 && args[0] == "rotate" {
		return rotateLeaves(args[1:])
	}
	if len(args) > 0 && args[0] == "rotate-ca" {
		return rotateAuthority(args[1:])
	}
	return fmt.Errorf("%q is not part of the sandbox: only rotate and rotate-ca are",
		"certificate "+strings.Join(args, " "))
}

// rotateAuthority hands a new authority to the running server, which uses it
// from its next start on.
func rotateAuthority(args []string) error {
	flags := pflag.NewFlagSet("k3s certificate rotate-ca", pflag.ContinueOnError)
	o := &options{}
	server := serverFlags(flags, o)
	path := flags.String("path", "", "")
	force := flags.Bool("force", false, "")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if *path == "" {
		return errors.New("Required flag \"path\" not set") //nolint:staticcheck // k3s' own words
	}
	found, err := readClientAuthority(*path)
	if err != nil {
		return err
	}
	if err := put(o, fmt.Sprintf("%s/v1-k3s/cert/cacerts?force=%t", *server, *force), found); err != nil {
		return fmt.Errorf("see server log for details: %w", err)
	}
	fmt.Println("certificates saved to datastore")
	return nil
}

// rotateLeaves removes the leaf certificates; the next start makes new ones.
func rotateLeaves(args []string) error {
	flags := pflag.NewFlagSet("k3s certificate rotate", pflag.ContinueOnError)
	dataDir := flags.StringP("data-dir", "d", defaultDataDir, "")
	services := flags.StringSliceP("service", "s", nil, "")
	if err := flags.Parse(args); err != nil {
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
			if strings.HasPrefix(filepath.Base(path), "client-ca.") {
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

// serverFlags are what both commands need to find the server.
func serverFlags(flags *pflag.FlagSet, o *options) *string {
	flags.StringVarP(&o.dataDir, "data-dir", "d", defaultDataDir, "")
	address := os.Getenv("K3S_URL")
	if address == "" {
		address = "https://127.0.0.1:6443"
	}
	return flags.StringP("server", "s", address, "")
}

// put sends body to the server as its own user, who is known by the token:
// the one given, or the one on the disk.
func put(o *options, address string, body any) error {
	password := passwordOf(o.token)
	if password == "" {
		found, err := tokenPassword(o)
		if err != nil {
			return err
		}
		password = found
	}
	content, err := json.Marshal(body)
	if err != nil {
		return err
	}
	roots, err := authorityOf(o, address)
	if err != nil {
		return err
	}
	request, err := http.NewRequest(http.MethodPut, address, bytes.NewReader(content))
	if err != nil {
		return err
	}
	request.SetBasicAuth("server", password)
	client := &http.Client{
		Timeout:   30 * time.Second,
		Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}},
	}
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode >= 300 {
		said, _ := io.ReadAll(io.LimitReader(response.Body, 4096))
		return fmt.Errorf("%s: %s", response.Status, strings.TrimSpace(string(said)))
	}
	return nil
}

// authorityOf is what the server is known by: the authority that it shows, if
// its hash is the one in the token, else the one on the disk.
func authorityOf(o *options, address string) (*x509.CertPool, error) {
	hash, _, full := strings.Cut(o.token, "::")
	if !full {
		return pool(o.tls("server-ca.crt"))
	}
	at, err := url.Parse(address)
	if err != nil {
		return nil, err
	}
	client := &http.Client{
		Timeout: 30 * time.Second,
		// Who shows another authority is found out by the hash.
		Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}, //nolint:gosec
	}
	response, err := client.Get("https://" + at.Host + "/cacerts")
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	content, err := io.ReadAll(io.LimitReader(response.Body, maxBody))
	if err != nil {
		return nil, err
	}
	if fmt.Sprintf("K10%x", sha256.Sum256(content)) != hash {
		return nil, errors.New("token CA hash does not match the Cluster CA certificate hash")
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(content) {
		return nil, errors.New("the server shows no certificate")
	}
	return roots, nil
}

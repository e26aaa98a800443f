package k3s

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// clientAuthority is what `k3s certificate rotate-ca` hands to the server: the
// authority of client certificates, a bundle whose first certificate signs.
// Other authorities stay as they are; the sandbox rotates this one only.
type clientAuthority struct {
	Certificates string `json:"certificates"`
	Key          string `json:"key"`
}

// readClientAuthority reads it from a folder laid out as the server's own.
func readClientAuthority(folder string) (*clientAuthority, error) {
	found := &clientAuthority{}
	entries, err := os.ReadDir(filepath.Join(folder, "tls"))
	if err != nil {
		return nil, err
	}
	for _, entry := range entries {
		content, err := os.ReadFile(filepath.Join(folder, "tls", entry.Name()))
		if err != nil {
			return nil, err
		}
		switch entry.Name() {
		case "client-ca.crt":
			found.Certificates = string(content)
		case "client-ca.key":
			found.Key = string(content)
		default:
			return nil, fmt.Errorf("%s is not part of the sandbox: only client-ca.{crt,key} are rotated", entry.Name())
		}
	}
	if found.Certificates == "" || found.Key == "" {
		return nil, fmt.Errorf("tls/client-ca.crt and tls/client-ca.key are expected in %s", folder)
	}
	return found, nil
}

// validate asks for what k3s asks for: a chain that what trusts the authority
// in use trusts too, and a key that belongs to it.
func (a *clientAuthority) validate(o *options) error {
	if _, err := tls.X509KeyPair([]byte(a.Certificates), []byte(a.Key)); err != nil {
		return fmt.Errorf("new CA cert and key cannot be loaded as X590KeyPair: %w", err)
	}
	chain, err := parseBundle([]byte(a.Certificates))
	if err != nil {
		return err
	}
	if len(chain) == 1 {
		return errors.New("new CA bundle contains only a single certificate but should include root or intermediate CA certificates")
	}
	content, err := os.ReadFile(o.tls("client-ca.crt"))
	if err != nil {
		return err
	}
	old, err := parseBundle(content)
	if err != nil {
		return err
	}
	roots, between := x509.NewCertPool(), x509.NewCertPool()
	for _, one := range old {
		if len(one.AuthorityKeyId) == 0 || bytes.Equal(one.AuthorityKeyId, one.SubjectKeyId) {
			roots.AddCert(one)
		} else {
			between.AddCert(one)
		}
	}
	for _, one := range chain[1:] {
		if len(one.AuthorityKeyId) > 0 {
			between.AddCert(one)
		}
	}
	options := x509.VerifyOptions{Roots: roots, Intermediates: between, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}}
	if _, err := chain[0].Verify(options); err != nil {
		return fmt.Errorf("new CA cert cannot be verified using old CA chain: %w", err)
	}
	return nil
}

// savedAuthority is where it waits for the next start, which puts it into the
// datastore; k3s has it there at once.
func savedAuthority(o *options) string { return o.at("db", "bootstrap.json") }

func (a *clientAuthority) save(o *options) error {
	content, err := json.Marshal(a)
	if err != nil {
		return err
	}
	return writeFile(savedAuthority(o), content, 0o600)
}

// restoreAuthority brings what was saved to where the components read it. The
// file stays until the datastore has it too.
func restoreAuthority(o *options) error {
	content, err := os.ReadFile(savedAuthority(o))
	if errors.Is(err, os.ErrNotExist) {
		return nil
	} else if err != nil {
		return err
	}
	var saved clientAuthority
	if err := json.Unmarshal(content, &saved); err != nil {
		return err
	}
	if err := writeFile(o.tls("client-ca.key"), []byte(saved.Key), 0o600); err != nil {
		return err
	}
	return writeFile(o.tls("client-ca.crt"), []byte(saved.Certificates), 0o644)
}

func parseBundle(content []byte) ([]*x509.Certificate, error) {
	var found []*x509.Certificate
	for {
		var block *pem.Block
		if block, content = pem.Decode(content); block == nil {
			break
		}
		one, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, err
		}
		found = append(found, one)
	}
	if len(found) == 0 {
		return nil, errors.New("there is no certificate")
	}
	return found, nil
}

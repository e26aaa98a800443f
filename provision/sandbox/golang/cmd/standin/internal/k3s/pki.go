package k3s

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"slices"
	"time"
)

const (
	authorityLife = 10 * 365 * 24 * time.Hour
	leafLife      = 365 * 24 * time.Hour
	// renewBefore is how long before its end a leaf is made anew at a start.
	renewBefore = 120 * 24 * time.Hour
)

// authority is a certificate authority of the cluster. Its file may be a
// bundle: the first certificate signs, the others are trusted beside it.
type authority struct {
	certificate *x509.Certificate
	key         crypto.Signer
}

// leaf is what a certificate is for.
type leaf struct {
	name         string
	organization string
	// names and addresses make it a server's certificate; without them it is
	// a client's.
	names     []string
	addresses []net.IP
}

// openAuthority reads the authority at directory/name.{crt,key}, or makes it.
func openAuthority(directory, name string) (*authority, error) {
	certificate, key, err := readPair(directory, name)
	if err == nil {
		return &authority{certificate, key}, nil
	} else if !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	newKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	now := time.Now()
	template := &x509.Certificate{
		SerialNumber:          big.NewInt(0),
		Subject:               pkix.Name{CommonName: fmt.Sprintf("k3s-%s@%d", name, now.Unix())},
		NotBefore:             now.Add(-time.Minute).UTC(),
		NotAfter:              now.Add(authorityLife).UTC(),
		KeyUsage:              x509.KeyUsageKeyEncipherment | x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		BasicConstraintsValid: true,
		IsCA:                  true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, newKey.Public(), newKey)
	if err != nil {
		return nil, err
	}
	if err := writePair(directory, name, der, newKey); err != nil {
		return nil, err
	}
	return openAuthority(directory, name)
}

// issue makes sure that directory/name.{crt,key} is a certificate of this
// authority for want, with time left.
func (a *authority) issue(directory, name string, want leaf) error {
	if have, _, err := readPair(directory, name); err == nil && a.fits(have, want) {
		return nil
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 62))
	if err != nil {
		return err
	}
	subject := pkix.Name{CommonName: want.name}
	if want.organization != "" {
		subject.Organization = []string{want.organization}
	}
	usage := x509.ExtKeyUsageClientAuth
	if want.names != nil {
		usage = x509.ExtKeyUsageServerAuth
	}
	template := &x509.Certificate{
		SerialNumber: serial,
		Subject:      subject,
		NotBefore:    a.certificate.NotBefore,
		NotAfter:     time.Now().Add(leafLife).UTC(),
		KeyUsage:     x509.KeyUsageKeyEncipherment | x509.KeyUsageDigitalSignature,
		ExtKeyUsage:  []x509.ExtKeyUsage{usage},
		DNSNames:     want.names,
		IPAddresses:  want.addresses,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.certificate, key.Public(), a.key)
	if err != nil {
		return err
	}
	return writePair(directory, name, der, key)
}

func (a *authority) fits(have *x509.Certificate, want leaf) bool {
	same := func(one, other net.IP) bool { return one.Equal(other) }
	return have.CheckSignatureFrom(a.certificate) == nil &&
		bytes.Equal(have.AuthorityKeyId, a.certificate.SubjectKeyId) &&
		time.Until(have.NotAfter) > renewBefore &&
		have.Subject.CommonName == want.name &&
		slices.Equal(have.DNSNames, want.names) &&
		slices.EqualFunc(have.IPAddresses, want.addresses, same)
}

// serviceKey makes sure that the RSA key that signs service account tokens is
// at path.
func serviceKey(path string) error {
	if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
		return err
	}
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return err
	}
	block := &pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)}
	return writeFile(path, pem.EncodeToMemory(block), 0o600)
}

func readPair(directory, name string) (*x509.Certificate, crypto.Signer, error) {
	certificatePEM, err := os.ReadFile(filepath.Join(directory, name+".crt"))
	if err != nil {
		return nil, nil, err
	}
	keyPEM, err := os.ReadFile(filepath.Join(directory, name+".key"))
	if err != nil {
		return nil, nil, err
	}
	certificateBlock, _ := pem.Decode(certificatePEM)
	keyBlock, _ := pem.Decode(keyPEM)
	if certificateBlock == nil || keyBlock == nil {
		return nil, nil, fmt.Errorf("%s/%s.{crt,key} is not PEM", directory, name)
	}
	certificate, err := x509.ParseCertificate(certificateBlock.Bytes)
	if err != nil {
		return nil, nil, err
	}
	if key, err := x509.ParseECPrivateKey(keyBlock.Bytes); err == nil {
		return certificate, key, nil
	}
	key, err := x509.ParsePKCS8PrivateKey(keyBlock.Bytes) // not made here
	if err != nil {
		return nil, nil, err
	}
	signer, ok := key.(crypto.Signer)
	if !ok {
		return nil, nil, fmt.Errorf("%s/%s.key cannot sign", directory, name)
	}
	return certificate, signer, nil
}

func writePair(directory, name string, der []byte, key *ecdsa.PrivateKey) error {
	keyDER, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return err
	}
	keyPEM := pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: keyDER})
	if err := writeFile(filepath.Join(directory, name+".key"), keyPEM, 0o600); err != nil {
		return err
	}
	certificatePEM := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	return writeFile(filepath.Join(directory, name+".crt"), certificatePEM, 0o644)
}

// writeFile writes a whole file or none, making its folder. A file that has
// this content already is left as it is.
func writeFile(path string, content []byte, mode os.FileMode) error {
	if have, err := os.ReadFile(path); err == nil && bytes.Equal(have, content) {
		return os.Chmod(path, mode)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	temporary := path + ".new"
	if err := os.WriteFile(temporary, content, mode); err != nil {
		return err
	}
	if err := os.Chmod(temporary, mode); err != nil {
		return err
	}
	return os.Rename(temporary, path)
}

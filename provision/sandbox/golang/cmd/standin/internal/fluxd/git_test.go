package fluxd

import (
	"crypto/ed25519"
	"encoding/pem"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
)

const knownHost = "forge.invalid ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIK1JjhVrhyXZIt/NrpmTyXTVM7XB5fbqjYkyZjtSWjlF\n"

// privateKey is a new key in OpenSSH's format, encrypted when there is a passphrase.
func privateKey(t *testing.T, passphrase string) []byte {
	t.Helper()
	_, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	var block *pem.Block
	if passphrase == "" {
		block, err = ssh.MarshalPrivateKey(private, "")
	} else {
		block, err = ssh.MarshalPrivateKeyWithPassphrase(private, "", []byte(passphrase))
	}
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(block)
}

func TestAPasswordIsUsedOnlyForAnEncryptedKey(t *testing.T) {
	for name, test := range map[string]struct {
		passphrase, password, complaint string
	}{
		"no password, plain key":        {"", "", ""},
		"password beside a plain key":   {"", "unused", ""},
		"password of the key":           {"right", "right", ""},
		"another password":              {"right", "wrong", "decryption password incorrect"},
		"no password, an encrypted key": {"right", "", "passphrase protected"},
	} {
		data := map[string][]byte{
			"identity": privateKey(t, test.passphrase), "known_hosts": []byte(knownHost), "password": []byte(test.password),
		}
		_, err := credentials("ssh://git@forge.invalid/a/b", data, t.TempDir(), time.Second)
		switch {
		case test.complaint == "" && err != nil:
			t.Errorf("%s: %v", name, err)
		case test.complaint != "" && (err == nil || !strings.Contains(err.Error(), test.complaint)):
			t.Errorf("%s: %v, not %q", name, err, test.complaint)
		}
	}
}

package k3s

import (
	"bytes"
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"

	clientv3 "go.etcd.io/etcd/client/v3"
)

// k3s keeps its authorities and keys in the datastore too, under
// /bootstrap/<hash of the token>, encrypted with the token: that is why a
// snapshot, or a copy of the database, is of no use without the token
// (https://docs.k3s.io/cli/token, https://docs.k3s.io/datastore/backup-restore).
const bootstrapPrefix = "/bootstrap/"

// bootstrapFiles are what a server cannot make anew without becoming another
// cluster, below its data.
func bootstrapFiles() []string {
	var names []string
	for _, authority := range []string{"server-ca", "client-ca", "request-header-ca"} {
		names = append(names, "tls/"+authority+".crt", "tls/"+authority+".key")
	}
	return append(names, "tls/service.key", "cred/encryption-config.json")
}

var errOtherToken = errors.New("bootstrap data already found and encrypted with different token")

// loadBootstrap takes the authorities and keys that the datastore has to the
// disk. It says whether there were any.
func loadBootstrap(ctx context.Context, o *options, password string) (bool, error) {
	client, err := o.client()
	if err != nil {
		return false, err
	}
	defer client.Close()
	found, err := client.Get(ctx, bootstrapPrefix, clientv3.WithPrefix())
	if err != nil {
		return false, fmt.Errorf("read the bootstrap data: %w", err)
	}
	if len(found.Kvs) == 0 {
		return false, nil
	}
	for _, each := range found.Kvs {
		if string(each.Key) != bootstrapKey(password) {
			continue
		}
		content, err := opened(string(each.Value), password)
		if err != nil {
			return true, err
		}
		return true, writeBootstrap(o, content)
	}
	return true, errOtherToken
}

func writeBootstrap(o *options, content []byte) error {
	files := map[string][]byte{}
	if err := json.Unmarshal(content, &files); err != nil {
		return fmt.Errorf("the bootstrap data: %w", err)
	}
	for name, kept := range files {
		path := o.at(name)
		if have, err := os.ReadFile(path); err == nil && !bytes.Equal(have, kept) {
			logf("%s is newer than the datastore's or of another cluster: the datastore's counts", path)
		}
		mode := os.FileMode(0o600)
		if strings.HasSuffix(name, ".crt") {
			mode = 0o644
		}
		if err := writeFile(path, kept, mode); err != nil {
			return err
		}
	}
	return nil
}

// saveBootstrap puts the authorities and keys that are on the disk into the
// datastore, under the token that has that password; under another they go.
func saveBootstrap(ctx context.Context, o *options, password string) error {
	files := map[string][]byte{}
	for _, name := range bootstrapFiles() {
		if content, err := os.ReadFile(o.at(name)); err == nil {
			files[name] = content
		}
	}
	content, err := json.Marshal(files)
	if err != nil {
		return err
	}
	value, err := sealed(content, password)
	if err != nil {
		return err
	}
	client, err := o.client()
	if err != nil {
		return err
	}
	defer client.Close()
	found, err := client.Get(ctx, bootstrapPrefix, clientv3.WithPrefix())
	if err != nil {
		return err
	}
	// kine knows these forms of a transaction and no other.
	key := bootstrapKey(password)
	write := client.Txn(ctx).If(clientv3.Compare(clientv3.ModRevision(key), "=", 0)).Then(clientv3.OpPut(key, value))
	for _, each := range found.Kvs {
		if string(each.Key) == key {
			write = client.Txn(ctx).If(clientv3.Compare(clientv3.ModRevision(key), "=", each.ModRevision)).
				Then(clientv3.OpPut(key, value)).Else(clientv3.OpGet(key))
		}
	}
	written, err := write.Commit()
	if err != nil {
		return fmt.Errorf("write the bootstrap data: %w", err)
	}
	if !written.Succeeded {
		return errors.New("write the bootstrap data: something else wrote it meanwhile")
	}
	for _, each := range found.Kvs {
		name := string(each.Key)
		if name == key {
			continue
		}
		_, err := client.Txn(ctx).If(clientv3.Compare(clientv3.ModRevision(name), "=", each.ModRevision)).
			Then(clientv3.OpDelete(name)).Else(clientv3.OpGet(name)).Commit()
		if err != nil {
			return fmt.Errorf("remove the bootstrap data of the old token: %w", err)
		}
	}
	return nil
}

func bootstrapKey(password string) string {
	return fmt.Sprintf("%s%x", bootstrapPrefix, sha256.Sum256([]byte(password)))[:len(bootstrapPrefix)+12]
}

// sealed is salt:base64, AES-GCM under a key that PBKDF2 makes of the password.
func sealed(content []byte, password string) (string, error) {
	salt := randomHex(8)
	box, err := sealer(password, salt)
	if err != nil {
		return "", err
	}
	nonce := make([]byte, box.NonceSize())
	if _, err := rand.Read(nonce); err != nil {
		return "", err
	}
	return salt + ":" + base64.StdEncoding.EncodeToString(box.Seal(nonce, nonce, content, nil)), nil
}

func opened(text, password string) ([]byte, error) {
	salt, encoded, _ := strings.Cut(text, ":")
	content, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil {
		return nil, err
	}
	box, err := sealer(password, salt)
	if err != nil {
		return nil, err
	}
	if len(content) < box.NonceSize() {
		return nil, errors.New("the bootstrap data is cut off")
	}
	found, err := box.Open(nil, content[:box.NonceSize()], content[box.NonceSize():], nil)
	if err != nil {
		return nil, errOtherToken
	}
	return found, nil
}

func sealer(password, salt string) (cipher.AEAD, error) {
	if _, err := hex.DecodeString(salt); err != nil {
		return nil, err
	}
	key, err := pbkdf2.Key(sha1.New, password, []byte(salt), 4096, 32)
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(block)
}

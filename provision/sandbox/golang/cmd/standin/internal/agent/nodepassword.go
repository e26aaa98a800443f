package agent

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"golang.org/x/crypto/scrypt"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// A node of k3s proves by a password that it is the one that had its name
// before: /etc/rancher/node/password on its disk, a hash of it in the Secret
// <node>.node-password.k3s in kube-system. The Secret goes with the Node object
// (https://docs.k3s.io/architecture, "How Agent Node Registration Works").
const nodePasswordFile = "/etc/rancher/node/password"

var errNodePassword = errors.New("Node password rejected, duplicate hostname or contents of " + //nolint:staticcheck // k3s' words
	"'/etc/rancher/node/password' may not match server node-passwd entry, " +
	"try enabling a unique node name with the --with-node-id flag")

// Prove returns when the server has taken the node's password; as with k3s, it
// asks again until ctx is done. wasReset is whether the datastore was reset since
// the last start: what it says of the password does not count then.
func Prove(ctx context.Context, config *rest.Config, node string, wasReset bool) error {
	api, err := client.New(config, client.Options{})
	if err != nil {
		return err
	}
	for {
		err := func() error {
			if wasReset {
				if err := forgetPassword(ctx, api, node); err != nil {
					return err
				}
				wasReset = false
			}
			return provePassword(ctx, api, api, node)
		}()
		if err == nil {
			return nil
		}
		fmt.Fprintf(os.Stderr, "k3s: %v\n", err)
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(time.Second):
		}
	}
}

// provePassword checks the node's password, or has it taken for the first time.
func provePassword(ctx context.Context, reader client.Reader, api client.Client, node string) error {
	content, err := os.ReadFile(nodePasswordFile)
	if err != nil {
		return err
	}
	password := strings.TrimSpace(string(content))
	secret := &corev1.Secret{}
	err = reader.Get(ctx, passwordKey(node), secret)
	if apierrors.IsNotFound(err) {
		hash, err := hashPassword(password)
		if err != nil {
			return err
		}
		immutable := true
		secret.ObjectMeta = metav1.ObjectMeta{Name: passwordKey(node).Name, Namespace: metav1.NamespaceSystem}
		secret.Immutable = &immutable
		secret.Data = map[string][]byte{"hash": []byte(hash)}
		return api.Create(ctx, secret)
	}
	if err != nil {
		return err
	}
	return verifyPassword(string(secret.Data["hash"]), password)
}

// forgetPassword has the node's password taken for the first time again.
func forgetPassword(ctx context.Context, api client.Client, node string) error {
	secret := &corev1.Secret{}
	secret.Namespace, secret.Name = passwordKey(node).Namespace, passwordKey(node).Name
	return client.IgnoreNotFound(api.Delete(ctx, secret))
}

func passwordKey(node string) client.ObjectKey {
	return client.ObjectKey{Namespace: metav1.NamespaceSystem, Name: node + ".node-password.k3s"}
}

// hashPassword is $version:salt:N:r:p:hash, as k3s writes it.
func hashPassword(password string) (string, error) {
	salt := make([]byte, 8)
	if _, err := rand.Read(salt); err != nil {
		return "", err
	}
	hash, err := scrypt.Key([]byte(password), salt, 1<<15, 8, 1, 64)
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("$1:%x:15:8:1:%s", salt, base64.RawStdEncoding.EncodeToString(hash)), nil
}

func verifyPassword(hash, password string) error {
	parts := strings.Split(hash, ":")
	if len(parts) != 6 || parts[0] != "$1" || strings.Join(parts[2:5], ":") != "15:8:1" {
		return fmt.Errorf("the node password's hash has an unknown form")
	}
	salt, err := hex.DecodeString(parts[1])
	if err != nil {
		return err
	}
	want, err := base64.RawStdEncoding.DecodeString(parts[5])
	if err != nil {
		return err
	}
	have, err := scrypt.Key([]byte(password), salt, 1<<15, 8, 1, len(want))
	if err != nil {
		return err
	}
	if !bytes.Equal(have, want) {
		return errNodePassword
	}
	return nil
}
